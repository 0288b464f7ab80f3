"""When an active attempt is looked at without an event: seldom, and in time for what time alone brings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator_views import ACTIVE, BASE, NOW, RELEASE, running, stop_of

from backsweep_api.conditions import StopReason
from backsweep_operator.decide import decide
from backsweep_operator.model import Snapshot

ENDS = {
    StopReason.DEADLINE_EXCEEDED: {**BASE, "activeDeadlineSeconds": 313},
    StopReason.IDLE: {**BASE, "cluster": {"idleTimeoutSeconds": 600}},
}


def at(snapshot: Snapshot, now: float) -> Snapshot:
    """The same, with Prefect having answered just now."""
    return replace(snapshot, flow_runs_at=now)


def test_an_attempt_at_which_nothing_changes_is_looked_at_as_often_as_progress_is_written() -> None:
    assert decide(running(), NOW).requeue_after_seconds == RELEASE.status_seconds


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
