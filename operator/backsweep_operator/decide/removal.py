"""Taking away what is not wanted any more: first the flow run, then its Job, then the cluster it works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backsweep_operator.decide.situation import Child, Situation
from backsweep_operator.model import (
    Action,
    CancelFlowRun,
    ClusterView,
    DeleteChild,
    FlowRunView,
    Gone,
    JobView,
    PolicyView,
    Snapshot,
)

__all__ = ["remove_leftovers", "remove_orphans", "remove_strays"]


def remove_strays(situation: Situation) -> list[Action]:
    """Return what takes away whatever is of this sweep and not of its present attempt."""
    uid = situation.sweep.reference.uid
    runs = [each for each in situation.snapshot.flow_runs if each.attempt.uid == uid]
    others = [each for each in runs if each.attempt != situation.attempt]
    return [*_remove(situation, others, situation.strays), *remove_orphans(situation.snapshot, uid)]


def remove_leftovers(situation: Situation, *, keep_finished_jobs: bool) -> list[Action]:
    """Return what takes away everything of this sweep; finished Jobs may stay for their logs."""
    uid = situation.sweep.reference.uid
    runs = [each for each in situation.snapshot.flow_runs if each.attempt.uid == uid]
    children = [
        child for child in situation.mine if not (keep_finished_jobs and isinstance(child, JobView) and child.finished)
    ]
    return [*_remove(situation, runs, children), *remove_orphans(situation.snapshot, uid)]


def remove_orphans(snapshot: Snapshot, uid: str | None) -> list[Action]:
    """Return what takes away everything that sweeps of this name and another uid have left."""
    actions: list[Action] = []
    for run in snapshot.flow_runs:
        if run.attempt.uid != uid and not run.state.terminal:
            gone = Gone(snapshot.namespace, snapshot.name, run.attempt.uid)
            actions.append(CancelFlowRun(run.attempt, run.id, gone))
    for child in in_order([*snapshot.jobs, *snapshot.clusters, *snapshot.policies]):
        if child.attempt.uid != uid and not child.deleting:
            actions.append(DeleteChild(child.reference, Gone(snapshot.namespace, snapshot.name, child.attempt.uid)))
    return actions


def in_order(children: Iterable[Child]) -> list[Child]:
    """Return children in the order they are deleted in: Jobs, clusters, policies."""
    order = {JobView: 0, ClusterView: 1, PolicyView: 2}
    return sorted(children, key=lambda child: (order[type(child)], child.reference.name))


def _remove(situation: Situation, runs: Iterable[FlowRunView], children: Iterable[Child]) -> Iterator[Action]:
    """Yield cancellations of open flow runs, then deletions."""
    for run in runs:
        if not run.state.terminal:
            yield CancelFlowRun(run.attempt, run.id, situation.guard_of(run.attempt))
    for child in in_order(children):
        if not child.deleting:
            yield DeleteChild(child.reference, situation.guard_of(child.attempt))
