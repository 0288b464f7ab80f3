"""Programs on the node: they outlive the command that started them, and end with the node's first process."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tests.cluster.node import cgroups
from tests.cluster.node.enclosure import Identity
from tests.cluster.node.places import node_name
from tests.cluster.processes import NotReadyError, Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.cluster.node.enclosure import Enclosure

# Is counted as the node's, says its number, and becomes the program.
BECOME = """
log=$1 entrances=$2; shift 2
for each in $entrances; do echo 0 >"$each" || exit; done
echo $$
exec "$@" >>"$log" 2>&1
"""
SECONDS_TO_END = 30.0


class Daemon(Program):
    """A program inside the enclosure, known by a record in the node's folder to whoever comes later."""

    def __init__(
        self, name: str, command: Sequence[str], enclosure: Enclosure, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name, enclosure.folder)
        self._command = command
        self._enclosure = enclosure
        self._environment = environment
        self._record = enclosure.folder / f"{name}.process"

    @property
    def pid(self) -> int:
        """Its number inside the enclosure."""
        known = Identity.read(self._record)
        assert known is not None, f"{self.name} was never started"
        return known.pid

    def start(self) -> None:
        assert not self.alive(), f"{self.name} runs already"
        entrances = " ".join(map(str, cgroups.entrances(node_name(self._enclosure.folder))))
        become = ("setsid", "--fork", "sh", "-c", BECOME, self.name, str(self.log), entrances)
        pid = int(self._enclosure.run(*become, *self._command, environment=self._environment))
        started = Identity.of(pid, self._enclosure.processes)
        (started or Identity(pid, 0)).write(self._record)  # one that ended at once is found to be gone

    def alive(self) -> bool:
        known = Identity.read(self._record)
        if known is None or self._enclosure.pid is None:
            return False
        return Identity.of(known.pid, self._enclosure.processes) == known

    def send(self, number: signal.Signals) -> None:
        if self.alive():
            name = number.name.removeprefix("SIG")
            self._enclosure.run("sh", "-c", f"kill -s {name} -- -{self.pid}")

    def join(self) -> None:
        """Wait for its end.

        Raises
        ------
        NotReadyError
            If the kernel cannot end it.
        """
        deadline = time.monotonic() + SECONDS_TO_END
        while self.alive():
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} was killed but has not ended")
            time.sleep(0.02)
