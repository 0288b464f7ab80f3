"""The whole chain for tests: a real operator, KubeRay, Prefect server and API server; only what runs in pods is played.

Each chain has a namespace, an operator and a work pool of its own; the programs behind it are the session's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.clusters import SECONDS_TO_COME
from tests.cluster.control_plane import ControlPlane, Object, wait_until
from tests.cluster.operators import Operator, operator, prepare, start, sweep
from tests.cluster.prefect_server import PrefectServer
from tests.cluster.prefect_worker import Ends, PrefectWorker
from tests.cluster.processes import Ports

from backsweep_api.conditions import ConditionType, State
from backsweep_api.names import LABEL_SWEEP

NAMES = itertools.count(1)
MADE = "rayclusters,networkpolicies,jobs,pods"


@dataclass
class Chain:
    """A namespace in which sweeps are served."""

    plane: ControlPlane
    prefect: PrefectServer
    namespace: str
    operator: Operator
    worker: PrefectWorker

    def apply(self, name: str, *, ends: Ends = (), **spec: Any) -> None:
        """Apply a sweep, and say how the flows of its attempts end."""
        self.worker.ends[name] = ends
        self.plane.apply(sweep(name, self.namespace, **spec))

    def delete(self, name: str) -> None:
        self.plane.kubectl("delete", "backtestsweep", name, f"--namespace={self.namespace}")

    def until(self, holds: Callable[[], bool], what: str, seconds: float = SECONDS_TO_COME) -> None:
        """Wait for something while the worker and its flows do their part, and who restarts an operator that ended."""

        def does() -> bool:
            self.operator.revive()
            self.worker.work()
            return holds()

        wait_until(does, what, seconds)

    def reaches(
        self, name: str, state: State, reason: str = "", *, attempt: int = 0, seconds: float = SECONDS_TO_COME
    ) -> None:
        """Wait until a sweep is in a state, at an attempt if one is given; of one that failed or rests also see why."""

        def holds() -> bool:
            status = self.status(name)
            said = reason_of(status, ConditionType.COMPLETE)
            if said != state or (attempt and status["run"]["attempt"] != attempt):
                return False
            assert not reason or reason_of(status, ConditionType(state)) == reason, status
            return True

        self.until(holds, f"{name} to be {state}", seconds)

    def status(self, name: str) -> Object:
        found: Object = self.plane.get("backtestsweep", name, self.namespace).get("status", {})
        return found

    def state(self, name: str) -> str:
        return reason_of(self.status(name), ConditionType.COMPLETE)

    def failure(self, name: str) -> str:
        """Return the sentence by which a sweep says why it failed."""
        (found,) = [each for each in self.status(name)["conditions"] if each["type"] == ConditionType.FAILED]
        return str(found["message"])

    def made(self, name: str, kinds: str = MADE) -> list[Object]:
        """Return what is there of a sweep."""
        return self.plane.all(kinds, self.namespace, f"{LABEL_SWEEP}={name}")

    def flow_runs(self, name: str) -> list[Object]:
        """Return all flow runs a sweep ever had, the first one first."""
        wanted = {"flow_runs": {"name": {"like_": f"{self.namespace}/{name}-"}}, "sort": "EXPECTED_START_TIME_ASC"}
        found: list[Object] = self.prefect.ask("POST", "/flow_runs/filter", wanted)
        return found

    def states_in_prefect(self, name: str) -> list[str]:
        return [run["state_type"] for run in self.flow_runs(name)]


def reason_of(status: Object, kind: ConditionType) -> str:
    """Return the reason of a condition; none where it is not there yet."""
    return next((str(each["reason"]) for each in status.get("conditions", ()) if each["type"] == kind), "")


def connections(prefect: PrefectServer) -> dict[str, str]:
    """Return the variables by which an operator finds its Prefect server."""
    return {"PREFECT_API_URL": prefect.endpoint.api_url, "PREFECT_API_AUTH_STRING": prefect.endpoint.auth or ""}


@contextmanager
def new_chain(plane: ControlPlane, prefect: PrefectServer, **settings: str) -> Iterator[Chain]:
    """Start an operator in a new namespace, and end it afterwards.

    Parameters
    ----------
    settings : variables of the operator's environment.
    """
    namespace, ports = f"chain-{next(NAMES)}", Ports()
    plane.make_namespace(namespace, {"pod-security.kubernetes.io/enforce": "restricted"})
    own = prepare(plane, namespace)
    worker = PrefectWorker(plane, prefect, namespace, pool=namespace)
    worker.start()
    environment = {
        **connections(prefect),
        "BACKSWEEP_WORK_POOL": worker.pool,
        "BACKSWEEP_RETRY_SECONDS": "1",
        "BACKSWEEP_STATUS_SECONDS": "1",
        **settings,
    }
    serving = operator(plane, namespace, own, (ports.claim(), 0), **environment)
    try:
        start(serving)
        wait_until(serving.leads, "an operator that leads")
        yield Chain(plane, prefect, namespace, serving, worker)
    finally:
        serving.process.kill()
        ports.release()
        for each in (namespace, own):
            plane.kubectl("delete", "namespace", each, "--wait=false")
