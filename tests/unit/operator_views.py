"""What the tests of `decide` observe: one sweep, its attempt and its children, each as a view."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backsweep_api.conditions import Next, Phase, StopReason
from backsweep_api.documents import document_from_tree
from backsweep_api.identity import spec_digest
from backsweep_api.names import AttemptName
from backsweep_api.status import Run, Stop, SweepStatus, TrialCounts
from backsweep_api.trials import count_trials
from backsweep_operator.model import (
    Action,
    ClusterView,
    Decision,
    FlowRunView,
    FlowState,
    JobView,
    Kind,
    Outcome,
    PatchStatus,
    PodRole,
    PodView,
    PolicyView,
    Reference,
    Release,
    Report,
    Snapshot,
    SweepView,
)

NOW = 1_800_000_000.0
RELEASE = Release(image="backsweep:1")
BASE: dict[str, Any] = {
    "data": {"name": "sp500-20"},
    "axes": {"profile": ["hrp"], "lookback": [252]},
    "storage": {"uri": "s3://bucket/prefix"},
    "execution": {"mode": "ray"},
}


def sweep_of(spec: dict[str, Any], **status: Any) -> SweepView:
    tree = {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "s", "namespace": "n", "labels": {"team": "a", "argocd": "x"}},
        "spec": spec,
    }
    document = document_from_tree(tree)
    return SweepView(
        reference=Reference(Kind.SWEEP, "n", "s", "u", "7"),
        generation=3,
        created_at=NOW - 60,
        deleting=False,
        document=document,
        problems=(),
        spec_digest=spec_digest(document),
        trials=count_trials(document),
        status=SweepStatus(**status),
    )


def run_of(spec: dict[str, Any], phase: Phase = Phase.ACTIVE, **fields: Any) -> Run:
    given: dict[str, Any] = {
        "spec_digest": sweep_of(spec).spec_digest,
        "attempt": 2,
        "phase": phase,
        "started_at": int(NOW) - 100,
        "run_started_at": int(NOW) - 100,
        "workers": 1,
        "delete_after": int(NOW) + 600_000,
    }
    return Run(**{**given, **fields})


def stopped(following: Next, reason: StopReason, age: int = 10, **fields: Any) -> Run:
    stop = Stop(next=following, reason=reason, message="why", time=int(NOW) - age)
    return run_of(BASE, Phase.STOPPED, stop=stop, **fields)


def stopping(following: Next = Next.SUSPEND, age: int = 5) -> Run:
    stop = Stop(next=following, reason=StopReason.SUSPENDED, message="why", time=int(NOW) - age)
    return run_of(BASE, Phase.STOPPING, stop=stop)


def attempt_of(run: Run) -> AttemptName:
    return AttemptName.of(("n", "s", "u"), run.spec_digest, run.attempt)


def reference(kind: Kind, name: str) -> Reference:
    return Reference(kind, "n", name, f"{name}-uid", "1")


def cluster(run: Run, **fields: Any) -> ClusterView:
    given: dict[str, Any] = {"deleting": False, "ready": True, "suspended": False}
    end = {"delete_after": int(NOW) - 100 + RELEASE.deadlines.run + RELEASE.deadlines.overrun}
    return ClusterView(reference(Kind.CLUSTER, "c"), attempt_of(run), **{**given, **end, **fields})


def policy(run: Run) -> PolicyView:
    return PolicyView(reference(Kind.POLICY, "p"), attempt_of(run), False)


def job(run: Run, *, complete: bool = False, age: float = 10.0) -> JobView:
    return JobView(reference(Kind.JOB, "j"), attempt_of(run), False, complete, False, NOW - age if complete else None)


def flow(run: Run, state: FlowState = FlowState.RUNNING, age: float = 50.0, **fields: Any) -> FlowRunView:
    return FlowRunView(attempt_of(run), "flow-id", state, NOW - age, **fields)


def flow_pod(run: Run, outcome: Outcome) -> PodView:
    report = Report(outcome, "as it said", TrialCounts(total=1, done=1))
    return PodView("f", attempt_of(run), PodRole.FLOW, Decimal(1), Decimal(1), NOW - 90, NOW - 5, report)


def snapshot(sweep: SweepView | None, **seen: Any) -> Snapshot:
    given: dict[str, Any] = {"flow_runs_at": NOW - 5}
    return Snapshot("n", "s", RELEASE, sweep, **{**given, **seen})


def kinds(decision: Decision) -> list[type[Action]]:
    return [type(action) for action in decision.actions]


def written(decision: Decision) -> SweepStatus:
    (patch,) = [action for action in decision.actions if isinstance(action, PatchStatus)]
    return patch.status


def stop_of(decision: Decision) -> tuple[Next, StopReason]:
    run = written(decision).run
    assert run is not None
    assert run.phase is Phase.STOPPING
    assert run.stop is not None
    assert kinds(decision)[0] is PatchStatus, "nothing is taken away before the stop is persisted"
    return run.stop.next, run.stop.reason


PRICED = {**BASE, "pricing": {"cpuHour": "1"}, "budget": {"maxCost": "1"}}


ACTIVE = run_of(BASE, ready_at=int(NOW) - 50, running_at=int(NOW) - 50, flow_run_id="flow-id")


def running(spec: dict[str, Any] | None = None, run: Run = ACTIVE, **seen: Any) -> Snapshot:
    given: dict[str, Any] = {"clusters": (cluster(run),), "jobs": (job(run),), "flow_runs": (flow(run),)}
    return snapshot(sweep_of(spec or BASE, run=run, cost=seen.pop("cost", None)), **{**given, **seen})
