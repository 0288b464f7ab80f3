"""An active attempt: stopped where there is a reason, otherwise what it lacks is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from backsweep_api.conditions import State
from backsweep_api.errors import InvariantError
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import Run, TrialCounts
from backsweep_operator.build import deployment, flow_run_request, network_policy, ray_cluster, work_pool
from backsweep_operator.decide.costs import affordable_until, budget_of, cost_of
from backsweep_operator.decide.removal import remove_strays
from backsweep_operator.decide.situation import Situation
from backsweep_operator.decide.statuses import Told, write_status
from backsweep_operator.decide.stop_policies import reason_to_stop
from backsweep_operator.decide.transitions import stop_run
from backsweep_operator.model import (
    Action,
    ApplyChild,
    CreateFlowRun,
    Decision,
    DeleteChild,
    ExtendCluster,
    FlowState,
    Instant,
    Kind,
    Release,
)

__all__ = ["decide_active", "delete_after"]

WORTH_EXTENDING_SECONDS = 120
QUIET_SECONDS = 300


def decide_active(situation: Situation, run: Run, now: Instant) -> Decision:
    """Persist a stop before anything is taken away; without one, make what is missing and write progress.

    What is seen for the first time counts already: a cluster that Kueue has just admitted has all its time before it.
    """
    run = _milestones(situation, run, now)
    found = reason_to_stop(situation, run, now)
    if found is not None:
        stop, premises = found
        told = Told(State.STOPPING, str(stop.reason), stop.message)
        return Decision(tuple(write_status(situation, stop_run(run, stop), told, now, premises)), 0)
    document = situation.document
    if document is None or situation.attempt is None:
        raise InvariantError("an attempt without a document should have been stopped")
    return Decision(tuple(_due(situation, document, run, now)), _look_again_seconds(situation, document, run, now))


def _due(situation: Situation, document: BacktestSweep, run: Run, now: Instant) -> list[Action]:
    """Return what is to be done and told at a time."""
    told = write_status(situation, run, _told(situation, run), now)
    return [*remove_strays(situation), *_launch(situation, document, run, now), *told]


def _look_again_seconds(situation: Situation, document: BacktestSweep, run: Run, now: Instant) -> int:
    """Return when to look without an event: rarely where time alone brings nothing, often where it may stop the run.

    With a thousand sweeps at work, this is what the operator does at rest.
    """
    release = situation.release
    if not _stops_by(situation, run, now + QUIET_SECONDS) and not _due(situation, document, run, now + QUIET_SECONDS):
        return QUIET_SECONDS
    soon = max(release.status_seconds, release.poll_seconds)
    return release.poll_seconds if _stops_by(situation, run, now + soon) else soon


def _stops_by(situation: Situation, run: Run, then: Instant) -> bool:
    """Return whether the attempt would be stopped at a later time, if all stayed as it is and Prefect answered."""
    answered = None if situation.snapshot.flow_runs_at is None else then
    later = replace(situation, snapshot=replace(situation.snapshot, flow_runs_at=answered))
    return reason_to_stop(later, run, then) is not None


def delete_after(document: BacktestSweep, release: Release, run: Run, spent: Situation, now: Instant) -> int:
    """Return when a cluster is deleted even without an operator: past its deadline, before its budget is used up."""
    limit = document.spec.active_deadline_seconds or release.deadlines.run
    queued = spent.cluster is not None and spent.cluster.suspended  # Kueue's time does not count
    began = int(now) if queued else max(run.run_started_at, run.admitted_at or 0)
    times = [began + limit + release.deadlines.overrun]
    budget = budget_of(document.spec, release, run.workers, cost_of(spent, now))
    if budget is not None:
        until = affordable_until(budget, int(now), release.deadlines.overrun)
        times += [] if until is None else [until]
    return min(times)


def _launch(situation: Situation, document: BacktestSweep, run: Run, now: Instant) -> Iterator[Action]:
    """Yield what the attempt lacks: the flow run first, for a cluster nobody uses costs more than a waiting flow.

    A cluster that Kueue has to admit comes first, and the flow only once it is admitted.
    """
    queued = document.spec.cluster is not None and document.spec.cluster.queue_name is not None and run.workers > 0
    cluster = list(_launch_cluster(situation, document, run, now))
    flow = list(_launch_flow(situation, document, run))
    if not queued:
        yield from (*flow, *cluster)
        return
    yield from cluster
    if situation.cluster is not None and not situation.cluster.suspended:
        yield from flow


def _launch_flow(situation: Situation, document: BacktestSweep, run: Run) -> Iterator[Action]:
    """Yield the creation of a flow run that was never seen; one that was seen and is gone is not made again."""
    if situation.flow_run is not None or run.flow_run_id is not None or situation.attempt is None:
        return
    release = situation.release
    request = flow_run_request(situation.attempt, document, release, run.workers, _budget_told(situation, document))
    yield deployment(work_pool(document, release), release)
    yield CreateFlowRun(request, situation.guard(generation=True))


def _launch_cluster(situation: Situation, document: BacktestSweep, run: Run, now: Instant) -> Iterator[Action]:
    """Yield policy and cluster where they are missing, the cluster's end where that has moved, or its deletion."""
    cluster, flow_run, attempt = situation.cluster, situation.flow_run, situation.attempt
    if not run.workers or attempt is None:
        return
    if flow_run is not None and flow_run.progress is not None and not flow_run.progress.cluster_needed:
        if cluster is not None and not cluster.deleting:
            yield DeleteChild(cluster.reference, situation.guard())
        return
    end = delete_after(document, situation.release, run, situation, now)
    if cluster is not None:
        if cluster.delete_after is None or abs(end - cluster.delete_after) > WORTH_EXTENDING_SECONDS:
            yield ExtendCluster(cluster.reference, end, situation.guard(generation=True))
        return
    guard = situation.guard(generation=True)
    if not any(policy.attempt == attempt for policy in situation.snapshot.policies):
        yield ApplyChild(Kind.POLICY, network_policy(attempt), guard)
    labels = {key: value for key, value in document.metadata.labels.items() if key in situation.release.copied_labels}
    manifest = ray_cluster(attempt, document.spec, situation.release, run.workers, end, labels)
    yield ApplyChild(Kind.CLUSTER, manifest, guard)


