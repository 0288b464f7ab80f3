"""A sweep without an active attempt: begin one where one is wanted and possible, and leave nothing lying about."""

from __future__ import annotations

from dataclasses import dataclass

from backsweep_api.conditions import Next, Phase, State, StopReason
from backsweep_api.errors import InvariantError
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import Run
from backsweep_operator.decide.active import delete_after
from backsweep_operator.decide.costs import affordable_until, budget_of, cost_of
from backsweep_operator.decide.pool import pool_size
from backsweep_operator.decide.removal import remove_leftovers
from backsweep_operator.decide.situation import Situation
from backsweep_operator.decide.statuses import Told, write_status
from backsweep_operator.decide.stopping import rest_of
from backsweep_operator.decide.transitions import begin, rest
from backsweep_operator.model import Action, Decision, FreePlace, Instant, JobView, NothingRuns

__all__ = ["decide_resting"]

LEAST_SECONDS_TO_BUY = 60  # a budget that buys less is used up
LOOK_FOR_A_PLACE_SECONDS = 30.0
LOOK_FOR_RIGHTS_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Rest:
    """What is so while no attempt is active, and when it may change by itself."""

    told: Told
    run: Run | None
    look_again_seconds: float | None = None


def decide_resting(situation: Situation, now: Instant) -> Decision:
    """Return the removal of what is left, and the beginning of an attempt or what a reader is told instead."""
    run = situation.run
    keep = _keeps_jobs(situation, now)
    removal: list[Action] = remove_leftovers(situation, keep_finished_jobs=keep)
    resting = _at_rest(situation, now)
    if resting is not None:
        wait = _soonest(resting.look_again_seconds, _until_ttl(situation, now))
        if _anything_left(situation, keep_finished_jobs=keep):
            wait = _soonest(wait, situation.release.poll_seconds)
        return Decision((*removal, *write_status(situation, resting.run, resting.told, now)), wait)
    if _anything_left(situation, keep_finished_jobs=False):
        gone = remove_leftovers(situation, keep_finished_jobs=False)
        told = Told(State.QUEUED, "Clearing", "what an earlier attempt left is being deleted first")
        return Decision((*gone, *write_status(situation, run, told, now)), situation.release.poll_seconds)
    fresh = _fresh_run(situation, now)
    at = situation.sweep.reference
    nothing = NothingRuns(at.namespace, at.uid, situation.attempt, finished_jobs=False)
    place = FreePlace(situation.release.max_concurrent_sweeps)
    told = Told(State.STARTING, str(State.STARTING), f"attempt {fresh.attempt} begins")
    return Decision(tuple(write_status(situation, begin(run, fresh), told, now, (nothing, place))), 0)


def _at_rest(situation: Situation, now: Instant) -> Rest | None:
    """Return what keeps an attempt from beginning now; None if one begins."""
    run, document = situation.run, situation.document
    if document is None:
        told = Told(State.NOT_ACCEPTED, str(StopReason.NOT_ACCEPTED), situation.problems[0])
        return Rest(told, run, LOOK_FOR_RIGHTS_SECONDS)
    stop = None if run is None else run.stop
    finished = stop is not None and stop.next is Next.SUCCEED
    if run is not None and stop is not None and not situation.changed and finished:
        return Rest(rest_of(stop), run)
    if situation.suspended:
        return _suspended(situation, now)
    if run is not None and stop is not None and not situation.changed:
        if stop.next is Next.FAIL:
            return Rest(rest_of(stop), run)
        wait = stop.time + _retry_wait(situation, run) - now if stop.next is Next.RETRY else 0.0
        if wait > 0:
            return Rest(rest_of(stop), run, wait)
    return _broke(situation, document, now) or _without_place(situation, now)


def _suspended(situation: Situation, now: Instant) -> Rest:
    """Return the rest of a suspended sweep; one that had failed or waited goes on by a new attempt when resumed."""
    run, message = situation.run, "spec.suspend is true; write false to go on"
    told = Told(State.SUSPENDED, str(StopReason.SUSPENDED), message)
    if run is None or (run.stop is not None and run.stop.reason is StopReason.SUSPENDED):
        return Rest(told, run)
    return Rest(told, rest(run, Next.SUSPEND, StopReason.SUSPENDED, message, now))


