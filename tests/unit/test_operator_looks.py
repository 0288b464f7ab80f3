"""When an attempt is looked at: for what has changed, in time for what time alone brings, and else seldom."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.operator_views import ACTIVE, BASE, NOW, RELEASE, attempt_of, flow, running, stop_of, written

from backsweep_api.conditions import StopReason
from backsweep_api.names import LABEL_ROLE
from backsweep_api.status import TrialCounts
from backsweep_operator.decide import decide
from backsweep_operator.decide.active import QUIET_SECONDS
from backsweep_operator.model import Kind, PodRole, PodView, Progress, Snapshot
from backsweep_operator.observe import Seen

ENDS = {
    StopReason.DEADLINE_EXCEEDED: {**BASE, "activeDeadlineSeconds": 313},
    StopReason.IDLE: {**BASE, "cluster": {"idleTimeoutSeconds": 600}},
}


def at(snapshot: Snapshot, now: float) -> Snapshot:
    """The same, with Prefect having answered just now."""
    return replace(snapshot, flow_runs_at=now)


def told(snapshot: Snapshot) -> Snapshot:
    """The same, with the status written that was due."""
    assert snapshot.sweep is not None
    return replace(snapshot, sweep=replace(snapshot.sweep, status=written(decide(snapshot, NOW))))


def test_an_attempt_about_which_all_is_told_is_looked_at_seldom() -> None:
    assert decide(told(running()), NOW).requeue_after_seconds == QUIET_SECONDS
    assert decide(running(), NOW).requeue_after_seconds == RELEASE.status_seconds


def test_progress_that_came_soon_after_a_write_is_written_when_the_next_may_be() -> None:
    counted = Progress(TrialCounts(total=9, done=1), NOW + 4, True)
    snapshot = replace(told(running()), flow_runs=(flow(ACTIVE, progress=counted),))
    assert_written_after(RELEASE.status_seconds - 5, snapshot, NOW + 5)


def test_a_cost_that_grows_is_written_as_often_as_progress() -> None:
    pod = PodView("f", attempt_of(ACTIVE), PodRole.FLOW, Decimal(1), Decimal(1), NOW - 90, None, None)
    snapshot = told(running({**BASE, "pricing": {"cpuHour": "1"}}, pods=(pod,)))
    assert_written_after(RELEASE.status_seconds, snapshot, NOW)


def assert_written_after(seconds: float, snapshot: Snapshot, now: float) -> None:
    """Status is not written now, and is when the operator looks again; that is so late at most."""
    decision = decide(at(snapshot, now), now)
    assert not decision.actions
    wait = decision.requeue_after_seconds
    assert wait is not None
    assert seconds <= wait <= RELEASE.status_seconds
    written(decide(at(snapshot, now + wait), now + wait))


@pytest.mark.parametrize("reason", ENDS)
def test_what_time_alone_brings_is_found_within_a_poll(reason: StopReason) -> None:
    snapshot = running(ENDS[reason], ACTIVE)
    second = next(
        after for after in range(10_000) if decide(at(snapshot, NOW + after), NOW + after).requeue_after_seconds == 0
    )
    looked = 0.0
    while wait := decide(at(snapshot, NOW + looked), NOW + looked).requeue_after_seconds:
        looked += wait
    assert stop_of(decide(at(snapshot, NOW + looked), NOW + looked))[1] is reason
    assert second <= looked < second + RELEASE.poll_seconds


def test_what_is_told_of_a_pod_is_a_reason_to_look_only_if_it_is_read() -> None:
    labels = {**attempt_of(ACTIVE).labels, LABEL_ROLE: str(PodRole.HEAD)}
    seen, told = Seen(), [("Pending", "Scheduled"), ("Pending", "Initialized"), ("Running", "Ready"), ("Failed", "")]
    looked = []
    for version, (phase, condition) in enumerate(told, start=1):
        meta = {"name": "head", "namespace": "n", "resourceVersion": str(version), "labels": labels}
        status = {"phase": phase, "conditions": [{"type": condition}]}
        if phase == "Running":
            status["startTime"] = "2026-11-23T21:00:00Z"
        looked.append(seen.see(Kind.POD, {"metadata": meta, "status": status}) is not None)
        assert seen.versions[Kind.POD, ("n", "head")] == version
    assert looked == [True, False, True, True]
