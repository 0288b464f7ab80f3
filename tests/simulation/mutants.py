"""Bugs planted into deciding, each of which one might really write; the simulation must find every one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from backsweep_api.conditions import Phase
from backsweep_api.names import AttemptName
from backsweep_operator.build import deployment, flow_run_request
from backsweep_operator.decide import decide
from backsweep_operator.model import (
    AtRun,
    CreateFlowRun,
    Decision,
    DeleteChild,
    FlowRunView,
    FlowState,
    Outcome,
    PatchStatus,
    PodRole,
    PodView,
    Report,
    Snapshot,
)


def uses_attempt_before_it_is_persisted(snapshot: Snapshot, now: float) -> Decision:
    """Create the flow run of a new attempt in the same pass that writes the attempt into status, and before that."""
    decision = decide(snapshot, now)
    sweep = snapshot.sweep
    for action in decision.actions:
        run = action.status.run if isinstance(action, PatchStatus) else None
        begins = run is not None and run.phase is Phase.ACTIVE and sweep is not None and run != sweep.status.run
        if begins and run is not None and sweep is not None and sweep.document is not None and not run.flow_run_id:
            at = sweep.reference
            attempt = AttemptName.of((at.namespace, at.name, at.uid), run.spec_digest, run.attempt)
            request = flow_run_request(attempt, sweep.document, snapshot.release, run.workers, None)
            guard = _guard_of(snapshot)
            early = (deployment(request.work_pool, snapshot.release), CreateFlowRun(request, guard))
            return replace(decision, actions=(*early, *decision.actions))
    return decision


def deletes_cluster_before_cancelling(snapshot: Snapshot, now: float) -> Decision:
    """Take the cluster away first, since it costs most."""
    decision = decide(snapshot, now)
    if snapshot.sweep is None or _phase(snapshot) is not Phase.STOPPING:
        return decision
    guard = _guard_of(snapshot)
    clusters = tuple(DeleteChild(each.reference, guard) for each in snapshot.clusters if not each.deleting)
    return replace(decision, actions=(*clusters, *decision.actions))


def takes_a_complete_job_for_success(snapshot: Snapshot, now: float) -> Decision:
    """A Job that is Complete has done its work, has it not?"""
    jobs = [job for job in snapshot.jobs if job.complete]
    told = {pod.attempt for pod in snapshot.pods if pod.report is not None}
    pods = tuple(
        PodView(
            job.reference.name, job.attempt, PodRole.FLOW, Decimal(0), Decimal(0), None, now, Report(Outcome.SUCCEEDED)
        )
        for job in jobs
        if job.attempt not in told
    )
    return decide(replace(snapshot, pods=(*snapshot.pods, *pods)), now)


def forgets_runs_on_their_way(snapshot: Snapshot, now: float) -> Decision:
    """A flow run that was not seen does not exist."""
    sweep = snapshot.sweep
    if sweep is None or sweep.status.run is None or _phase(snapshot) is not Phase.STOPPING or snapshot.flow_runs:
        return decide(snapshot, now)
    at, run = sweep.reference, sweep.status.run
    attempt = AttemptName.of((at.namespace, at.name, at.uid), run.spec_digest, run.attempt)
    never = FlowRunView(attempt, "none", FlowState.CANCELLED, now)
    return decide(replace(snapshot, flow_runs=(never,)), now)


MUTANTS: dict[str, Callable[[Snapshot, float], Decision]] = {
    "attempt used before it is persisted": uses_attempt_before_it_is_persisted,
    "cluster deleted before its flow is cancelled": deletes_cluster_before_cancelling,
    "a Complete Job taken for success": takes_a_complete_job_for_success,
    "a flow run on its way is forgotten": forgets_runs_on_their_way,
}


def _phase(snapshot: Snapshot) -> Phase | None:
    run = None if snapshot.sweep is None else snapshot.sweep.status.run
    return None if run is None else run.phase


def _guard_of(snapshot: Snapshot) -> AtRun:
    assert snapshot.sweep is not None
    at = snapshot.sweep.reference
    return AtRun(at.namespace, at.name, at.uid, snapshot.sweep.status.run)