def _budget_told(situation: Situation, document: BacktestSweep) -> dict[str, str] | None:
    """Return what the flow is told of the budget, so that it submits no block that could pass it."""
    budget, cost = document.spec.budget, situation.status.cost
    if budget is None:
        return None
    return {"limit": budget.max_cost, "spent": "0" if cost is None else cost.amount}


def _milestones(situation: Situation, run: Run, now: Instant) -> Run:
    """Return the run with what was seen for the first time."""
    cluster, flow_run = situation.cluster, situation.flow_run
    update: dict[str, object] = {}
    if cluster is not None and not cluster.suspended and run.admitted_at is None and _has_queue(situation):
        update["admitted_at"] = int(now)
    if cluster is not None and cluster.ready and run.ready_at is None:
        update["ready_at"] = int(now)
    if flow_run is not None and flow_run.state is FlowState.RUNNING and run.running_at is None:
        update["running_at"] = int(now)
    if flow_run is not None and run.flow_run_id is None:
        update["flow_run_id"] = flow_run.id
    return run.model_copy(update=update) if update else run


def _has_queue(situation: Situation) -> bool:
    document = situation.document
    return document is not None and document.spec.cluster is not None and document.spec.cluster.queue_name is not None


def _told(situation: Situation, run: Run) -> Told:
    """Return what a reader is told of an attempt that goes on."""
    if run.running_at is not None and (run.ready_at is not None or not run.workers):
        flow_run = situation.flow_run
        counts = None if flow_run is None or flow_run.progress is None else flow_run.progress.trials
        return Told(State.RUNNING, str(State.RUNNING), _counted(counts))
    lacking = []
    if run.workers and run.ready_at is None:
        queued = situation.cluster is not None and situation.cluster.suspended
        lacking.append("its cluster waits in Kueue's queue" if queued else "its cluster is coming up")
    if run.running_at is None:
        lacking.append("its flow is not running yet")
    return Told(
        State.STARTING, str(State.STARTING), f"attempt {run.attempt}: {' and '.join(lacking)}{situation.obstacle}"
    )


def _counted(counts: TrialCounts | None) -> str:
    """Return progress as a sentence."""
    if counts is None:
        return "no block has finished yet"
    failed = f", {counts.failed:,} failed" if counts.failed else ""
    return f"{counts.done:,} of {counts.total:,} trials done{failed}"
