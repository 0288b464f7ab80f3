"""`python -m tests.cluster.node check|up|down|status|load FILE...|run COMMAND...`: the node of this checkout."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.binaries import MissingBinaryError, say
from tests.cluster.clusters import RefusedError
from tests.cluster.node.images import load_images
from tests.cluster.node.machine import UnfitMachineError, check_machine
from tests.cluster.node.node import down, open_node, up
from tests.cluster.node.places import node_folder
from tests.cluster.node.report import describe
from tests.cluster.node.storage import storage_environment
from tests.cluster.processes import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = f"usage: {__doc__.partition(':')[0].strip('`')}"


def check(folder: Path) -> int:
    """Say nothing if a node can be started here, apart from programs that can be built."""
    check_machine(folder)
    return 0


def start(folder: Path) -> int:
    began = time.monotonic()
    up(folder, say)
    lines, good = describe(folder)
    for line in lines:
        say(line)
    say(f"up after {time.monotonic() - began:.0f} s")
    return 0 if good else 1


def stop(folder: Path) -> int:
    down(folder)
    say("down: nothing of the node is left")
    return 0


def status(folder: Path) -> int:
    lines, good = describe(folder)
    for line in lines:
        say(line)
    return 0 if good else 1


def load(folder: Path, archives: Sequence[str]) -> int:
    for name in load_images(open_node(folder).enclosure, [Path(each) for each in archives]):
        say(name)
    return 0


def run(folder: Path, command: Sequence[str]) -> int:
    """Become a command on the node: in its network, with the administrator's kubeconfig and the storage's keys."""
    node = open_node(folder)
    environment = {**os.environ, **storage_environment(folder), "KUBECONFIG": str(node.kubeconfig)}
    os.execvpe("nsenter", [*node.entering, "env", "-C", str(Path.cwd()), *command], environment)


def main(arguments: Sequence[str]) -> int:
    folder = node_folder()
    try:
        match arguments:
            case ["check"]:
                return check(folder)
            case ["up"]:
                return start(folder)
            case ["down"]:
                return stop(folder)
            case ["status"]:
                return status(folder)
            case ["load", _, *_]:
                return load(folder, arguments[1:])
            case ["run", _, *_]:
                return run(folder, arguments[1:])
    except (MissingBinaryError, NotReadyError, RefusedError, UnfitMachineError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{USAGE}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
