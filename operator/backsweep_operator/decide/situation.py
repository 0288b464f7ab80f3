"""What one decision is about: a sweep, its present attempt, and what was seen of either."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backsweep_api.names import AttemptName
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import Run, SweepStatus
from backsweep_operator.model import (
    AtRun,
    ClusterView,
    FlowRunView,
    Gone,
    Guard,
    JobView,
    PodRole,
    PolicyView,
    Release,
    Report,
    Snapshot,
    SweepView,
)

__all__ = ["Child", "Situation", "situation_of"]

Child = ClusterView | JobView | PolicyView


@dataclass(frozen=True, slots=True)
class Situation:
    """A snapshot sorted: what is of the present attempt, what is of earlier ones, what is of sweeps that are gone.

    Parameters
    ----------
    attempt : the present attempt's name; None before the first.
    problems : everything that keeps the sweep from being accepted.
    """

    snapshot: Snapshot
    sweep: SweepView
    attempt: AttemptName | None
    problems: tuple[str, ...]

    @property
    def release(self) -> Release:
        """The release's settings."""
        return self.snapshot.release

    @property
    def status(self) -> SweepStatus:
        """Status as it was observed."""
        return self.sweep.status

    @property
    def run(self) -> Run | None:
        """The run as it was observed."""
        return self.sweep.status.run

    @property
    def document(self) -> BacktestSweep | None:
        """The document, if it can run."""
        return None if self.problems else self.sweep.document

    @property
    def suspended(self) -> bool:
        """Whether the sweep asks to be suspended; one that cannot be read asks for nothing."""
        return self.sweep.document is not None and self.sweep.document.spec.suspend

    @property
    def changed(self) -> bool:
        """Whether the spec means other results than those the run is about."""
        return self.run is not None and not self.problems and self.run.spec_digest != self.sweep.spec_digest

    @property
    def cluster(self) -> ClusterView | None:
        """The present attempt's cluster."""
        return next((each for each in self.snapshot.clusters if each.attempt == self.attempt), None)

    @property
    def flow_run(self) -> FlowRunView | None:
        """The present attempt's flow run."""
        return next((each for each in self.snapshot.flow_runs if each.attempt == self.attempt), None)

    @property
    def jobs(self) -> tuple[JobView, ...]:
        """The present attempt's Jobs: one, or two where a worker was slow to see a cancellation."""
        return tuple(each for each in self.snapshot.jobs if each.attempt == self.attempt)

    @property
    def flow_pods_running(self) -> bool:
        """Whether a flow pod of the present attempt has not finished."""
        return any(pod.finished_at is None for pod in self.snapshot.pods if self._is_flow(pod.attempt, pod.role))

    @property
    def obstacle(self) -> str:
        """Which pod of the present attempt does not start, and why, to go on a sentence; empty where none is stuck."""
        stuck = sorted(
            (pod.name, pod.obstacle) for pod in self.snapshot.pods if pod.obstacle and pod.attempt == self.attempt
        )
        return f"; Pod {stuck[0][0]} does not start: {stuck[0][1]}" if stuck else ""

    @property
    def report(self) -> Report | None:
        """What the last flow pod of the present attempt said at its end; None while one runs or if none said any."""
        told = [
            (pod.finished_at or 0.0, pod.name, pod.report)
            for pod in self.snapshot.pods
            if pod.report is not None and self._is_flow(pod.attempt, pod.role)
        ]
        if not told or self.flow_pods_running:
            return None
        return max(told, key=lambda each: each[:2])[2]

    @property
    def mine(self) -> tuple[Child, ...]:
        """Every object of this sweep, whatever its attempt."""
        return tuple(each for each in self._children() if each.attempt.uid == self.sweep.reference.uid)

    @property
    def strays(self) -> tuple[Child, ...]:
        """Objects of this sweep that are not of its present attempt: writes that came late."""
        return tuple(each for each in self.mine if each.attempt != self.attempt)

    def guard(self, *, generation: bool = False) -> AtRun:
        """Return what must still hold when something is done for this run; for paid things the spec's version, too."""
        at = self.sweep.reference
        return AtRun(at.namespace, at.name, at.uid, self.run, self.sweep.generation if generation else None)

    def guard_of(self, attempt: AttemptName) -> Guard:
        """Return what must hold for something of `attempt` to be taken away."""
        if attempt.uid == self.sweep.reference.uid:
            return self.guard()
        return Gone(attempt.namespace, attempt.sweep, attempt.uid)

    def _children(self) -> Iterator[Child]:
        yield from self.snapshot.clusters
        yield from self.snapshot.jobs
        yield from self.snapshot.policies

    def _is_flow(self, attempt: AttemptName, role: PodRole) -> bool:
        return attempt == self.attempt and role is PodRole.FLOW


def situation_of(snapshot: Snapshot, sweep: SweepView, problems: tuple[str, ...]) -> Situation:
    """Return the snapshot sorted."""
    at, run = sweep.reference, sweep.status.run
    place = (at.namespace, at.name, at.uid)
    attempt = None if run is None else AttemptName.of(place, run.spec_digest, run.attempt)
    return Situation(snapshot, sweep, attempt, problems)
