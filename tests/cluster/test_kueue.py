"""A real Kueue admits the clusters of sweeps that name a queue; what waits there costs nothing and loses no time."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.chains import Chain, new_chain, reason_of
from tests.cluster.control_plane import ControlPlane, Object, control_plane
from tests.cluster.kueue import kueue, queue, stop_queue, wait_until_active

from backsweep_api.conditions import ConditionType, State
from backsweep_api.names import FIELD_MANAGER
from backsweep_operator.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.prefect_server import PrefectServer

QUEUE = "night"
# A cluster here asks for a head of 1 core and 2 GiB and a worker of 1 core and 1 GiB: there is room for one.
QUOTA = {"cpu": "3", "memory": "5Gi"}
CLUSTER = {"queueName": QUEUE, "workers": {"min": 1, "max": 1, "cpu": "1", "memory": "1Gi"}}
SHORTEST_DEADLINE_SECONDS = 60
# The first test starts a control plane, Kueue and Prefect, and the last one waits for a deadline to pass.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Start a control plane of our own with Kueue: its webhooks would stand in the way of other tests."""
    with control_plane(tmp_path_factory.mktemp("kueue")) as started, kueue(started):
        yield started


@pytest.fixture(scope="module")
def chain(plane: ControlPlane, prefect_server: PrefectServer) -> Iterator[Chain]:
    with new_chain(plane, prefect_server) as found:
        plane.apply(*queue(QUEUE, found.namespace, QUOTA))
        wait_until_active(plane, QUEUE, found.namespace)
        yield found


@pytest.fixture(autouse=True)
def nothing_left(chain: Chain) -> Iterator[None]:
    """Delete all sweeps after each test, and wait until nothing is left, in Kueue neither."""
    yield
    chain.plane.kubectl("delete", "backtestsweeps", "--all", f"--namespace={chain.namespace}")
    chain.until(lambda: not any(left(chain, "")), "nothing to be left")


def left(chain: Chain, name: str) -> list[Object]:
    """Return what is there of the sweeps whose name begins so, with Kueue's own record of each cluster."""
    kinds = "rayclusters,networkpolicies,jobs,pods,workloads.kueue.x-k8s.io"
    found = chain.plane.all(kinds, chain.namespace)
    return [each for each in found if each["metadata"]["ownerReferences"][0]["name"].startswith(name)]


def run_of(chain: Chain, name: str) -> Any:
    return chain.status(name)["run"]


def runs(chain: Chain, name: str, *, attempt: int = 1) -> None:
    """Apply a sweep that may run, and wait until it does."""
    chain.apply(name, cluster=CLUSTER)
    chain.reaches(name, State.RUNNING, attempt=attempt)


def waits(chain: Chain, name: str, **spec: Any) -> Object:
    """Apply a sweep for which there is no room, wait until it says so, and return its cluster."""
    chain.apply(name, cluster=CLUSTER, **spec)
    return in_queue(chain, name)


def in_queue(chain: Chain, name: str) -> Object:
    """Wait until a sweep says that its cluster is in the queue, and return that cluster."""
    chain.until(
        lambda: reason_of(chain.status(name), ConditionType.CLUSTER_READY) == "QueuedByKueue",
        f"{name} to be in the queue",
    )
    assert chain.state(name) == State.STARTING
    (found,) = chain.made(name, "rayclusters")
    assert found["spec"]["suspend"] is True
    assert chain.made(name, "pods,jobs") == []
    assert "flowRunId" not in run_of(chain, name), "no flow begins for a cluster that waits"
    return found


def test_the_operator_leaves_to_kueue_what_is_kueues(chain: Chain) -> None:
    runs(chain, "first")
    before = waits(chain, "second")
    chain.operator.process.kill()
    chain.until(chain.operator.leads_again, "the operator to lead again")
    passes = chain.operator.count("backsweep_passes_total")
    chain.until(lambda: chain.operator.count("backsweep_passes_total") > passes + 5, "it to look at both again")
    after = in_queue(chain, "second")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] == 1, "nobody has changed its spec"
    chain.delete("first")
    chain.reaches("second", State.RUNNING, attempt=1)
    ours = [each for each in managers(chain, after) if each["manager"] == FIELD_MANAGER]
    assert ours
    assert not any("f:suspend" in each["fieldsV1"].get("f:spec", {}) for each in ours)


def managers(chain: Chain, cluster: Object) -> list[Any]:
    """Return who has set which fields of a cluster."""
    name = cluster["metadata"]["name"]
    arguments = ("get", "raycluster", name, f"--namespace={chain.namespace}", "--show-managed-fields", "--output=json")
    found: list[Any] = json.loads(chain.plane.kubectl(*arguments))["metadata"]["managedFields"]
    return found


def test_one_that_waits_and_is_suspended_or_deleted_leaves_nothing(chain: Chain) -> None:
    runs(chain, "first")
    waits(chain, "second")
    chain.apply("second", cluster=CLUSTER, suspend=True)
    chain.reaches("second", State.SUSPENDED)
    chain.until(lambda: not left(chain, "second"), "nothing of it to be left")
    waits(chain, "second", suspend=False)
    assert run_of(chain, "second")["attempt"] == 2
    chain.delete("second")
    chain.until(lambda: not left(chain, "second"), "nothing of it to be left")
    assert (chain.state("first"), run_of(chain, "first")["attempt"]) == (State.RUNNING, 1)


def test_one_that_kueue_takes_back_begins_anew_in_the_queue_and_has_lost_nothing(chain: Chain) -> None:
    runs(chain, "taken")
    stop_queue(chain.plane, QUEUE, "HoldAndDrain")
    chain.until(lambda: run_of(chain, "taken")["attempt"] == 2, "another attempt")
    in_queue(chain, "taken")
    stop_queue(chain.plane, QUEUE, "None")
    chain.reaches("taken", State.RUNNING, attempt=2)
    assert run_of(chain, "taken").get("failures", 0) == 0
    assert chain.states_in_prefect("taken") == ["CANCELLED", "RUNNING"]


def test_the_second_waits_until_the_first_has_finished_and_its_deadline_waits_with_it(chain: Chain) -> None:
    runs(chain, "early")
    waits(chain, "late", activeDeadlineSeconds=SHORTEST_DEADLINE_SECONDS)
    said = {each["message"] for each in chain.status("late")["conditions"]}
    assert "attempt 1: its cluster waits in Kueue's queue and its flow is not running yet" in said
    over = run_of(chain, "late")["runStartedAt"] + SHORTEST_DEADLINE_SECONDS
    chain.until(lambda: time.time() > over, "the moment at which it would have been stopped")
    in_queue(chain, "late")
    chain.apply("early", ends=[Outcome.SUCCEEDED], cluster=CLUSTER)
    chain.reaches("early", State.SUCCEEDED)
    chain.reaches("late", State.RUNNING, attempt=1)
    assert run_of(chain, "late")["admittedAt"] >= over
