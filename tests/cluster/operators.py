"""The operator as a real process under its own ServiceAccount, with what the chart grants it."""

from __future__ import annotations

import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.charts.rendering import CHART, Helm, parsed
from tests.cluster import binaries
from tests.cluster.components import open_definition
from tests.cluster.control_plane import SECONDS_TO_START, ControlPlane, Object, wait_until
from tests.cluster.processes import Process

from backsweep_operator.main import TRANSIENT

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "crds" / "backsweep.dev_backtestsweeps.yaml"
ACCOUNT = "backsweep-operator"


def sweep_definition() -> Object:
    """Return a definition that takes any spec: what is refused is not tested by it."""
    return open_definition("BacktestSweep", "backsweep.dev", "v1alpha1")


def install_definition(plane: ControlPlane) -> None:
    """Install the definition of sweeps, without its policy, and wait until it is served."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={DEFINITION}")
    plane.await_kinds("backtestsweeps.backsweep.dev")


def rights(own: str, *namespaces: str) -> list[Object]:
    """Return what the chart of a release gives the operator in these namespaces: its account and its Roles."""
    chart = ("template", "backsweep", str(CHART), f"--namespace={own}", "--kube-version=1.34.4")
    values = f"--set=watchNamespaces={{{','.join(namespaces)}}}"
    rendered = Helm(binaries.find("helm")).run(*chart, values, "--show-only=templates/operator/access.yaml")
    return list(parsed(rendered))


def prepare(plane: ControlPlane, namespace: str) -> str:
    """Install what the operator needs to serve a namespace, and return its own namespace."""
    own = f"{namespace}-system"
    install_definition(plane)
    plane.make_namespace(own)
    plane.apply(*rights(own, namespace))
    return own


@dataclass(frozen=True)
class Operator:
    """One process of the operator."""

    process: Process
    port: int
    kubeconfig: Path

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def leads(self) -> bool:
        return self.count("backsweep_leading") == 1 and self.ask("/readyz")[0] == 200

    def leads_again(self) -> bool:
        """Start it again if it has ended, and say whether it leads."""
        self.revive()
        return self.leads()

    def revive(self) -> None:
        """Start it again if it was killed or has lost its lease, as Kubernetes does; on a bug of its own fail."""
        if not self.process.alive():
            code = self.process.stop()
            assert code in (-signal.SIGKILL, TRANSIENT), f"it ended by {code}:\n{self.process.last_lines()}"
            self.process.start()

    def count(self, name: str, **labels: str) -> float:
        """Return the sum of a metric over its labels but those that are given."""
        lines = [line for line in self.ask("/metrics")[1].splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        pairs = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(pair in line for pair in pairs))


def operator(plane: ControlPlane, namespace: str, own: str, ports: tuple[int, int], **more: str) -> Operator:
    """Return an operator that is not started yet.

    Parameters
    ----------
    ports : its own, and that of Prefect.
    more : further variables of its environment.
    """
    kubeconfig = plane.account_kubeconfig(own, ACCOUNT)
    environment = {
        "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'api'}",
        "KUBECONFIG": str(kubeconfig),
        "PREFECT_API_URL": f"http://127.0.0.1:{ports[1]}/api",
        "BACKSWEEP_NAMESPACE": own,
        "BACKSWEEP_WATCH_NAMESPACES": namespace,
        "BACKSWEEP_IMAGE": "backsweep:1",
        "BACKSWEEP_LISTEN": f"127.0.0.1:{ports[0]}",
        "BACKSWEEP_IDENTITY": f"operator-{ports[0]}",
        "BACKSWEEP_POLL_SECONDS": "1",
        **more,
    }
    name = f"{own}-operator-{ports[0]}"
    command = [sys.executable, "-W", "error", "-m", "backsweep_operator"]
    return Operator(Process(name, command, plane.folder, environment), ports[0], kubeconfig)


def start(each: Operator) -> None:
    """Start an operator and wait until it answers."""
    each.process.start()
    each.process.wait_until(lambda: each.ask("/healthz")[0] != 0, SECONDS_TO_START)


def sweep(name: str, namespace: str, **more: Any) -> Object:
    """Return a sweep of four trials that wants a Ray cluster."""
    return {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "data": {"name": "sp500-20"},
            "axes": {"profile": ["hrp", "min_variance"], "lookback": [126, 252]},
            "storage": {"uri": "s3://bucket/prefix", "secretRef": {"name": "keys"}},
            "execution": {"mode": "ray"},
            "cluster": {"workers": {"min": 1, "max": 1, "cpu": "1", "memory": "1Gi"}},
            **more,
        },
    }


def gone(plane: ControlPlane, namespace: str) -> None:
    """Wait until nothing of any sweep is left."""
    kinds = "rayclusters,networkpolicies,jobs,pods"
    wait_until(lambda: not plane.all(kinds, namespace), f"nothing in {namespace}")
