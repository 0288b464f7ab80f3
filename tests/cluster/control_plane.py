"""A real Kubernetes control plane on loopback, in a folder and with ports of its own: for tests, gone afterwards.

etcd, kube-apiserver (tokens, RBAC), controller manager, scheduler and KubeRay's operator are the real programs. Nodes
and pods are KWOK's: pods are scheduled and reported ready, but nothing runs in them; how one ends is `end_pod`'s part.
"""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster import binaries
from tests.cluster.components import ORDER, USERS, Addresses, commands_of, fake_node, kuberay_access
from tests.cluster.credentials import write_certificates, write_kubeconfig, write_tokens
from tests.cluster.processes import NotReadyError, Ports, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# A busy machine of two cores starts the API server in 10 s; this is for one that also builds something.
SECONDS_TO_START = 180.0
FIELD_MANAGER = "backsweep-tests"

Object = dict[str, Any]


class RefusedError(Exception):
    """The API server, or kubectl, said no; the text is what it said."""


@dataclass
class ControlPlane:
    """The running programs, and what tests do with them.

    `components` are etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok and ray-operator: each can be
    killed, paused, stopped and started on its own. `kubeconfig` is the administrator's.
    """

    folder: Path
    url: str
    kubeconfig: Path
    components: dict[str, Process]
    probes: dict[str, str]
    _kubectl: Path = field(default_factory=lambda: binaries.find("kubectl"))

    def start(self, name: str) -> None:
        """Start one program and wait until it serves."""
        process = self.components[name]
        process.start()
        if name in self.probes:
            process.wait_until(lambda: self.serves(self.probes[name]), SECONDS_TO_START)

    def restart(self, name: str) -> None:
        """Kill one program as a crash does, start it again, and wait until it serves."""
        self.components[name].kill()
        self.start(name)

    def serves(self, url: str) -> bool:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt") if url.startswith("https") else None
        try:
            with urllib.request.urlopen(url, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl as the administrator, or as who the kubeconfig is, and return what it prints.

        Raises
        ------
        RefusedError
            If it fails; with its own words.
        """
        command = [str(self._kubectl), f"--kubeconfig={kubeconfig or self.kubeconfig}", *arguments]
        # Without a HOME of its own kubectl would read and write the developer's discovery cache.
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise RefusedError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def apply(self, *objects: Object, kubeconfig: Path | None = None) -> str:
        """Apply objects on the server's side, as tools like Argo CD do, and return what kubectl says of each."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        arguments = ("apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-")
        return self.kubectl(*arguments, stdin=text, kubeconfig=kubeconfig)

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """Read one object.

        Raises
        ------
        RefusedError
            If there is none.
        """
        found: Object = json.loads(self.kubectl("get", kind, name, f"--namespace={namespace}", "--output=json"))
        return found

    def all(self, kind: str, namespace: str = "default", selector: str = "") -> list[Object]:
        """List the objects of a kind, in the order of their names."""
        arguments = ("get", kind, f"--namespace={namespace}", f"--selector={selector}", "--output=json")
        found: list[Object] = json.loads(self.kubectl(*arguments))["items"]
        return found

    def make_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace and wait for its default service account, without which no pod is admitted."""
        metadata = {"name": name, "labels": dict(labels or {})}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        wait_until(lambda: any(self.all("serviceaccounts", name)), f"a service account in {name}")

    def account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Write the kubeconfig of a ServiceAccount that exists: what its pods would be allowed, and no more."""
        token = self.kubectl("create", "token", name, f"--namespace={namespace}", "--duration=12h").strip()
        path = self.folder / f"{namespace}.{name}.kubeconfig"
        path.unlink(missing_ok=True)
        return write_kubeconfig(path, self.url, self.folder / "ca.crt", token)

    def add_nodes(self, count: int) -> None:
        """Add fake nodes and wait until they are ready; each has room for any number of pods."""
        present = len(json.loads(self.kubectl("get", "nodes", "--output=json"))["items"])
        self.apply(*(fake_node(f"fake-{number}") for number in range(present, present + count)))
        arguments = ("wait", "nodes", "--all", "--for=condition=Ready", f"--timeout={SECONDS_TO_START:g}s")
        self.kubectl(*arguments)

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
        patch = {"status": {"phase": phase, "containerStatuses": statuses}}
        arguments = ("patch", "pod", name, f"--namespace={namespace}", "--subresource=status", "--type=merge")
        self.kubectl(*arguments, f"--patch={json.dumps(patch)}")


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for something in the cluster.

    Raises
    ------
    NotReadyError
        If it does not come to be; `what` says what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            message = f"waited {seconds:g} s for {what}"
            raise NotReadyError(message)
        time.sleep(0.1)


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
    plane.kubectl("apply", "--server-side", f"--filename={kuberay / 'crds'}", f"--filename={kuberay / 'role.yaml'}")
    plane.apply(*kuberay_access())
    plane.kubectl("wait", "crd", "--all", "--for=condition=Established", f"--timeout={SECONDS_TO_START:g}s")
    plane.start("ray-operator")
    plane.add_nodes(nodes)
    wait_until(lambda: any(plane.all("serviceaccounts")), "the default service account", SECONDS_TO_START)


def secret_text(secret: Object, key: str) -> str:
    """Read one value of a Secret."""
    return base64.b64decode(secret["data"][key]).decode()
