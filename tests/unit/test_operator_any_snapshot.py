"""Whatever is observed, `decide` answers, answers the same again, and keeps to its order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator_views import (
    BASE,
    NOW,
    PRICED,
    cluster,
    flow,
    flow_pod,
    job,
    reference,
    run_of,
    snapshot,
    sweep_of,
)

from backsweep_api.conditions import Next, Phase, StopReason
from backsweep_api.status import Cost, Run, Stop
from backsweep_operator.decide import decide
from backsweep_operator.model import (
    ApplyChild,
    AtRun,
    CancelFlowRun,
    CreateFlowRun,
    DeleteChild,
    FlowState,
    Gone,
    Kind,
    Outcome,
    PatchStatus,
    PolicyView,
    Snapshot,
)
from backsweep_operator.projections import sweep_view

SPECS = [
    BASE,
    PRICED,
    {**BASE, "suspend": True},
    {**BASE, "execution": {"mode": "local"}},
    {**BASE, "cluster": {"queueName": "q"}, "activeDeadlineSeconds": 90},
    {**PRICED, "budget": {"maxCost": "0", "onExceeded": "Suspend"}},
    {**BASE, "nodePool": {"cloud": "aws"}},
]
AGES = st.sampled_from([0, 31, 95, 700, 2_000, 700_000])
ATTEMPTS = st.sampled_from([1, 2, 3])


@st.composite
def runs(draw: st.DrawFn) -> Run:
    phase = draw(st.sampled_from(Phase))
    fields: dict[str, Any] = {"attempt": 2, "failures": draw(st.sampled_from([0, 3]))}
    fields["started_at"] = fields["run_started_at"] = int(NOW) - draw(AGES)
    for name in ("ready_at", "running_at", "admitted_at"):
        fields[name] = draw(st.none() | AGES.map(lambda age: int(NOW) - age))
    if phase is not Phase.ACTIVE:
        reason = draw(st.sampled_from(StopReason))
        fields["stop"] = Stop(next=draw(st.sampled_from(Next)), reason=reason, time=int(NOW) - draw(AGES))
    return run_of(draw(st.sampled_from(SPECS[:2])), phase, **fields)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    run = draw(st.none() | runs())
    others = [run_of(BASE, attempt=draw(ATTEMPTS)) for _ in range(2)] + ([run] if run is not None else [])
    of = st.sampled_from(others)
    flags = {"deleting": draw(st.booleans()), "ready": draw(st.booleans()), "suspended": draw(st.booleans())}
    clusters = [cluster(draw(of), **flags) for _ in range(draw(st.integers(0, 2)))]
    jobs = [job(draw(of), complete=draw(st.booleans()), age=draw(AGES)) for _ in range(draw(st.integers(0, 2)))]
    flows = {
        view.attempt: view
        for view in (
            flow(draw(of), draw(st.sampled_from(FlowState)), draw(AGES)) for _ in range(draw(st.integers(0, 2)))
        )
    }
    pods = [flow_pod(draw(of), draw(st.sampled_from(Outcome))) for _ in range(draw(st.integers(0, 1)))]
    policies = [PolicyView(reference(Kind.POLICY, "p"), each.attempt, False) for each in clusters]
    cost = draw(st.none() | st.sampled_from([Cost(amount="0.99", checkpoint=int(NOW)), Cost(amount="7")]))
    sweep = sweep_of(draw(st.sampled_from(SPECS)), run=run, cost=cost)
    sweep = replace(sweep, deleting=draw(st.booleans()) and draw(st.booleans()))
    return snapshot(
        sweep,
        clusters=tuple(clusters),
        jobs=tuple(jobs),
        flow_runs=tuple(flows.values()),
        pods=tuple(pods),
        policies=tuple(policies),
        flow_runs_at=draw(st.none() | AGES.map(lambda age: NOW - age)),
        others_active=draw(st.sampled_from([0, 20])),
    )


@given(snapshots())
@settings(max_examples=400)
def test_any_snapshot_is_answered_the_same_each_time_and_in_order(seen: Snapshot) -> None:
    decision = decide(seen, NOW)
    assert decision == decide(seen, NOW)
    sweep = seen.sweep
    assert sweep is not None
    run = sweep.status.run
    patches = [action for action in decision.actions if isinstance(action, PatchStatus)]
    assert len(patches) <= 1, "status is written once"
    for action in decision.actions:
        if isinstance(action, CreateFlowRun | ApplyChild) and not (
            isinstance(action, CreateFlowRun) and action.cancelled
        ):
            assert run is not None, "nothing is made before an attempt is persisted"
            assert run.phase is Phase.ACTIVE
            assert isinstance(action.guard, AtRun), "what costs is guarded by a live read"
            assert action.guard.generation == sweep.generation
            assert patches == [] or patches[0].status.run is not None
        if isinstance(action, DeleteChild | CancelFlowRun):
            assert isinstance(action.guard, Gone) or action.guard.run == run
    if decision.requeue_after_seconds == 0:
        assert patches, "no pass is repeated at once unless it wrote something: it would run hot"
    for patch in patches:
        after = patch.status.run
        if after is not None and run is not None:
            assert after.attempt >= run.attempt
            stopped_now = after.phase is not run.phase and after.phase is Phase.STOPPING
            assert not stopped_now or decision.actions[0] is patch, "a stop is persisted before anything goes"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["data", "axes", "storage", "cluster", "execution", "budget", "suspend", "walkForward", "x"])


@given(st.dictionaries(FIELDS, JUNK, max_size=3), st.booleans(), JUNK)
@settings(max_examples=300)
def test_any_manifest_is_refused_with_a_sentence_or_run_and_no_status_confuses(
    spec: dict[str, Any], whole: bool, status: Any
) -> None:
    meta = {"name": "s", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 1}
    raw = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": meta}
    view = sweep_view({**raw, "spec": {**(BASE if whole else {}), **spec}, "status": status})
    decision = decide(snapshot(view), NOW)
    (patch,) = [action for action in decision.actions if isinstance(action, PatchStatus)]
    refused = patch.status.run is None
    assert refused == bool(view.problems) or view.document is not None
    if view.problems:
        assert all(len(sentence) > 10 for sentence in view.problems)
