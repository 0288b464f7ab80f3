"""An attempt that is being stopped: flow run, Job, cluster, in this order; then nothing of it is left."""

from __future__ import annotations

from backsweep_api.conditions import Next, State, StopReason
from backsweep_api.errors import InvariantError
from backsweep_api.status import Run, Stop
from backsweep_operator.build import deployment, work_pool
from backsweep_operator.decide.removal import remove_leftovers, remove_strays
from backsweep_operator.decide.situation import Situation
from backsweep_operator.decide.statuses import Told, write_status
from backsweep_operator.decide.transitions import finish
from backsweep_operator.model import (
    Action,
    CancelFlowRun,
    CreateFlowRun,
    Decision,
    DeleteChild,
    FlowRunRequest,
    Instant,
    JobView,
    Kind,
    NothingRuns,
)

__all__ = ["decide_stopping", "rest_of"]

STATES = {
    Next.SUCCEED: State.SUCCEEDED,
    Next.FAIL: State.FAILED,
    Next.SUSPEND: State.SUSPENDED,
    Next.RETRY: State.RETRYING,
    Next.RESTART: State.QUEUED,
}


def decide_stopping(situation: Situation, run: Run, now: Instant) -> Decision:
    """Take the attempt away, and say so once a live read finds nothing of it."""
    stop = run.stop
    if stop is None or situation.attempt is None:
        raise InvariantError(f"attempt {run.attempt} is stopping without a reason")
    keep = stop.next in (Next.SUCCEED, Next.FAIL)
    flow_run = situation.flow_run
    closed = flow_run is not None and flow_run.state.terminal
    left = _left(situation, keep)
    at = situation.sweep.reference
    if closed and not left:
        nothing = NothingRuns(at.namespace, at.uid, situation.attempt, finished_jobs=keep)
        return Decision(tuple(write_status(situation, finish(run), rest_of(stop), now, (nothing,))), 0)
    actions: list[Action] = []
    if closed:
        gone = remove_leftovers(situation, keep_finished_jobs=keep)
        actions += [action for action in gone if not (keep and _finishes(situation, stop, now) and _is_job(action))]
    else:
        if now >= stop.time + situation.release.deadlines.cancel:  # Prefect is away: nothing may go on costing for that
            gone = remove_leftovers(situation, keep_finished_jobs=keep)
            actions += [action for action in gone if isinstance(action, DeleteChild)]
        actions += [*_close(situation, stop, now), *remove_strays(situation)]
    told = Told(State.STOPPING, str(stop.reason), stop.message)
    if now >= stop.time + situation.release.deadlines.stop:
        what = ", ".join(left) or "the flow run, which Prefect does not say has ended"
        message = f"still there {int(now) - stop.time} s after the attempt was stopped ({stop.reason}): {what}"
        told = Told(State.STOPPING, str(StopReason.STOP_OVERDUE), message)
    actions += write_status(situation, run, told, now)
    return Decision(tuple(actions), situation.release.poll_seconds)


def rest_of(stop: Stop) -> Told:
    """Return what a reader is told once an attempt has stopped."""
    return Told(STATES[stop.next], str(stop.reason), stop.message)


def _close(situation: Situation, stop: Stop, now: Instant) -> list[Action]:
    """Return what makes sure that the attempt's flow never runs again.

    One that was not seen may be on its way to Prefect at this moment: creating it as cancelled, under the same
    idempotency key, leaves nothing for a late request to create. A flow that has reported is given time to tell
    Prefect itself.
    """
    flow_run, attempt = situation.flow_run, situation.attempt
    if attempt is None:
        return []
    if flow_run is None:
        document = situation.sweep.document
        release = situation.release
        pool = release.work_pool if document is None else work_pool(document, release)
        never = CreateFlowRun(FlowRunRequest(attempt, pool, {}, {}), situation.guard(), cancelled=True)
        return [deployment(pool, release), never]
    if _finishes(situation, stop, now):
        return []
    return [CancelFlowRun(attempt, flow_run.id, situation.guard())]


def _finishes(situation: Situation, stop: Stop, now: Instant) -> bool:
    """Whether a flow that has reported is still given time: to tell Prefect, and its Job to be seen as finished."""
    return situation.report is not None and now < stop.time + situation.release.deadlines.report


def _is_job(action: Action) -> bool:
    return isinstance(action, DeleteChild) and action.reference.kind is Kind.JOB


def _left(situation: Situation, keep_finished_jobs: bool) -> list[str]:
    """Name what is left of the sweep."""
    found = [
        f"{child.reference.kind} {child.reference.name}"
        for child in situation.mine
        if not (keep_finished_jobs and isinstance(child, JobView) and child.finished)
    ]
    uid = situation.sweep.reference.uid
    found += [
        f"Pod {pod.name}" for pod in situation.snapshot.pods if pod.attempt.uid == uid and pod.finished_at is None
    ]
    return found
