"""`decide`: how attempts begin, how they end, and where a sweep rests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

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
    policy,
    reference,
    run_of,
    running,
    snapshot,
    stopped,
    stopping,
    sweep_of,
    written,
)

from backsweep_api.conditions import CONDITIONS, ConditionType, Next, Phase, State, StopReason
from backsweep_api.errors import InvariantError
from backsweep_api.names import AttemptName
from backsweep_api.status import Links, Run, Stop, TrialCounts
from backsweep_operator.decide import decide
from backsweep_operator.decide.transitions import begin, finish, rest, stop_run
from backsweep_operator.model import (
    ApplyChild,
    AtRun,
    CancelFlowRun,
    ClusterView,
    CreateFlowRun,
    Decision,
    DeleteChild,
    EmitEvent,
    EnsureDeployment,
    ExtendCluster,
    FlowState,
    FreePlace,
    Gone,
    Kind,
    NothingRuns,
    Outcome,
    PatchStatus,
    Progress,
)


def test_a_new_sweep_is_given_an_attempt_in_status_and_nothing_else_yet() -> None:
    decision = decide(snapshot(sweep_of(BASE)), NOW)
    assert kinds(decision) == [PatchStatus, EmitEvent]
    assert decision.requeue_after_seconds == 0
    status = written(decision)
    assert status.run is not None
    assert (status.run.attempt, status.run.phase, status.run.workers, status.state) == (1, Phase.ACTIVE, 1, "Starting")
    (patch, _) = decision.actions
    assert isinstance(patch, PatchStatus)
    assert patch.premises == (NothingRuns("n", "u", None, False), FreePlace(RELEASE.max_concurrent_sweeps))
    assert [condition.type for condition in status.conditions] == list(CONDITIONS)
    assert {condition.observed_generation for condition in status.conditions} == {3}


def test_a_persisted_attempt_gets_flow_run_policy_and_cluster_under_its_guard() -> None:
    run = run_of(BASE)
    decision = decide(snapshot(sweep_of(BASE, run=run)), NOW)
    assert kinds(decision)[:4] == [EnsureDeployment, CreateFlowRun, ApplyChild, ApplyChild]
    assert written(decision).links == Links(logs=f"s3://bucket/prefix/sweeps/n/s/{run.spec_digest}/logs/")
    guards = {action.guard for action in decision.actions if isinstance(action, CreateFlowRun | ApplyChild)}
    assert guards == {AtRun("n", "s", "u", run, 3)}
    applied = [action.kind for action in decision.actions if isinstance(action, ApplyChild)]
    assert applied == [Kind.POLICY, Kind.CLUSTER]


def test_a_sweep_that_needs_no_cluster_makes_none() -> None:
    spec = {**BASE, "execution": {"mode": "auto"}}
    run = run_of(spec, workers=0)
    assert kinds(decide(snapshot(sweep_of(spec, run=run)), NOW))[:2] == [EnsureDeployment, CreateFlowRun]
    assert ApplyChild not in kinds(decide(snapshot(sweep_of(spec, run=run)), NOW))
    existing = {**BASE, "cluster": {"existing": {"address": "http://ray:8265"}}}
    fresh = written(decide(snapshot(sweep_of(existing)), NOW)).run
    assert fresh is not None
    assert fresh.workers == 0


def test_a_flow_that_needs_its_cluster_no_more_loses_it_and_runs_on() -> None:
    run = run_of(BASE, ready_at=int(NOW) - 50, running_at=int(NOW) - 50, flow_run_id="flow-id")
    told = Progress(TrialCounts(total=1, done=1), NOW - 5, cluster_needed=False)
    seen = snapshot(
        sweep_of(BASE, run=run), clusters=(cluster(run),), flow_runs=(flow(run, progress=told),), jobs=(job(run),)
    )
    decision = decide(seen, NOW)
    assert kinds(decision)[0] is DeleteChild
    assert CancelFlowRun not in kinds(decision)
    gone = replace(seen, clusters=())
    assert all(not isinstance(action, ApplyChild | DeleteChild) for action in decide(gone, NOW).actions)


def test_kueue_admits_the_cluster_before_the_flow_begins_and_no_deadline_runs_meanwhile() -> None:
    spec = {**BASE, "cluster": {"queueName": "q"}, "activeDeadlineSeconds": 60}
    run = run_of(spec)
    first = decide(snapshot(sweep_of(spec, run=run_of(spec, started_at=int(NOW), run_started_at=int(NOW)))), NOW)
    assert CreateFlowRun not in kinds(first)
    queued = snapshot(sweep_of(spec, run=run), clusters=(cluster(run, ready=False, suspended=True),))
    decision = decide(queued, NOW)
    assert CreateFlowRun not in kinds(decision)
    assert written(decision).state is State.STARTING
    (extend,) = [action for action in decision.actions if isinstance(action, ExtendCluster)]
    assert extend.delete_after == int(NOW) + 60 + RELEASE.deadlines.overrun, "its end moves while it waits"
    admitted = replace(queued, clusters=(cluster(run, ready=False),))
    assert written(decide(replace(admitted), NOW)).run is not None


def test_a_stopping_attempt_is_cancelled_first_then_its_job_and_cluster_go() -> None:
    run = stopping()
    seen = snapshot(
        sweep_of(BASE, run=run),
        clusters=(cluster(run),),
        jobs=(job(run),),
        policies=(policy(run),),
        flow_runs=(flow(run),),
    )
    assert [k for k in kinds(decide(seen, NOW)) if k in (CancelFlowRun, DeleteChild)] == [CancelFlowRun]
    cancelled = replace(seen, flow_runs=(flow(run, FlowState.CANCELLED),))
    deleted = [a.reference.kind for a in decide(cancelled, NOW).actions if isinstance(a, DeleteChild)]
    assert deleted == [Kind.JOB, Kind.CLUSTER, Kind.POLICY]
    gone = replace(cancelled, clusters=(), jobs=(), policies=())
    finished = decide(gone, NOW)
    assert written(finished).run == run.model_copy(update={"phase": Phase.STOPPED})
    (patch,) = [action for action in finished.actions if isinstance(action, PatchStatus)]
    assert patch.premises == (NothingRuns("n", "u", attempt_of(run), False),)


@pytest.mark.parametrize("age", [5, 61])
def test_a_job_whose_flow_has_reported_is_given_time_to_finish_and_then_stays_for_its_log(age: int) -> None:
    run = stopping(Next.SUCCEED, age)
    seen = snapshot(
        sweep_of(BASE, run=run),
        clusters=(cluster(run),),
        jobs=(job(run),),
        pods=(flow_pod(run, Outcome.SUCCEEDED),),
        flow_runs=(flow(run, FlowState.COMPLETED),),
    )
    deleted = [a.reference.kind for a in decide(seen, NOW).actions if isinstance(a, DeleteChild)]
    assert deleted == ([Kind.CLUSTER] if age < 60 else [Kind.JOB, Kind.CLUSTER])
    finished = replace(seen, clusters=(), jobs=(job(run, complete=True),))
    assert written(decide(finished, NOW)).state is State.SUCCEEDED


def test_what_the_flow_last_reported_is_not_overwritten_by_its_progress_when_its_pod_is_gone() -> None:
    run = stopping(Next.SUCCEED)
    told = flow(run, FlowState.COMPLETED, progress=Progress(TrialCounts(total=4, done=1), None))
    sweep = sweep_of(BASE, run=run, trials=TrialCounts(total=4, done=4))
    assert written(decide(snapshot(sweep, flow_runs=(told,)), NOW)).trials == TrialCounts(total=4, done=4)


def test_a_flow_that_has_not_planned_yet_takes_no_count_away() -> None:
    run = run_of(BASE, flow_run_id="flow-id")
    begun = flow(run, progress=Progress(TrialCounts(), NOW - 1))
    sweep = sweep_of(BASE, run=run, trials=TrialCounts(total=1_000))
    seen = snapshot(sweep, clusters=(cluster(run),), flow_runs=(begun,), jobs=(job(run),))
    assert written(decide(seen, NOW)).trials == TrialCounts(total=1_000)


def test_when_prefect_is_away_nothing_goes_on_costing_for_that() -> None:
    run = stopping(age=61)
    seen = snapshot(sweep_of(BASE, run=run), clusters=(cluster(run),), jobs=(job(run),), flow_runs=(flow(run),))
    assert [k for k in kinds(decide(seen, NOW)) if k in (CancelFlowRun, DeleteChild)] == [
        DeleteChild,
        DeleteChild,
        CancelFlowRun,
    ]


def test_a_flow_run_that_was_not_seen_is_created_as_cancelled() -> None:
    decision = decide(snapshot(sweep_of(BASE, run=stopping())), NOW)
    (create,) = [action for action in decision.actions if isinstance(action, CreateFlowRun)]
    assert create.cancelled
    assert create.request.attempt == attempt_of(stopping())


def test_a_stop_that_takes_too_long_says_what_is_left() -> None:
    run = stopping(age=901)
    seen = snapshot(
        sweep_of(BASE, run=run), clusters=(cluster(run, deleting=True),), flow_runs=(flow(run, FlowState.CANCELLED),)
    )
    progressing = written(decide(seen, NOW)).condition(ConditionType.PROGRESSING)
    assert progressing is not None
    assert progressing.reason == "StopOverdue"
    assert "RayCluster c" in progressing.message


SUSPEND = {**BASE, "suspend": True}
WITHOUT_STORE = {field: value for field, value in BASE.items() if field != "storage"}
RESTS: dict[str, tuple[dict[str, Any], Run | None, State]] = {
    "succeeded": (BASE, stopped(Next.SUCCEED, StopReason.FINISHED), State.SUCCEEDED),
    "succeeded, then suspended": (
        {**BASE, "suspend": True},
        stopped(Next.SUCCEED, StopReason.FINISHED),
        State.SUCCEEDED,
    ),
    "failed": (BASE, stopped(Next.FAIL, StopReason.TRIALS_FAILED), State.FAILED),
    "failed, then suspended": (
        {**BASE, "suspend": True},
        stopped(Next.FAIL, StopReason.TRIALS_FAILED),
        State.SUSPENDED,
    ),
    "suspended": (SUSPEND, stopped(Next.SUSPEND, StopReason.SUSPENDED), State.SUSPENDED),
    "suspended from the start": (SUSPEND, None, State.SUSPENDED),
    "waiting to try again": (BASE, stopped(Next.RETRY, StopReason.FLOW_LOST, age=5, failures=1), State.RETRYING),
    "refused": ({**BASE, "nodePool": {"cloud": "aws"}}, None, State.NOT_ACCEPTED),
    "without a store": (WITHOUT_STORE, None, State.NOT_ACCEPTED),
    "without money": ({**PRICED, "budget": {"maxCost": "0.01"}}, None, State.FAILED),
}
BEGINS: dict[str, tuple[dict[str, Any], Run | None]] = {
    "resumed": (BASE, stopped(Next.SUSPEND, StopReason.SUSPENDED)),
    "tried again": (BASE, stopped(Next.RETRY, StopReason.FLOW_LOST, age=11, failures=1)),
    "changed after success": ({**BASE, "axes": {"profile": ["nco"]}}, stopped(Next.SUCCEED, StopReason.FINISHED)),
    "changed after failure": ({**BASE, "axes": {"profile": ["nco"]}}, stopped(Next.FAIL, StopReason.TRIALS_FAILED)),
    "restarted": (BASE, stopped(Next.RESTART, StopReason.SPEC_CHANGED)),
    "given more money": (PRICED, stopped(Next.SUSPEND, StopReason.BUDGET_EXCEEDED)),
}


@pytest.mark.parametrize("what", RESTS)
def test_a_sweep_rests(what: str) -> None:
    spec, run, state = RESTS[what]
    sweep = sweep_of(spec, run=run)
    status = written(decide(snapshot(sweep), NOW))
    assert status.state == state
    again = decide(snapshot(replace(sweep, status=status)), NOW + 4)
    assert again.actions == (), "what is at rest is written once"


@pytest.mark.parametrize("what", BEGINS)
def test_another_attempt_begins(what: str) -> None:
    spec, before = BEGINS[what]
    run = written(decide(snapshot(sweep_of(spec, run=before)), NOW)).run
    assert run is not None
    assert (run.attempt, run.phase) == (3, Phase.ACTIVE)
    assert run.failures == (1 if what == "tried again" else 0)


def test_no_attempt_begins_while_anything_of_an_earlier_one_is_left_and_its_number_is_never_used_again() -> None:
    before = stopped(Next.RESTART, StopReason.SPEC_CHANGED)
    late = run_of(BASE, attempt=9)
    seen = snapshot(sweep_of(BASE, run=before), clusters=(cluster(late),), flow_runs=(flow(late),))
    decision = decide(seen, NOW)
    assert [k for k in kinds(decision) if k is not EmitEvent] == [CancelFlowRun, DeleteChild, PatchStatus]
    assert written(decision).run == before
    closed = replace(seen, clusters=(), flow_runs=(flow(late, FlowState.CANCELLED),))
    run = written(decide(closed, NOW)).run
    assert run is not None
    assert run.attempt == 10


def test_a_sweep_waits_for_a_place() -> None:
    full = snapshot(sweep_of(BASE), others_active=15, others_ahead=5)
    decision = decide(full, NOW)
    assert written(decision).state is State.QUEUED
    assert decision.requeue_after_seconds == 30
    late = decide(replace(full), NOW + RELEASE.deadlines.queue)
    assert written(late).state is State.FAILED
    assert decide(replace(full, others_active=14), NOW).requeue_after_seconds == 0


def test_finished_jobs_stay_for_their_ttl_and_the_sweep_for_ever() -> None:
    run = stopped(Next.SUCCEED, StopReason.FINISHED, age=100)
    told = written(decide(snapshot(sweep_of(BASE, run=run)), NOW))
    sweep = replace(sweep_of(BASE), status=told)
    seen = snapshot(sweep, jobs=(job(run, complete=True),))
    decision = decide(seen, NOW)
    assert decision == Decision((), RELEASE.ttl_seconds - 100)
    after = decide(seen, NOW + RELEASE.ttl_seconds)
    assert [a.reference.kind for a in after.actions if isinstance(a, DeleteChild)] == [Kind.JOB]
    assert decide(replace(seen, jobs=()), NOW + RELEASE.ttl_seconds) == Decision((), None)


@pytest.mark.parametrize("deleting", [True, False])
def test_when_a_sweep_is_gone_what_is_left_of_it_goes_unless_it_is_there_after_all(deleting: bool) -> None:
    run = run_of(BASE)
    sweep = replace(sweep_of(BASE, run=run), deleting=True) if deleting else None
    seen = snapshot(sweep, clusters=(cluster(run),), jobs=(job(run),), flow_runs=(flow(run),))
    actions = decide(seen, NOW).actions
    assert [type(action) for action in actions] == [CancelFlowRun, DeleteChild, DeleteChild]
    assert {action.guard for action in actions if isinstance(action, CancelFlowRun | DeleteChild)} == {
        Gone("n", "s", "u")
    }
    assert decide(snapshot(sweep), NOW) == Decision()


def test_orphans_of_an_earlier_sweep_of_that_name_are_taken_away_beside_the_present_one() -> None:
    orphan = AttemptName("n", "s", "old", "d", 1)
    stray = ClusterView(reference(Kind.CLUSTER, "o"), orphan, False, True, False, None)
    actions = decide(running(clusters=(cluster(ACTIVE), stray)), NOW).actions
    assert [a for a in actions if isinstance(a, DeleteChild)] == [DeleteChild(stray.reference, Gone("n", "s", "old"))]


def test_a_step_no_release_of_ours_takes_is_a_bug() -> None:
    active, done = run_of(BASE), stopped(Next.FAIL, StopReason.IDLE)
    stop = Stop(next=Next.FAIL, reason=StopReason.IDLE, time=0)
    steps: tuple[Callable[[], Run], ...] = (
        lambda: begin(active, active),
        lambda: begin(done, done),
        lambda: stop_run(done, stop),
        lambda: finish(active),
        lambda: rest(active, Next.FAIL, StopReason.IDLE, "", NOW),
    )
    for step in steps:
        with pytest.raises(InvariantError):
            step()
