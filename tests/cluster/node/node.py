"""A real Kubernetes of one node on this machine: real pods, nothing leaves the machine, nothing is left behind.

All of it runs in an enclosure (enclosure.py) and has its files in one folder. By that it is found again: a node
outlives the command that started it.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import binaries
from tests.cluster.clusters import SECONDS_TO_START, OwnCluster, RefusedError, wait_until
from tests.cluster.control_plane import admit_kuberay
from tests.cluster.credentials import (
    write_certificates,
    write_client_certificate,
    write_kubeconfig,
    write_tokens,
)
from tests.cluster.node import cgroups
from tests.cluster.node.daemons import Daemon
from tests.cluster.node.enclosure import ENVIRONMENT, Enclosure
from tests.cluster.node.images import load_images, write_busybox_image
from tests.cluster.node.machine import UnfitMachineError, check_machine
from tests.cluster.node.network import ADDRESS, make_network, write_network_files
from tests.cluster.node.places import node_name
from tests.cluster.node.programs import (
    ADDRESSES,
    NODE,
    NODE_USERS,
    ORDER,
    PROBES,
    commands_of,
    coredns_access,
    write_settings,
)
from tests.cluster.node.storage import make_bucket, server_environment, write_storage_keys
from tests.cluster.node.volumes import make_folders, volumes
from tests.cluster.processes import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Debian's; all others are found or built as for tests/cluster.
CONTAINERD = "containerd"
BROUGHT = ("kubectl", *(name for name in ORDER if name != CONTAINERD))
URL = f"https://127.0.0.1:{ADDRESSES.api}"
# A folder without this file is not ours to remove.
MARK = "backsweep-node"
# Who asks the node has its share of the machine: else pods that compute starve kubectl, and an answer takes a minute.
COUNTED = 'for each in $1; do echo 0 >"$each" || exit; done; shift; exec "$@"'
ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"


@dataclass
class Node(OwnCluster):
    """The node's cluster: kubectl as its administrator, and its programs."""

    components: dict[str, Daemon]
    enclosure: Enclosure

    def serves(self, url: str) -> bool:
        """Ask from inside: nothing answers anywhere else."""
        try:
            if url.startswith("https:"):
                self.kubectl("get", "--raw=/readyz")
            elif url.startswith("unix:"):
                self.enclosure.run("ctr", "version")
            else:
                self.enclosure.run(sys.executable, "-I", "-c", ASK, url)
        except (NotReadyError, RefusedError):
            return False
        return True

    def is_ready(self) -> bool:
        nodes = [each for each in self.all("nodes") if each["metadata"]["name"] == NODE]
        conditions = [each for node in nodes for each in node["status"].get("conditions", [])]
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def open_node(folder: Path) -> Node:
    """Find the node in a folder.

    Raises
    ------
    NotReadyError
        If it is not up.
    """
    enclosure = Enclosure(folder)
    entering = enclosure.entering()
    environments: Mapping[str, Mapping[str, str]] = {
        "minio": server_environment(folder),
        "ray-operator": {"POD_NAMESPACE": "kuberay"},
    }
    components = {}
    for name, arguments in commands_of(folder, kubeconfigs(folder)).items():
        command = [str(program(name)), *arguments]
        components[name] = Daemon(name, command, enclosure, {"GOMAXPROCS": "2", **environments.get(name, {})})
    admin = kubeconfigs(folder)["admin"]
    return Node(folder, URL, admin, components, PROBES, enclosure, entering=(*entering, *counted(folder)))


def counted(folder: Path) -> tuple[str, ...]:
    """Return the beginning of a command whose rest has its part of the node's share of the machine."""
    return ("sh", "-c", COUNTED, "counted", " ".join(map(str, cgroups.entrances(node_name(folder)))))


def program(name: str) -> Path:
    if name != CONTAINERD:
        return binaries.find(name)
    found = shutil.which(name, path=ENVIRONMENT["PATH"])
    assert found, "check_machine has looked for it"
    return Path(found)


def kubeconfigs(folder: Path) -> dict[str, Path]:
    return {user: folder / f"{user.replace(':', '-')}.kubeconfig" for user in NODE_USERS}


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else start or stop the node in this folder meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up(folder: Path, say: Callable[[str], None]) -> Node:
    """Start the node, or what of it does not run, and wait until it is ready.

    Raises
    ------
    UnfitMachineError, MissingBinaryError
        If something is missing on this machine.
    NotReadyError, RefusedError
        If a program does not come up.
    """
    check_machine(folder)
    binaries.bring(BROUGHT)
    with alone(folder):
        if Enclosure(folder).pid is None:
            remove(folder)
            prepare(folder)
            enclose(folder)
        node = open_node(folder)
        bring_up(node, say)
    return node


def prepare(folder: Path) -> None:
    """Write keys, tokens, settings and folders: new ones for each start.

    Raises
    ------
    UnfitMachineError
        If the folder is somebody else's.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise UnfitMachineError(f"{folder} holds files that are no node's: name another folder by BACKSWEEP_NODE")
    for name in ("containerd", "kubelet", "minio"):
        (folder / name).mkdir(parents=True)
    (folder / MARK).touch()
    folder.chmod(0o700)
    authority = write_certificates(folder, ADDRESS)
    write_client_certificate(authority, "kubelet-client", "kube-apiserver", "system:masters")
    configs = kubeconfigs(folder)
    for user, token in write_tokens(folder / "tokens.csv", NODE_USERS).items():
        write_kubeconfig(configs[user], URL, folder / "ca.crt", token)
    write_settings(folder, configs, node_name(folder))
    write_network_files(folder)
    write_storage_keys(folder)
    write_busybox_image(folder / "busybox.tar")
    make_folders(folder)


def enclose(folder: Path) -> None:
    """Make what the programs run in; all of it or nothing."""
    enclosure = Enclosure(folder)
    cgroups.make(node_name(folder))
    try:
        enclosure.begin()
        make_network(enclosure)
    except BaseException:
        enclosure.end()
        cgroups.remove(node_name(folder))
        raise


def bring_up(node: Node, say: Callable[[str], None]) -> None:
    """Start the programs that do not run, in an order in which none waits for a later one."""
    before: dict[str, Callable[[], object]] = {
        "kubelet": lambda: load_images(node.enclosure, [node.folder / "busybox.tar"]),
        "coredns": lambda: node.apply(*coredns_access()),
        "ray-operator": partial(admit_kuberay, node, binaries.KUBERAY.folder()),
    }
    waiting = [name for name in ORDER if not node.components[name].alive()]
    for name in waiting:
        if name in before:
            before[name]()
        say(f"starting {name}")
        node.start(name)
    wait_until(node.is_ready, "the node to be ready", SECONDS_TO_START)
    if "minio" in waiting:
        make_bucket(node.enclosure)
        node.apply(*volumes(node.folder))


def down(folder: Path) -> None:
    """Stop all of the node and remove its files; also what a node that ended otherwise left."""
    with alone(folder):
        remove(folder)


def remove(folder: Path) -> None:
    Enclosure(folder).end()
    cgroups.remove(node_name(folder))
    if (folder / MARK).exists():
        shutil.rmtree(folder)
