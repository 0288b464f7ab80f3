"""What runs in flow pods: it asks Prefect whether it may, waits for its cluster, finishes blocks, and says its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from tests.simulation.clockwork import Clockwork
from tests.simulation.prefect_model import PrefectModel
from tests.simulation.world import World

from backsweep_api.names import AttemptName
from backsweep_api.status import TrialCounts
from backsweep_operator.model import FlowState, Kind, Progress

TRIALS = 100
BLOCKS = 3
BLOCK_SECONDS = 15.0
PATIENCE_SECONDS = 600.0


class Fate(StrEnum):
    """What becomes of a flow in the end."""

    FINE = "fine"
    TRIALS_FAIL = "failed"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    KILLED = "killed"
    NODE_LOST = "lost"
    STUCK = "stuck"


Ended = Callable[[str | None], None]


@dataclass(slots=True)
class Flows:
    """All flow processes.

    `blocks` counts finished blocks by sweep and digest: they are in the store, so that another attempt finds them.
    `committed` are the sweeps and digests whose manifest is in the store. `alive` are pods in which a flow runs that
    Prefect let run; `fates` says how the flows of a sweep end, one after another, and then well.
    """

    clockwork: Clockwork
    world: World
    prefect: PrefectModel
    fates: list[Fate]
    blocks: dict[tuple[str, str], int] = field(default_factory=dict)
    committed: set[tuple[str, str]] = field(default_factory=set)
    alive: dict[str, AttemptName] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)

    def start(self, pod: str, attempt: AttemptName, ended: Ended) -> None:
        self.clockwork.after(self.clockwork.between(1, 20, "flow"), lambda: self.ask(pod, attempt, ended, 0))

    def kill(self, pod: str) -> None:
        """The pod is gone, and what ran in it."""
        self.killed.add(pod)
        self.alive.pop(pod, None)

    def ask(self, pod: str, attempt: AttemptName, ended: Ended, tries: int) -> None:
        """Ask Prefect for RUNNING; a flow that was cancelled meanwhile ends without a word, and its Job is Complete."""
        if pod in self.killed:
            return
        if self.prefect.down and tries < 20:
            self.clockwork.after(10, lambda: self.ask(pod, attempt, ended, tries + 1))
            return
        if not self.prefect.propose(attempt, FlowState.RUNNING, (FlowState.PENDING, FlowState.RUNNING)):
            ended(None)
            return
        self.alive[pod] = attempt
        self.prefect.tell_progress(attempt, self._progress(attempt))
        fate = self.fates.pop(0) if self.fates else Fate.FINE
        self.work(pod, fate, ended, self.clockwork.time)

    def work(self, pod: str, fate: Fate, ended: Ended, since: float) -> None:
        """Finish a block, or end."""
        attempt = self.alive.get(pod)
        if attempt is None:
            return
        work = (attempt.uid, attempt.digest)
        done = self.blocks.get(work, 0)
        if not self._cluster_ready(attempt):
            if self.clockwork.time - since > PATIENCE_SECONDS:
                self.end(pod, ended, Fate.INCOMPLETE)
            else:
                self.clockwork.after(5, lambda: self.work(pod, fate, ended, since))
        elif fate is Fate.STUCK:
            return
        elif fate is not Fate.FINE and done >= 1:
            self.end(pod, ended, fate)
        elif done >= BLOCKS:
            self.committed.add(work)
            self.end(pod, ended, Fate.FINE)
        else:
            seconds = self.clockwork.between(0.5, 1.5, "block") * BLOCK_SECONDS
            self.clockwork.after(seconds, lambda: self.finish_block(pod, fate, ended))

    def finish_block(self, pod: str, fate: Fate, ended: Ended) -> None:
        attempt = self.alive.get(pod)
        if attempt is None:
            return
        work = (attempt.uid, attempt.digest)
        self.blocks[work] = self.blocks.get(work, 0) + 1
        self.prefect.tell_progress(attempt, self._progress(attempt))
        self.work(pod, fate, ended, self.clockwork.time)

    def end(self, pod: str, ended: Ended, fate: Fate) -> None:
        """Tell Prefect and the pod's termination message how it ended, as far as this end allows."""
        attempt = self.alive.pop(pod)
        if fate in (Fate.KILLED, Fate.NODE_LOST):
            ended("lost" if fate is Fate.NODE_LOST else None)
            return
        good = fate is Fate.FINE
        self.prefect.propose(attempt, FlowState.COMPLETED if good else FlowState.FAILED, (FlowState.RUNNING,))
        outcome = "succeeded" if good else str(fate)
        message: dict[str, object] = {"outcome": outcome, "message": f"the flow ended as {outcome}"}
        if good:
            message["manifest"] = {"uri": f"s3://b/{attempt.digest}", "resultDigest": attempt.digest}
        ended(json.dumps(message))

    def _cluster_ready(self, attempt: AttemptName) -> bool:
        """Whether a flow's own cluster is up, if it has one."""
        if self.prefect.requests[attempt].parameters["ray"] is None:
            return True
        raw = self.world.get(Kind.CLUSTER, attempt.namespace, attempt.child)
        return raw is not None and "status" in raw and "deletionTimestamp" not in raw["metadata"]

    def _progress(self, attempt: AttemptName) -> Progress:
        done = self.blocks.get((attempt.uid, attempt.digest), 0)
        share = min(done * TRIALS // BLOCKS, TRIALS)
        return Progress(TrialCounts(total=TRIALS, done=share), self.clockwork.time)
