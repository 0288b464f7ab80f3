"""A real Kubernetes control plane on loopback, in a folder and with ports of its own: for tests, gone afterwards.

etcd, kube-apiserver (tokens, RBAC), controller manager, scheduler and KubeRay's operator are the real programs. Nodes
and pods are KWOK's: pods are scheduled and reported ready, but nothing runs in them; how one ends is `end_pod`'s part.
"""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import binaries
from tests.cluster.api_calls import ApiCalls
from tests.cluster.clusters import (
    SECONDS_TO_START,
    Cluster,
    Object,
    OwnCluster,
    RefusedError,
    secret_text,
    wait_until,
)
from tests.cluster.components import ORDER, USERS, Addresses, commands_of, fake_node, kuberay_access, open_definition
from tests.cluster.credentials import write_certificates, write_kubeconfig, write_tokens
from tests.cluster.objects import Objects
from tests.cluster.processes import Ports, Process
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "SECONDS_TO_START",
    "ControlPlane",
    "Object",
    "RefusedError",
    "control_plane",
    "secret_text",
    "wait_until",
]


@dataclass
class ControlPlane(OwnCluster):
    """The running programs, and what tests do with them.

    `components` are etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok and ray-operator: each can be
    killed, paused, stopped and started on its own. `kubeconfig` is the administrator's.
    """

    components: dict[str, Process]

    @cached_property
    def objects(self) -> Objects:
        """What is there, without a process of kubectl for each look."""
        return Objects(ApiCalls(self))

    @override
    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        return self.objects.get(kind, name, namespace)

    @override
    def all(self, kind: str, namespace: str = "default", selector: str = "") -> list[Object]:
        return self.objects.all(kind, namespace, selector)

    @override
    def apply(self, *objects: Object, kubeconfig: Path | None = None) -> None:
        if kubeconfig is None:
            self.objects.apply(*objects)
        else:
            super().apply(*objects, kubeconfig=kubeconfig)

    @override
    def await_kinds(self, *names: str) -> None:
        def all_served() -> bool:
            return set(names) <= {each.full_name for each in self.objects.served()}

        wait_until(all_served, f"{', '.join(names)} to be served")

    def add_nodes(self, count: int) -> None:
        """Add fake nodes and wait until they are ready; each has room for any number of pods."""
        present = len(self.all("nodes"))
        self.apply(*(fake_node(f"fake-{number}") for number in range(present, present + count)))
        self.await_all(self._nodes_ready, "the nodes to be ready")

    def _nodes_ready(self) -> bool:
        nodes = self.all("nodes")
        found = [
            each for node in nodes for each in node.get("status", {}).get("conditions", ()) if each["type"] == "Ready"
        ]
        return len(found) == len(nodes) and all(each["status"] == "True" for each in found)

    def end_pod(self, name: str, namespace: str = "default", *, exit_code: int = 0, message: str = "") -> None:
        """Let a running fake pod end as if its containers had, with a termination message.

        This is the simulator of what runs in pods: the only part of a test's cluster that is not real.
        """
        pod = self.get("pod", name, namespace)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        reason = "Completed" if exit_code == 0 else "Error"
        ended = {"exitCode": exit_code, "finishedAt": now, "message": message, "reason": reason, "startedAt": now}
        statuses = [
            {**each, "ready": False, "started": False, "state": {"terminated": ended}}
            for each in pod["status"]["containerStatuses"]
        ]
        phase = "Succeeded" if exit_code == 0 else "Failed"
        change = {"status": {"phase": phase, "containerStatuses": statuses}}
        self.objects.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", change)


@contextmanager
def control_plane(
    folder: Path, *, nodes: int = 3, flags: Mapping[str, Sequence[str]] | None = None
) -> Iterator[ControlPlane]:
    """Start everything, give it, and end everything: also when the process that started it is killed.

    Parameters
    ----------
    folder : Path
        Where data, keys, kubeconfig files and a log of each program go; made if it is not there.
    nodes : int
        How many fake nodes there are at first.
    flags : mapping of str to sequence of str, optional
        More flags by program, e.g. {"kube-apiserver": ["--min-request-timeout=5"]} for watches that end soon.

    Raises
    ------
    MissingBinaryError
        If a program is not here: `make cluster-binaries`.
    NotReadyError
        If one does not come up; with the end of its log.
    """
    found = {name: binaries.find(name) for name in ORDER}
    crds = binaries.KUBERAY.folder()
    folder.mkdir(parents=True, exist_ok=True)
    ports = Ports()
    try:
        addresses = Addresses(*(ports.claim() for _ in range(5)))
        plane = prepare(folder, addresses, found, flags or {})
        try:
            bring_up(plane, crds, nodes)
            yield plane
        finally:
            plane.objects.close()
            for name in reversed(ORDER):
                plane.components[name].kill()
    finally:
        ports.release()


def prepare(
    folder: Path, addresses: Addresses, found: Mapping[str, Path], flags: Mapping[str, Sequence[str]]
) -> ControlPlane:
    """Write keys, tokens and kubeconfig files, and say how each program is started."""
    write_certificates(folder)
    shutil.copyfile(Path(__file__).with_name("pods.kwok.yaml"), folder / "pods.kwok.yaml")
    tokens = write_tokens(folder / "tokens.csv", USERS)
    url = f"https://127.0.0.1:{addresses.api}"
    configs = {
        user: write_kubeconfig(folder / f"{user.replace(':', '-')}.kubeconfig", url, folder / "ca.crt", token)
        for user, token in tokens.items()
    }
    components = {}
    for name, arguments in commands_of(folder, addresses, configs).items():
        command = [str(found[name]), *arguments, *flags.get(name, ())]
        components[name] = Process(name, command, folder, {"POD_NAMESPACE": "kuberay", "GOMAXPROCS": "2"})
    return ControlPlane(folder, url, configs["admin"], components, addresses.probes())


def bring_up(plane: ControlPlane, kuberay: Path, nodes: int) -> None:
    """Start the programs in an order in which none waits for a later one."""
    plane.start("etcd")
    plane.start("kube-apiserver")
    for name in ("kube-controller-manager", "kube-scheduler", "kwok"):
        plane.start(name)
    admit_kuberay(plane, kuberay)
    plane.start("ray-operator")
    plane.add_nodes(nodes)
    plane.await_all(lambda: any(plane.all("serviceaccounts")), "the default service account")


def admit_kuberay(cluster: Cluster, kuberay: Path) -> None:
    """Bring what KubeRay's operator finds when it starts: its kinds and its rights.

    Of its kinds RayCluster is the one we use. The schemas of the others, a megabyte each, keep the API server busy for
    many seconds, and again with every definition that comes later.
    """
    files = (kuberay / "crds" / "ray.io_rayclusters.yaml", kuberay / "role.yaml")
    cluster.kubectl("apply", "--server-side", *(f"--filename={each}" for each in files))
    others = [open_definition(kind, "ray.io", "v1") for kind in ("RayJob", "RayService", "RayCronJob")]
    cluster.apply(*kuberay_access(), *others)
    cluster.await_kinds("rayclusters.ray.io", *(each["metadata"]["name"] for each in others))