def _broke(situation: Situation, document: BacktestSweep, now: Instant) -> Rest | None:
    """Return the rest of a sweep whose budget buys no more; raising it is seen at once."""
    spec, release = document.spec, situation.release
    budget = budget_of(spec, release, pool_size(spec, situation.sweep.trials), cost_of(situation, now))
    if budget is None or spec.budget is None:
        return None
    until = affordable_until(budget, int(now), release.deadlines.overrun)
    if until is None or until >= now + LEAST_SECONDS_TO_BUY:
        return None
    suspends = spec.budget.on_exceeded == "Suspend"
    message = (
        f"spec.budget.maxCost {budget.limit:f} less {budget.spent:f} spent buys under {LEAST_SECONDS_TO_BUY} s beside "
        f"the {release.deadlines.overrun} s kept for taking everything away; write more, or a smaller pool"
    )
    told = Told(State.SUSPENDED if suspends else State.FAILED, str(StopReason.BUDGET_EXCEEDED), message)
    return Rest(told, situation.run)


def _without_place(situation: Situation, now: Instant) -> Rest | None:
    """Return the rest of a sweep for which maxConcurrentSweeps leaves no place yet."""
    snapshot, release = situation.snapshot, situation.release
    if snapshot.others_active + snapshot.others_ahead < release.max_concurrent_sweeps:
        return None
    run = situation.run
    since = situation.sweep.created_at if run is None or run.stop is None else float(run.stop.time)
    if now >= since + release.deadlines.queue:
        message = f"no place among {release.max_concurrent_sweeps} sweeps in {release.deadlines.queue} s"
        return Rest(Told(State.FAILED, str(StopReason.QUEUE_DEADLINE_EXCEEDED), message), run)
    # No counts: they change with every other sweep, and each of those that wait would be written anew.
    message = f"waits for a place: this release runs {release.max_concurrent_sweeps} sweeps at once"
    return Rest(Told(State.QUEUED, str(State.QUEUED), message), run, LOOK_FOR_A_PLACE_SECONDS)


def _fresh_run(situation: Situation, now: Instant) -> Run:
    """Return the run of the next attempt: its number is above any ever seen, whatever became of status."""
    run, document = situation.run, situation.document
    uid = situation.sweep.reference.uid
    snapshot = situation.snapshot
    names = [child.attempt for child in situation.mine]
    names += [each.attempt for each in snapshot.flow_runs] + [each.attempt for each in snapshot.pods]
    highest = max((name.attempt for name in names if name.uid == uid), default=0)
    retried = run is not None and run.stop is not None and run.stop.next is Next.RETRY and not situation.changed
    if document is None:
        raise InvariantError("a sweep that is not accepted cannot begin")
    fresh = Run(
        spec_digest=situation.sweep.spec_digest,
        attempt=max(highest, 0 if run is None else run.attempt) + 1,
        phase=Phase.ACTIVE,
        started_at=int(now),
        run_started_at=run.run_started_at if retried and run is not None else int(now),
        workers=pool_size(document.spec, situation.sweep.trials),
        failures=run.failures if retried and run is not None else 0,
    )
    if not fresh.workers:
        return fresh
    end = delete_after(document, situation.release, fresh, situation, now)
    return fresh.model_copy(update={"delete_after": end})


def _retry_wait(situation: Situation, run: Run) -> float:
    """Return how long to wait before an attempt after `failures` lost ones."""
    release = situation.release
    return float(min(release.retry_seconds * 2 ** max(run.failures - 1, 0), release.longest_retry_seconds))


def _ttl_end(situation: Situation) -> float | None:
    """Return when what a finished sweep made is deleted; None while it is not finished."""
    run = situation.run
    if run is None or run.stop is None or run.stop.next not in (Next.SUCCEED, Next.FAIL):
        return None
    document = situation.sweep.document
    ttl = None if document is None else document.spec.ttl_seconds_after_finished
    return run.stop.time + (situation.release.ttl_seconds if ttl is None else ttl)


def _keeps_jobs(situation: Situation, now: Instant) -> bool:
    """Whether finished Jobs stay, for their logs."""
    end = _ttl_end(situation)
    return end is not None and now < end


def _until_ttl(situation: Situation, now: Instant) -> float | None:
    """Return the seconds until finished Jobs are deleted; None if there are none, or if they are being deleted."""
    end = _ttl_end(situation)
    jobs = any(isinstance(child, JobView) for child in situation.mine)
    return end - now if end is not None and end > now and jobs else None


def _anything_left(situation: Situation, *, keep_finished_jobs: bool) -> bool:
    """Whether something of the sweep has to go."""
    uid = situation.sweep.reference.uid
    open_runs = any(run.attempt.uid == uid and not run.state.terminal for run in situation.snapshot.flow_runs)
    return open_runs or any(
        not (keep_finished_jobs and isinstance(child, JobView) and child.finished) for child in situation.mine
    )


def _soonest(*times: float | None) -> float | None:
    """Return the least of those that are given."""
    return min((time for time in times if time is not None), default=None)
