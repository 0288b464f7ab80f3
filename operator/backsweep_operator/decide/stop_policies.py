"""Why an active attempt is stopped: policies in a fixed order, the first finding counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backsweep_api.conditions import Next, StopReason
from backsweep_api.status import Run, Stop
from backsweep_operator.decide.costs import affordable_until, budget_of, cost_of
from backsweep_operator.decide.situation import Situation
from backsweep_operator.decide.transitions import is_lost
from backsweep_operator.model import FlowState, Instant, Kind, Outcome, StillMissing

__all__ = ["POLICIES", "Finding", "reason_to_stop"]

FLOW_RUNS_FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What follows the attempt, why, and what a live read must confirm first."""

    next: Next
    reason: StopReason
    message: str
    premises: tuple[StillMissing, ...] = ()


Policy = Callable[[Situation, Run, Instant], Finding | None]


def reason_to_stop(situation: Situation, run: Run, now: Instant) -> tuple[Stop, tuple[StillMissing, ...]] | None:
    """Return why the attempt is stopped, or None. An attempt lost too often is not tried again."""
    for policy in POLICIES:
        finding = policy(situation, run, now)
        if finding is not None:
            finding = _within_backoff_limit(situation, run, finding)
            stop = Stop(next=finding.next, reason=finding.reason, message=finding.message[:1_000], time=int(now))
            return stop, finding.premises
    return None


