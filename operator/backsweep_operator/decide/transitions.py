"""Which phase of a run may follow which; any other step is a bug."""

from __future__ import annotations

from backsweep_api.conditions import Next, Phase, StopReason
from backsweep_api.errors import InvariantError
from backsweep_api.status import Run, Stop
from backsweep_operator.model import Instant

__all__ = ["begin", "finish", "is_lost", "rest", "stop_run"]

ALLOWED = {
    (None, Phase.ACTIVE),  # the first attempt
    (Phase.ACTIVE, Phase.STOPPING),  # persisted before anything of the attempt is taken away
    (Phase.STOPPING, Phase.STOPPED),  # nothing of it is left
    (Phase.STOPPED, Phase.ACTIVE),  # another attempt
}


def begin(run: Run | None, fresh: Run) -> Run:
    """Return the run of a new attempt, whose number must be new."""
    _check(run, Phase.ACTIVE)
    if run is not None and fresh.attempt <= run.attempt:
        raise InvariantError(f"attempt {fresh.attempt} would be used again after {run.attempt}")
    return fresh


def stop_run(run: Run, stop: Stop) -> Run:
    """Return the run of an attempt that is to be stopped; one lost to infrastructure is counted."""
    _check(run, Phase.STOPPING)
    failures = run.failures + is_lost(stop.next, stop.reason)
    return run.model_copy(update={"phase": Phase.STOPPING, "stop": stop, "failures": failures})


def is_lost(following: Next, reason: StopReason) -> bool:
    """Whether a stop counts towards backoffLimit: being sent back to a queue is what queues are for."""
    again = following is Next.RETRY and reason is not StopReason.SENT_BACK
    return again or reason is StopReason.BACKOFF_LIMIT_EXCEEDED


def finish(run: Run) -> Run:
    """Return the run of an attempt of which nothing is left."""
    _check(run, Phase.STOPPED)
    return run.model_copy(update={"phase": Phase.STOPPED})


def rest(run: Run, following: Next, reason: StopReason, message: str, now: Instant) -> Run:
    """Return a stopped run after which something else follows."""
    if run.phase is not Phase.STOPPED:
        raise InvariantError(f"attempt {run.attempt} is {run.phase}, so that nothing else can follow yet")
    stop = Stop(next=following, reason=reason, message=message, time=int(now))
    return run.model_copy(update={"stop": stop})


def _check(run: Run | None, phase: Phase) -> None:
    """Refuse a step that is not in the table."""
    before = None if run is None else run.phase
    if (before, phase) not in ALLOWED:
        raise InvariantError(f"a run that is {before} cannot become {phase}")
