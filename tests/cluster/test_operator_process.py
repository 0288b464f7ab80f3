"""The real process against a real API server and KubeRay: it serves, fails over, bears outages, stops in order."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.operators import Operator, gone, start, sweep
from tests.cluster.processes import Ports
from tests.cluster.stand_ins import operators, stand_in

ROOT = Path(__file__).parents[2]


@pytest.fixture
def prefect(plane: ControlPlane, ports: Ports) -> Iterator[int]:
    with stand_in(plane, ports) as port:
        yield port


@pytest.fixture
def two(plane: ControlPlane, namespace: str, ports: Ports, prefect: int) -> Iterator[list[Operator]]:
    short = {"BACKSWEEP_LEASE_SECONDS": "10"}  # a takeover comes soon, and a busy machine keeps its lease
    with operators(plane, namespace, ports, prefect, short, count=2) as both:
        yield both


@pytest.fixture
def serving(two: list[Operator]) -> Operator:
    start(two[0])
    wait_until(two[0].leads, "an operator that leads")
    return two[0]


def state(plane: ControlPlane, namespace: str, name: str) -> str:
    conditions = plane.get("backtestsweep", name, namespace).get("status", {}).get("conditions", [])
    return next((str(each["reason"]) for each in conditions if each["type"] == "Complete"), "")


def clusters(plane: ControlPlane, namespace: str) -> list[str]:
    return [each["metadata"]["name"] for each in plane.all("rayclusters", namespace)]


def test_a_sweep_gets_its_cluster_and_leaves_nothing_when_it_is_deleted(
    plane: ControlPlane, namespace: str, serving: Operator
) -> None:
    plane.apply(sweep("one", namespace))
    wait_until(lambda: any(clusters(plane, namespace)), "a RayCluster")
    wait_until(lambda: "ready" in plane.kubectl("get", "rayclusters", f"--namespace={namespace}"), "a ready RayCluster")
    found = plane.get("backtestsweep", "one", namespace)
    assert "finalizers" not in found["metadata"]
    assert not [key for key in found["metadata"].get("annotations", {}) if "kopf" in key]
    events = {each["reason"] for each in plane.all("events", namespace) if each["involvedObject"]["name"] == "one"}
    assert "Starting" in events
    wait_until(lambda: serving.count("backsweep_time_to_cluster_seconds_count") == 1, "its time was counted")
    plane.kubectl("delete", "backtestsweep", "one", f"--namespace={namespace}")
    gone(plane, namespace)
    assert serving.ask("/healthz") == (200, "ok\n")


def test_suspending_takes_everything_away_and_resuming_is_another_attempt(
    plane: ControlPlane, namespace: str, serving: Operator
) -> None:
    plane.apply(sweep("rests", namespace))
    wait_until(lambda: any(clusters(plane, namespace)), "a RayCluster")
    plane.apply(sweep("rests", namespace, suspend=True))
    gone(plane, namespace)
    wait_until(lambda: state(plane, namespace, "rests") == "Suspended", "the sweep says it is suspended")
    plane.apply(sweep("rests", namespace, suspend=False))
    wait_until(lambda: any(name.endswith("-2") for name in clusters(plane, namespace)), "a second attempt")


def test_killed_and_started_again_it_goes_on_at_once_and_nothing_is_there_twice(
    plane: ControlPlane, namespace: str, serving: Operator
) -> None:
    plane.apply(*(sweep(f"many-{number}", namespace) for number in range(4)))
    wait_until(lambda: any(clusters(plane, namespace)), "a first RayCluster")
    for _ in range(3):
        serving.process.kill()
        serving.process.start()
    wait_until(serving.leads_again, "the same operator leads again")
    wait_until(lambda: len(clusters(plane, namespace)) == 4, "all four RayClusters")
    runs = {each["status"]["run"]["attempt"] for each in plane.all("backtestsweeps", namespace)}
    assert runs == {1}


def test_of_two_one_leads_and_the_other_takes_over_when_it_is_killed_or_hangs(
    plane: ControlPlane, namespace: str, serving: Operator, two: list[Operator]
) -> None:
    first, second = two
    start(second)
    wait_until(lambda: second.ask("/readyz")[0] == 200, "the standby is ready")
    assert not second.leads()
    first.process.pause()
    wait_until(second.leads_again, "the standby took over")
    plane.apply(sweep("after", namespace))
    wait_until(lambda: any(clusters(plane, namespace)), "a RayCluster")
    first.process.resume()
    wait_until(lambda: not first.process.alive(), "the one that hung ends by itself", 30)
    assert "LeaseLost" in first.process.log.read_text(encoding="utf-8")
    assert len(clusters(plane, namespace)) == 1
    assert second.leads()


@pytest.mark.parametrize("moment", ["at once", "with its flow run", "with its cluster"])
def test_of_two_that_begin_together_the_leader_hangs_and_all_is_made_once(
    plane: ControlPlane, namespace: str, prefect: int, two: list[Operator], moment: str
) -> None:
    for each in two:
        each.process.start()
    wait_until(lambda: any(each.leads_again() for each in two), "one that leads")
    leader, other = sorted(two, key=lambda each: not each.leads())
    plane.apply(*(sweep(f"many-{number}", namespace) for number in range(3)))
    if moment == "with its flow run":
        wait_until(lambda: flow_runs(prefect) > 0, "a flow run")
    elif moment == "with its cluster":
        wait_until(lambda: any(clusters(plane, namespace)), "a RayCluster")
    leader.process.pause()
    wait_until(other.leads_again, "the other to take over")
    leader.process.resume()
    wait_until(lambda: not leader.process.alive(), "the one that hung to end by itself", 30)
    wait_until(lambda: len(clusters(plane, namespace)) == 3, "all clusters")
    assert {each["status"]["run"]["attempt"] for each in plane.all("backtestsweeps", namespace)} == {1}
    assert (flow_runs(prefect), len(plane.all("networkpolicies", namespace))) == (3, 3)
    plane.kubectl("delete", "backtestsweeps", "--all", f"--namespace={namespace}")
    gone(plane, namespace)
    wait_until(lambda: flow_runs(prefect) == 0, "the flow runs to be cancelled")


def flow_runs(prefect: int) -> int:
    """Return how many flow runs Prefect has that have not ended."""
    body = json.dumps({"flow_runs": {}, "limit": 200}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{prefect}/api/flow_runs/filter", body)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return len(json.loads(answer.read()))


def test_asked_to_stop_it_ends_well_and_the_next_need_not_wait(
    plane: ControlPlane, namespace: str, serving: Operator, two: list[Operator]
) -> None:
    assert serving.process.stop(15) == 0
    lease = plane.all("leases", f"{namespace}-system")[0]
    assert lease["spec"].get("holderIdentity", "") == ""
    for line in serving.process.log.read_text(encoding="utf-8").splitlines():
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
    start(two[1])
    wait_until(two[1].leads, "the next one leads", 8)


def test_without_the_api_server_for_a_while_it_serves_again_afterwards(
    plane: ControlPlane, namespace: str, serving: Operator
) -> None:
    plane.apply(sweep("before", namespace))
    wait_until(lambda: any(clusters(plane, namespace)), "a RayCluster")
    plane.components["kube-apiserver"].kill()
    wait_until(lambda: not serving.process.alive(), "without its lease it ends", 30)
    assert re.search(r"LeaseLost|Unavailable", serving.process.log.read_text(encoding="utf-8"))
    plane.start("kube-apiserver")
    serving.process.start()
    wait_until(serving.leads, "it leads again")
    plane.apply(sweep("afterwards", namespace))
    wait_until(lambda: len(clusters(plane, namespace)) == 2, "both RayClusters")
    assert {each["status"]["run"]["attempt"] for each in plane.all("backtestsweeps", namespace)} == {1}


def test_what_was_deleted_while_no_operator_ran_is_cleared_away(
    plane: ControlPlane, namespace: str, serving: Operator
) -> None:
    plane.apply(sweep("orphaned", namespace))
    wait_until(lambda: any(clusters(plane, namespace)), "a RayCluster")
    serving.process.kill()
    (name,) = clusters(plane, namespace)
    # Not --cascade=orphan: it overlooks what was made so short a time ago that the garbage collector has not seen it.
    patch = json.dumps({"metadata": {"ownerReferences": None}})
    plane.kubectl("patch", "raycluster", name, f"--namespace={namespace}", "--type=merge", f"--patch={patch}")
    plane.kubectl("delete", "backtestsweep", "orphaned", f"--namespace={namespace}")
    serving.process.start()
    gone(plane, namespace)
    assert serving.count("backsweep_leaked_objects_total") >= 1
