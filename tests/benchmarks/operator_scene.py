"""The scene of the operator's figures: a control plane with simulated nodes, a Prefect, and the operator's process."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.benchmarks.timing import ROOT
from tests.cluster.control_plane import ControlPlane, control_plane, wait_until
from tests.cluster.operators import Operator, operator, rights
from tests.cluster.processes import Ports, Process

__all__ = ["NAMESPACE", "PrefectServer", "Scene", "real_prefect", "scene", "stand_in"]

NAMESPACE = "team"
OWN = "backsweep"
SETTINGS = {  # the release's own, but for the limit of sweeps at once
    "BACKSWEEP_LEASE_SECONDS": "30",
    "BACKSWEEP_POLL_SECONDS": "10",
    "BACKSWEEP_MAX_CONCURRENT_SWEEPS": "5000",
}
CALLED = re.compile(r'backsweep_api_calls_total{api="(?P<api>.+)",call="(?P<call>.+)",code=".+"} (?P<count>\S+)')
RARE = 0.05  # calls a sweep: these are about no sweep
SETTLED_SECONDS = 5.0
SHOWN = {
    "etcd": "etcd",
    "kube-apiserver": "API server",
    "kube-controller-manager": "controller manager",
    "kube-scheduler": "scheduler",
    "kwok": "KWOK",
    "ray-operator": "KubeRay",
}


@dataclass(frozen=True)
class PrefectServer:
    """Where Prefect's API is, which process it is, and how one signs in."""

    url: str
    pid: int
    auth: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each request."""
        if self.auth is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(self.auth.encode()).decode()}


@dataclass(frozen=True)
class Scene:
    """Everything that runs; the operator is started and ended by `serve` and `rest`."""

    plane: ControlPlane
    prefect: PrefectServer
    operator: Operator

    def serve(self) -> None:
        """Start the operator and wait until it leads; it has not looked at anything yet."""
        self.operator.process.start()
        wait_until(lambda: self.operator.count("backsweep_leading") == 1, "an operator that leads")

    def rest(self) -> None:
        """End the operator, and have KubeRay make nothing meanwhile."""
        self.operator.process.stop()
        self.plane.components["ray-operator"].stop()

    @property
    def processes(self) -> dict[str, int]:
        """The processes that run, by the names they have in tables; this program is the load."""
        found = {"Prefect": self.prefect.pid}
        if self.operator.process.alive():
            found["operator"] = self.operator.process.pid
        for name, shown in SHOWN.items():
            if self.plane.components[name].alive():
                found[shown] = self.plane.components[name].pid
        return {**found, "load": os.getpid()}

    def calls(self, sweeps: int) -> dict[str, dict[str, float]]:
        """Return how often the operator has called for each of so many sweeps, by API and call."""
        found: dict[str, dict[str, float]] = {}
        for line in self.operator.ask("/metrics")[1].splitlines():
            if told := CALLED.match(line):
                calls = found.setdefault(told["api"], {})
                calls[told["call"]] = calls.get(told["call"], 0.0) + float(told["count"]) / sweeps
        return {api: {call: n for call, n in calls.items() if n > RARE} for api, calls in found.items()}

    def sweeps(self, state: str) -> int:
        """Return how many sweeps are in a state, as the operator says."""
        return round(self.operator.count(f'backsweep_sweeps{{state="{state}"}}'))

    def settled(self) -> bool:
        """Whether the operator writes no status for some seconds."""
        before = self.operator.count("backsweep_status_writes_total")
        time.sleep(SETTLED_SECONDS)
        return self.operator.count("backsweep_status_writes_total") == before


@contextlib.contextmanager
def scene(folder: Path, prefect: PrefectServer, ports: Ports) -> Iterator[Scene]:
    """Start a control plane with simulated nodes, and say how the operator is started; everything ends with it."""
    with control_plane(folder, flags={"ray-operator": ["--reconcile-concurrency=10"]}) as plane:
        _install(plane)
        auth = {} if prefect.auth is None else {"PREFECT_API_AUTH_STRING": prefect.auth}
        variables: Mapping[str, str] = {**SETTINGS, **auth, "PREFECT_API_URL": prefect.url}
        serving = operator(plane, NAMESPACE, OWN, (ports.claim(), 0), **variables)
        try:
            yield Scene(plane, prefect, serving)
        finally:
            serving.process.kill()


@contextlib.contextmanager
def stand_in(folder: Path, ports: Ports) -> Iterator[PrefectServer]:
    """Start the stand-in for Prefect."""
    port = ports.claim()
    command = [sys.executable, "-m", "tests.cluster.prefect_stand_in", str(port)]
    process = Process("prefect", command, folder, {"PYTHONPATH": str(ROOT)})
    process.start()
    try:
        yield PrefectServer(f"http://127.0.0.1:{port}/api", process.pid)
    finally:
        process.kill()


@contextlib.contextmanager
def real_prefect(folder: Path) -> Iterator[PrefectServer]:
    """Start a real Prefect server with a new database, as a run on a laptop does."""
    from backsweep.orchestration import server

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSWEEP_STATE", str(folder / "state"))
        patch.delenv("PREFECT_API_URL", raising=False)
        endpoint = server.ensure()
        try:
            record = server.status().record
            assert record is not None, "a server that answers has a record"
            yield PrefectServer(endpoint.api_url, record.pid, endpoint.auth)
        finally:
            server.stop()


def _install(plane: ControlPlane) -> None:
    """Install the real definition with its policy, and the rights the operator has in a cluster."""
    plane.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
    served = ("api-resources", "--api-group=backsweep.dev", "--output=name")
    wait_until(lambda: "backtestsweeps" in plane.kubectl(*served), "an API server that serves BacktestSweeps")
    plane.make_namespace(NAMESPACE, {"pod-security.kubernetes.io/enforce": "restricted"})
    plane.make_namespace(OWN)
    plane.apply(*rights(OWN, NAMESPACE))
