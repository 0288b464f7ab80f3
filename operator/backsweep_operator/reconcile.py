"""One pass over one sweep (observe, decide, act), and the reading of Prefect between passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backsweep_operator.act import Hands, act
from backsweep_operator.decide import decide
from backsweep_operator.errors import CallRefusedError
from backsweep_operator.model import Decision, EmitEvent, Instant, Release, Snapshot
from backsweep_operator.observe import Key, snapshot_of
from backsweep_operator.ports import NOTHING_KNOWN

__all__ = ["Reconciler"]

POLLS_A_WHOLE_READ = 10


@dataclass(slots=True)
class Reconciler:
    """Brings sweeps to what they should be; never two passes over the same key at once."""

    hands: Hands
    release: Release
    deciding: Callable[[Snapshot, Instant], Decision] = decide
    polls: int = 0

    async def reconcile(self, key: Key) -> float | None:
        """Do one pass, and return when to look again without an event (None: not).

        Raises
        ------
        TransientError
            If a call failed, or what was decided on is out of date; the key is tried again after a while.
        InvariantError
            If status holds what no release of ours writes.
        """
        snapshot = snapshot_of(key, self.hands.seen, self.release)
        decision = self.deciding(snapshot, self.hands.clock.now())
        try:
            await act(decision.actions, self.hands)
        except CallRefusedError as error:  # status cannot say it: what it says is decided from what is there
            if snapshot.sweep is not None:
                event = EmitEvent(snapshot.sweep.reference, "Warning", error.reason, str(error))
                await act((event,), self.hands)
            raise
        return decision.requeue_after_seconds

    async def poll(self) -> set[Key]:
        """Read what is new of the flow runs of all sweeps at work, and return the sweeps whose flow runs changed.

        Now and then all is read: a message, or since when, may have changed within the same type of state.
        """
        seen = self.hands.seen
        attempts = seen.attempts_to_poll()
        if not attempts:
            return set()
        self.polls += 1
        known = NOTHING_KNOWN if self.polls % POLLS_A_WHOLE_READ == 0 else seen.flow_runs
        found = await self.hands.prefect.flow_runs(attempts, known)
        return seen.note_flow_runs(attempts, found, self.hands.clock.now())

    async def find_orphans(self) -> set[Key]:
        """Read every open flow run of ours, and return the sweeps they name: one may be gone."""
        found = await self.hands.prefect.open_flow_runs()
        for view in found:
            self.hands.seen.note_flow_run(view)
        return {(view.attempt.namespace, view.attempt.sweep) for view in found}
