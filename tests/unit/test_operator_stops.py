"""`decide`: an attempt that goes on, and everything by which it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.operator_views import (
    ACTIVE,
    BASE,
    NOW,
    PRICED,
    RELEASE,
    attempt_of,
    cluster,
    flow,
    flow_pod,
    job,
    kinds,
    run_of,
    running,
    snapshot,
    stop_of,
    sweep_of,
    written,
)

from backsweep_api.conditions import ConditionType, Next, State, StopReason
from backsweep_api.status import Cost, OpenPods, TrialCounts
from backsweep_operator.decide import decide
from backsweep_operator.model import (
    EmitEvent,
    ExtendCluster,
    FlowState,
    Kind,
    Outcome,
    PatchStatus,
    PodRole,
    PodView,
    Progress,
    Snapshot,
    StillMissing,
)

WHY = 'ImagePullBackOff: Back-off pulling image "typo:1"'
LOST_ONCE_TOO_OFTEN = ACTIVE.model_copy(update={"failures": 3})
STOPS: dict[str, tuple[Callable[[], Snapshot], Next, StopReason]] = {
    "the flow says it succeeded": (
        lambda: running(pods=(flow_pod(ACTIVE, Outcome.SUCCEEDED),)),
        Next.SUCCEED,
        StopReason.FINISHED,
    ),
    "the flow says too many trials failed": (
        lambda: running(pods=(flow_pod(ACTIVE, Outcome.FAILED),)),
        Next.FAIL,
        StopReason.TRIALS_FAILED,
    ),
    "the flow refuses the data": (
        lambda: running(pods=(flow_pod(ACTIVE, Outcome.REFUSED),)),
        Next.FAIL,
        StopReason.FLOW_REFUSED,
    ),
    "the flow lost blocks": (
        lambda: running(pods=(flow_pod(ACTIVE, Outcome.INCOMPLETE),)),
        Next.RETRY,
        StopReason.FLOW_INCOMPLETE,
    ),
    "the flow lost blocks once too often": (
        lambda: running(run=LOST_ONCE_TOO_OFTEN, pods=(flow_pod(LOST_ONCE_TOO_OFTEN, Outcome.INCOMPLETE),)),
        Next.FAIL,
        StopReason.BACKOFF_LIMIT_EXCEEDED,
    ),
    "the flow would pass its budget": (
        lambda: running(pods=(flow_pod(ACTIVE, Outcome.OVER_BUDGET),)),
        Next.FAIL,
        StopReason.BUDGET_EXCEEDED,
    ),
    "suspend": (lambda: running({**BASE, "suspend": True}), Next.SUSPEND, StopReason.SUSPENDED),
    "another question": (
        lambda: running({**BASE, "axes": {"profile": ["nco"]}}),
        Next.RESTART,
        StopReason.SPEC_CHANGED,
    ),
    "a spec that is refused": (
        lambda: running({**BASE, "nodePool": {"cloud": "aws"}}),
        Next.RESTART,
        StopReason.NOT_ACCEPTED,
    ),
    "its deadline": (lambda: running({**BASE, "activeDeadlineSeconds": 90}), Next.FAIL, StopReason.DEADLINE_EXCEEDED),
    "the budget": (
        lambda: running(PRICED, cost=Cost(amount="0.9", checkpoint=int(NOW))),
        Next.FAIL,
        StopReason.BUDGET_EXCEEDED,
    ),
    "the budget, to be suspended": (
        lambda: running(
            {**PRICED, "budget": {"maxCost": "1", "onExceeded": "Suspend"}},
            cost=Cost(amount="0.9", checkpoint=int(NOW)),
        ),
        Next.SUSPEND,
        StopReason.BUDGET_EXCEEDED,
    ),
    "a flow that crashed": (
        lambda: running(flow_runs=(flow(ACTIVE, FlowState.CRASHED, 70),)),
        Next.RETRY,
        StopReason.FLOW_LOST,
    ),
    "a flow cancelled in Prefect": (
        lambda: running(flow_runs=(flow(ACTIVE, FlowState.CANCELLED, 70),)),
        Next.FAIL,
        StopReason.CANCELLED_IN_PREFECT,
    ),
    "a Job that is Complete and says nothing": (
        lambda: running(jobs=(job(ACTIVE, complete=True, age=70),)),
        Next.RETRY,
        StopReason.FLOW_LOST,
    ),
    "a flow run gone from Prefect": (
        lambda: running(run=ACTIVE.model_copy(update={"started_at": int(NOW) - 500}), flow_runs=()),
        Next.RETRY,
        StopReason.FLOW_LOST,
    ),
    "a Job that is gone": (
        lambda: running(jobs=(), flow_runs=(flow(ACTIVE, age=200),)),
        Next.RETRY,
        StopReason.FLOW_LOST,
    ),
    "a cluster that is gone": (lambda: running(clusters=()), Next.RETRY, StopReason.CLUSTER_LOST),
    "a cluster deleted by hand": (
        lambda: running(clusters=(cluster(ACTIVE, deleting=True),)),
        Next.RETRY,
        StopReason.CLUSTER_LOST,
    ),
    "a cluster back in its queue": (
        lambda: running(clusters=(cluster(ACTIVE, suspended=True),)),
        Next.RETRY,
        StopReason.SENT_BACK,
    ),
    "a cluster back in its queue before it was ready": (
        lambda: running(
            run=ACTIVE.model_copy(update={"ready_at": None, "admitted_at": int(NOW) - 9}),
            clusters=(cluster(ACTIVE, ready=False, suspended=True),),
        ),
        Next.RETRY,
        StopReason.SENT_BACK,
    ),
    "a start that takes too long": (
        lambda: running(
            run=run_of(BASE, started_at=int(NOW) - 1_801, flow_run_id="flow-id"),
            clusters=(cluster(ACTIVE, ready=False),),
        ),
        Next.RETRY,
        StopReason.START_OVERDUE,
    ),
    "no block for too long": (
        lambda: running(run=ACTIVE.model_copy(update={"running_at": int(NOW) - 601, "ready_at": int(NOW) - 601})),
        Next.RETRY,
        StopReason.IDLE,
    ),
}


@pytest.mark.parametrize("why", STOPS)
def test_an_attempt_is_stopped_by(why: str) -> None:
    made, following, reason = STOPS[why]
    decision = decide(made(), NOW)
    assert stop_of(decision) == (following, reason)
    assert decision.requeue_after_seconds == 0
    assert written(decision).state is State.STOPPING


def test_what_is_only_out_of_sight_is_confirmed_by_a_live_read() -> None:
    for made, kind in ((STOPS["a cluster that is gone"], Kind.CLUSTER), (STOPS["a Job that is gone"], Kind.JOB)):
        (patch,) = [action for action in decide(made[0](), NOW).actions if isinstance(action, PatchStatus)]
        assert patch.premises == (StillMissing(kind, attempt_of(ACTIVE)),)


def test_where_nothing_changed_nothing_is_written_with_or_without_prices() -> None:
    for spec, cost in ((BASE, None), (PRICED, Cost(amount="0", checkpoint=int(NOW)))):
        seen = running(spec, cost=cost)
        assert seen.sweep is not None
        told = replace(seen, sweep=replace(seen.sweep, status=written(decide(seen, NOW))), flow_runs_at=NOW + 100)
        assert PatchStatus not in kinds(decide(told, NOW + 100))


def test_while_prefect_does_not_answer_nothing_is_concluded_from_its_silence() -> None:
    silent = running(jobs=(), flow_runs=(flow(ACTIVE, age=2_000),), flow_runs_at=NOW - 100)
    assert PatchStatus not in kinds(decide(silent, NOW)) or written(decide(silent, NOW)).state is State.RUNNING


def test_a_lost_attempt_is_counted_and_a_failing_trial_is_not() -> None:
    lost = written(decide(STOPS["a flow that crashed"][0](), NOW)).run
    failed = written(decide(STOPS["the flow says too many trials failed"][0](), NOW)).run
    assert (lost and lost.failures, failed and failed.failures) == (1, 0)


def test_being_sent_back_to_a_queue_is_not_counted_and_never_too_often() -> None:
    tired = ACTIVE.model_copy(update={"failures": 3, "admitted_at": int(NOW) - 200})
    decision = decide(running(run=tired, clusters=(cluster(tired, suspended=True),)), NOW)
    run = written(decision).run
    assert stop_of(decision) == (Next.RETRY, StopReason.SENT_BACK)
    assert run is not None
    assert run.failures == 3


def test_at_the_moment_of_its_admission_a_cluster_that_waited_for_long_has_all_its_time() -> None:
    spec = {**BASE, "cluster": {"queueName": "q"}, "activeDeadlineSeconds": 60}
    long_ago = int(NOW) - 5_000
    run = run_of(spec, started_at=long_ago, run_started_at=long_ago)
    admitted = cluster(run, ready=False, delete_after=long_ago + 60 + RELEASE.deadlines.overrun)
    decision = decide(snapshot(sweep_of(spec, run=run), clusters=(admitted,)), NOW)
    (extend,) = [action for action in decision.actions if isinstance(action, ExtendCluster)]
    assert extend.delete_after == int(NOW) + 60 + RELEASE.deadlines.overrun
    found = written(decision).run
    assert found is not None
    assert (found.stop, found.admitted_at) == (None, int(NOW))


def test_changes_that_are_not_of_the_question_start_and_stop_nothing() -> None:
    for change in ({"ttlSecondsAfterFinished": 5}, {"backoffLimit": 9}, {"cluster": {"image": "other:2"}}):
        acted = decide(running({**BASE, **change}), NOW).actions
        assert all(isinstance(action, PatchStatus | EmitEvent) for action in acted)


def test_a_raised_limit_moves_the_clusters_end() -> None:
    soon = cluster(ACTIVE, delete_after=int(NOW) + 50)
    (extend,) = [a for a in decide(running(clusters=(soon,)), NOW).actions if isinstance(a, ExtendCluster)]
    assert extend.delete_after == int(NOW) - 100 + RELEASE.deadlines.run + RELEASE.deadlines.overrun


def test_progress_is_written_once_in_thirty_seconds() -> None:
    told = Progress(TrialCounts(total=10, done=4), NOW)
    first = decide(running(flow_runs=(flow(ACTIVE, progress=told),)), NOW)
    status = written(first)
    assert status.trials == told.trials
    seen = running(flow_runs=(flow(ACTIVE, progress=replace(told, trials=TrialCounts(total=10, done=5))),))
    assert seen.sweep is not None
    later = replace(seen, sweep=replace(seen.sweep, status=status))
    assert decide(later, NOW + 29).actions == ()
    assert written(decide(later, NOW + 30)).trials == TrialCounts(total=10, done=5)


def test_a_thousand_sweeps_status_stays_small() -> None:
    pods = tuple(OpenPods(cpu="1", memory_gib=str(size), pods=1_000) for size in range(16))
    run = written(decide(STOPS["suspend"][0](), NOW))
    status = run.model_copy(update={"cost": Cost(amount="1", open_pods=pods)})
    assert len(str(status.plain())) < 8_000


def test_while_a_pod_cannot_start_the_sweep_says_which_and_why_and_so_does_the_end_of_it() -> None:
    spec = {**BASE, "activeDeadlineSeconds": 600}
    run = run_of(spec, started_at=int(NOW) - 50, run_started_at=int(NOW) - 50)
    stuck = PodView("head", attempt_of(run), PodRole.HEAD, Decimal(1), Decimal(1), None, None, obstacle=WHY)
    seen = snapshot(sweep_of(spec, run=run), clusters=(cluster(run, ready=False),), pods=(stuck,))
    told = written(decide(seen, NOW)).condition(ConditionType.PROGRESSING)
    assert told is not None
    assert told.message.endswith(f"; Pod head does not start: {WHY}")
    for later in (600, RELEASE.deadlines.start):
        spec = {**BASE, "activeDeadlineSeconds": later} if later == 600 else BASE
        run = run_of(spec, started_at=int(NOW) - later, run_started_at=int(NOW) - later)
        stuck = replace(stuck, attempt=attempt_of(run))
        end = decide(snapshot(sweep_of(spec, run=run), clusters=(cluster(run, ready=False),), pods=(stuck,)), NOW)
        stop = (written(end).run or run).stop
        assert stop is not None
        assert stop.message.endswith(f"; Pod head does not start: {WHY}")
