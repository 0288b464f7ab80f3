"""`decide`: from what was seen and the time to what is done. No I/O, no clock, no chance."""

from __future__ import annotations

from backsweep_api.conditions import Phase
from backsweep_operator.decide.acceptance import problems_of
from backsweep_operator.decide.active import decide_active
from backsweep_operator.decide.removal import remove_orphans
from backsweep_operator.decide.resting import decide_resting
from backsweep_operator.decide.situation import situation_of
from backsweep_operator.decide.stopping import decide_stopping
from backsweep_operator.model import Decision, Instant, Snapshot

__all__ = ["decide"]


def decide(snapshot: Snapshot, now: Instant) -> Decision:
    """Return what to do now about the sweep of a name; the same for the same snapshot and time.

    Level-triggered: it asks what is and what should be, never what happened. What an attempt needs is done only under
    a run that is persisted, so that the decision after a crash, or in another process, is about the same attempt.

    Raises
    ------
    InvariantError
        If status holds a run that no release of ours writes.
    """
    sweep = snapshot.sweep
    if sweep is None or sweep.deleting:  # Kubernetes deletes what has an owner; Prefect must be told, orphans found
        actions = remove_orphans(snapshot, None)
        left = bool(actions or snapshot.clusters or snapshot.jobs or snapshot.policies)
        return Decision(tuple(actions), snapshot.release.poll_seconds if left else None)
    situation = situation_of(snapshot, sweep, problems_of(snapshot, sweep))
    run = situation.run
    if run is None or run.phase is Phase.STOPPED:
        return decide_resting(situation, now)
    if run.phase is Phase.STOPPING:
        return decide_stopping(situation, run, now)
    return decide_active(situation, run, now)
