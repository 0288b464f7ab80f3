"""What a flow in its pod tells the operator while it runs: counts, the last step, and whether it needs its cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backsweep.orchestration.artifacts import Artifact
from backsweep_api.names import AttemptName
from backsweep_api.progress import PROGRESS_TYPE, FlowProgress, progress_key
from backsweep_api.status import TrialCounts

if TYPE_CHECKING:
    from backsweep.flow import Prepared
    from backsweep.sweep.compute import Progress

__all__ = ["PodProgress"]

LAST_ON_THE_CLUSTER = "compare"  # the stage after which nothing is asked of workers any more


class PodProgress:
    """The progress of one attempt, as a `Reporter`.

    Attributes
    ----------
    counts : of trials, as far as they are known.
    """

    def __init__(self, attempt: AttemptName) -> None:
        self.counts: TrialCounts | None = None
        self._key = progress_key(attempt)
        self._cached: int | None = None
        self._cluster_needed = True

    def plan(self, prepared: Prepared) -> None:
        """Note what is to be done: a sweep that lacks little or nothing needs no cluster."""
        total, missing = prepared.most_trials, prepared.serial_tasks
        self._cached = total - missing
        self.counts = TrialCounts(total=total, done=self._cached, cached=self._cached)
        self._cluster_needed = missing > 0 and prepared.place.is_ray

    def note(self, progress: Progress) -> None:
        """Note how far the trials are; what a cluster computed is in the store at its end, but was not cached."""
        cached = progress.cached if self._cached is None else min(progress.cached, self._cached)
        self.counts = TrialCounts(total=progress.total, done=progress.done, cached=cached, failed=progress.failed)

    def observe(self, progress: Progress) -> Artifact:
        """Return the artifact after a block."""
        self.note(progress)
        return self._artifact()

    def end_stage(self, stage: str) -> Artifact:
        """Return the artifact after a stage: it counts as a step, as a block does."""
        if stage == LAST_ON_THE_CLUSTER:
            self._cluster_needed = False
        return self._artifact()

    def _artifact(self) -> Artifact:
        told = FlowProgress(
            trials=self.counts or TrialCounts(), last_block_at=time.time(), cluster_needed=self._cluster_needed
        )
        return Artifact(self._key, PROGRESS_TYPE, told.text(), "for the operator")
