"""A cluster as tests talk to it: kubectl for one user, and waiting for what others in the cluster do."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster import binaries
from tests.cluster.credentials import write_kubeconfig
from tests.cluster.processes import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.cluster.processes import Program

# A busy machine of two cores starts the API server in 10 s; this is for one that also builds something.
SECONDS_TO_START = 180.0
# Limits cost nothing where all goes well; on a machine with other work a program's start alone can take a minute.
SECONDS_TO_COME = 120.0
FIELD_MANAGER = "backsweep-tests"

Object = dict[str, Any]


class RefusedError(Exception):
    """The API server, or kubectl, said no; the text is what it said."""


@dataclass
class Cluster:
    """Where a cluster is, and who we are there.

    `folder` is ours to write to; `entering` is the command that enters the network the cluster can be reached from.
    """

    folder: Path
    url: str
    kubeconfig: Path
    _: KW_ONLY
    entering: tuple[str, ...] = ()
    _kubectl: Path = field(default_factory=lambda: binaries.find("kubectl"))

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl as the administrator, or as who the kubeconfig is, and return what it prints.

        Raises
        ------
        RefusedError
            If it fails; with its own words.
        """
        whose = f"--kubeconfig={kubeconfig or self.kubeconfig}"
        command = [*self.entering, str(self._kubectl), whose, *arguments]
        # Without a HOME of its own kubectl would read and write the developer's discovery cache.
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            raise RefusedError(done.stderr.strip() or done.stdout.strip())
        return done.stdout

    def apply(self, *objects: Object, kubeconfig: Path | None = None) -> None:
        """Apply objects on the server's side, as tools like Argo CD do."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        arguments = ("apply", "--server-side", f"--field-manager={FIELD_MANAGER}", "-f", "-")
        self.kubectl(*arguments, stdin=text, kubeconfig=kubeconfig)

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

    def await_kinds(self, *names: str) -> None:
        """Wait until kinds are served, named as their definitions are.

        `kubectl wait` would fail on a definition that has no status yet.
        """
        served = ("api-resources", "--output=name")
        wait_until(lambda: set(names) <= set(self.kubectl(*served).split()), f"{', '.join(names)} to be served")

    def account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Write the kubeconfig of a ServiceAccount that exists: what its pods would be allowed, and no more."""
        token = self.kubectl("create", "token", name, f"--namespace={namespace}", "--duration=12h").strip()
        path = self.folder / f"{namespace}.{name}.kubeconfig"
        path.unlink(missing_ok=True)
        return write_kubeconfig(path, self.url, self.folder / "ca.crt", token)


def given_cluster(folder: Path, kubeconfig: Path) -> Cluster:
    """Return the cluster of somebody's kubeconfig, with what we write in a folder of our own."""
    cluster = Cluster(folder, "", kubeconfig)
    view = json.loads(cluster.kubectl("config", "view", "--minify", "--flatten", "--output=json"))
    (found,) = (each["cluster"] for each in view["clusters"])
    (folder / "ca.crt").write_bytes(base64.b64decode(found["certificate-authority-data"]))
    return replace(cluster, url=found["server"])


@dataclass
class OwnCluster(Cluster):
    """A cluster whose programs are ours to kill, pause and start again: `components`, by name.

    `probes` are the addresses that answer 200 once a program serves.
    """

    components: Mapping[str, Program]
    probes: Mapping[str, str]

    def start(self, name: str) -> None:
        """Start one program and wait until it serves."""
        program = self.components[name]
        program.start()
        if name in self.probes:
            program.wait_until(lambda: self.serves(self.probes[name]), SECONDS_TO_START)

    def restart(self, name: str) -> None:
        """Kill one program as a crash does, start it again, and wait until it serves."""
        self.components[name].kill()
        self.start(name)

    def await_all(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for what the programs do together; one that ends meanwhile is started again once, as a node does.

        Nobody else would notice: the controller manager ends if the API server answers nothing for half a minute while
        it starts, as on a machine that is busy, and then there are no service accounts, ever.

        Raises
        ------
        NotReadyError
            If it does not come to be, or if a program ends twice; with the end of its log.
        """
        ended: set[str] = set()

        def comes() -> bool:
            for name in [name for name, program in self.components.items() if not program.alive()]:
                if name in ended:
                    raise NotReadyError(f"{name} ended twice; its log ends with:\n{self.components[name].last_lines()}")
                ended.add(name)
                self.start(name)
            return holds()

        wait_until(comes, what, SECONDS_TO_START)

    def serves(self, url: str) -> bool:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt") if url.startswith("https") else None
        try:
            with urllib.request.urlopen(url, timeout=10, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def wait_until(
    holds: Callable[[], bool], what: str, seconds: float = SECONDS_TO_COME, pause_seconds: float = 0.1
) -> None:
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
        time.sleep(pause_seconds)


def secret_text(secret: Object, key: str) -> str:
    """Read one value of a Secret."""
    return base64.b64decode(secret["data"][key]).decode()