def _reported(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """The flow said how it ended. A Job that is Complete says nothing: it is when a flow failed, too."""
    report = situation.report
    if report is None:
        return None
    return {
        Outcome.SUCCEEDED: Finding(Next.SUCCEED, StopReason.FINISHED, report.message),
        Outcome.FAILED: Finding(Next.FAIL, StopReason.TRIALS_FAILED, report.message),
        Outcome.REFUSED: Finding(Next.FAIL, StopReason.FLOW_REFUSED, report.message),
        Outcome.INCOMPLETE: Finding(Next.RETRY, StopReason.FLOW_INCOMPLETE, report.message),
        Outcome.OVER_BUDGET: Finding(_after_budget(situation), StopReason.BUDGET_EXCEEDED, report.message),
    }[report.outcome]


def _not_accepted(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """The spec was changed into one that cannot run."""
    if situation.problems:
        return Finding(Next.RESTART, StopReason.NOT_ACCEPTED, situation.problems[0])
    return None


def _spec_changed(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """The spec means other results than this attempt computes."""
    if situation.changed:
        return Finding(Next.RESTART, StopReason.SPEC_CHANGED, "the spec was changed; it is run anew")
    return None


def _suspended(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """spec.suspend: what is finished stays in the store."""
    if situation.suspended:
        return Finding(Next.SUSPEND, StopReason.SUSPENDED, "spec.suspend is true; write false to go on")
    return None


def _past_deadline(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """spec.activeDeadlineSeconds, or the release's longest run, is over."""
    given = None if situation.document is None else situation.document.spec.active_deadline_seconds
    limit = given or situation.release.deadlines.run
    if _queued_by_kueue(situation) or now < _clock_start(run, run.run_started_at) + limit:
        return None
    what = "spec.activeDeadlineSeconds" if given else "the longest time this release lets a sweep run"
    message = f"{what}, {limit} s, is over; what is finished is stored{situation.obstacle}"
    return Finding(Next.FAIL, StopReason.DEADLINE_EXCEEDED, message)


def _over_budget(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """Going on could spend more than spec.budget.maxCost before everything is taken away."""
    if situation.document is None:
        return None
    release = situation.release
    budget = budget_of(situation.document.spec, release, run.workers, cost_of(situation, now))
    if budget is None:
        return None
    until = affordable_until(budget, int(now), release.deadlines.overrun)
    if until is None or now + 2 * release.poll_seconds < until:
        return None
    following = _after_budget(situation)
    again = "" if following is Next.SUSPEND else " and write suspend: true, then false,"
    message = (
        f"stopped at {budget.spent:f} before spec.budget.maxCost, {budget.limit:f}, is passed; "
        f"what is finished is stored; raise it{again} to go on"
    )
    return Finding(following, StopReason.BUDGET_EXCEEDED, message)


def _flow_ended(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """The flow run or its Job ended without a report, for as long as one may be late."""
    grace = situation.release.deadlines.report
    flow_run = situation.flow_run
    if flow_run is not None and flow_run.state.terminal and now >= flow_run.state_since + grace:
        if flow_run.state is FlowState.CANCELLED:
            message = "the flow run was cancelled in Prefect; write suspend: true, then false, to go on"
            return Finding(Next.FAIL, StopReason.CANCELLED_IN_PREFECT, message)
        if not situation.flow_pods_running:
            told = flow_run.message or "it said no more"
            return Finding(Next.RETRY, StopReason.FLOW_LOST, f"the flow run ended as {flow_run.state}: {told}")
    for job in situation.jobs:
        if job.finished and job.finished_at is not None and now >= job.finished_at + grace:
            state = "Complete" if job.complete else "Failed"
            return Finding(Next.RETRY, StopReason.FLOW_LOST, f"Job {job.reference.name} is {state} without a report")
    return None


def _flow_gone(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """The flow run is no longer in Prefect, or its Job no longer in Kubernetes."""
    lost = situation.release.deadlines.lost
    if not _prefect_answers(situation, now):
        return None
    flow_run = situation.flow_run
    if flow_run is None:
        if run.flow_run_id is None or now < run.started_at + lost:
            return None
        return Finding(Next.RETRY, StopReason.FLOW_LOST, "the flow run is no longer in Prefect")
    if flow_run.state is FlowState.RUNNING and not situation.jobs and now >= flow_run.state_since + lost:
        missing = (StillMissing(Kind.JOB, flow_run.attempt),)
        return Finding(Next.RETRY, StopReason.FLOW_LOST, "the flow's Job is gone", missing)
    return None


def _cluster_gone(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """The cluster is being deleted by someone else, or is gone after it was ready."""
    flow_run, cluster = situation.flow_run, situation.cluster
    needed = flow_run is None or flow_run.progress is None or flow_run.progress.cluster_needed
    if not run.workers or not needed or situation.attempt is None:
        return None
    if cluster is None and run.ready_at is not None:
        missing = (StillMissing(Kind.CLUSTER, situation.attempt),)
        return Finding(Next.RETRY, StopReason.CLUSTER_LOST, "the RayCluster is gone", missing)
    if cluster is not None and cluster.deleting:
        return Finding(Next.RETRY, StopReason.CLUSTER_LOST, "the RayCluster was deleted by someone else")
    return None


def _sent_back(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """Kueue took an admitted cluster back, for what is more urgent: nothing was lost but time."""
    if _queued_by_kueue(situation) and (run.admitted_at is not None or run.ready_at is not None):
        return Finding(Next.RETRY, StopReason.SENT_BACK, "Kueue sent the RayCluster back to its queue")
    return None


def _start_overdue(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """Cluster and flow did not both come up in time; waiting for Kueue does not count."""
    if run.running_at is not None and (run.ready_at is not None or not run.workers):
        return None
    if _queued_by_kueue(situation):
        return None
    limit = situation.release.deadlines.start
    if now < _clock_start(run, run.started_at) + limit:
        return None
    missing = "cluster was not ready" if run.workers and run.ready_at is None else "flow was not running"
    return Finding(Next.RETRY, StopReason.START_OVERDUE, f"after {limit} s the {missing}{situation.obstacle}")


def _idle(situation: Situation, run: Run, now: Instant) -> Finding | None:
    """No block has finished for spec.cluster.idleTimeoutSeconds."""
    flow_run, document = situation.flow_run, situation.document
    if document is None or flow_run is None or flow_run.state is not FlowState.RUNNING or run.running_at is None:
        return None
    if not _prefect_answers(situation, now):
        return None
    cluster = document.spec.cluster
    limit = max(600 if cluster is None else cluster.idle_timeout_seconds, document.spec.execution.block_timeout_seconds)
    last = None if flow_run.progress is None else flow_run.progress.last_block_at
    if now < max(last or 0.0, run.running_at, run.ready_at or 0) + limit:
        return None
    return Finding(Next.RETRY, StopReason.IDLE, f"no block has finished for {limit} s")


POLICIES: tuple[Policy, ...] = (
    _reported,  # first: what is finished is finished, whatever else is asked for now
    _not_accepted,  # before all that reads the document
    _spec_changed,  # before suspend: both stop, and a change begins anew even while suspended
    _suspended,
    _past_deadline,  # limits that the user set come before failures, which would be tried again
    _over_budget,
    _flow_ended,  # definite ends before things that are only out of sight
    _flow_gone,
    _cluster_gone,
    _sent_back,
    _start_overdue,
    _idle,
)


def _after_budget(situation: Situation) -> Next:
    """Return what spec.budget.onExceeded asks for."""
    budget = None if situation.document is None else situation.document.spec.budget
    return Next.SUSPEND if budget is not None and budget.on_exceeded == "Suspend" else Next.FAIL


def _clock_start(run: Run, began: int) -> int:
    """Return when a limit's clock starts: time queued by Kueue does not count."""
    return began if run.admitted_at is None else max(began, run.admitted_at)


def _queued_by_kueue(situation: Situation) -> bool:
    """Whether the cluster waits in Kueue's queue."""
    return situation.cluster is not None and situation.cluster.suspended


def _prefect_answers(situation: Situation, now: Instant) -> bool:
    """Whether what is known of the flow run is new enough to say something about now."""
    answered = situation.snapshot.flow_runs_at
    return answered is not None and now - answered <= FLOW_RUNS_FRESH_SECONDS


def _within_backoff_limit(situation: Situation, run: Run, finding: Finding) -> Finding:
    """Return the finding, or that attempts were lost too often."""
    if not is_lost(finding.next, finding.reason) or situation.document is None:
        return finding
    limit = situation.document.spec.backoff_limit
    if run.failures < limit:
        return finding
    message = f"attempt {run.attempt} was lost ({finding.message}); spec.backoffLimit allows no more than {limit} again"
    return Finding(Next.FAIL, StopReason.BACKOFF_LIMIT_EXCEEDED, message, finding.premises)
