"""Raw objects as views, what is kept of them, and what a live read before acting refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from backsweep_api.conditions import Phase
from backsweep_api.names import LABEL_ATTEMPT, LABEL_SWEEP, AttemptName
from backsweep_api.spec.execution import Storage
from backsweep_api.status import Condition, Run, SweepStatus, instant_of, timestamp
from backsweep_operator.act import Hands, act
from backsweep_operator.errors import CallRefusedError, StaleReadError, UnavailableError
from backsweep_operator.kinds import trimmed
from backsweep_operator.model import (
    Action,
    AtRun,
    CancelFlowRun,
    DeleteChild,
    EmitEvent,
    FlowRunView,
    FlowState,
    FreePlace,
    Gone,
    Kind,
    NothingRuns,
    Outcome,
    PatchStatus,
    Reference,
    Release,
)
from backsweep_operator.observe import Seen, snapshot_of
from backsweep_operator.projections import cluster_view, job_view, pod_view, read_report, sweep_view
from backsweep_operator.reconcile import Reconciler

ATTEMPT = AttemptName.of(("n", "s", "u"), "ab" * 32, 1)
RUN = Run(spec_digest="ab" * 32, attempt=1, phase=Phase.ACTIVE, started_at=1, run_started_at=1)
Raw = dict[str, Any]


def raw(kind: Kind, name: str, version: int = 1, **fields: Any) -> Raw:
    meta = {"name": name, "namespace": "n", "uid": f"{name}-uid", "resourceVersion": str(version), "labels": {}}
    return {"kind": str(kind), "metadata": {**meta, "labels": dict(ATTEMPT.labels)}, **fields}


def sweep(version: int = 1, run: Run | None = RUN, **meta: Any) -> Raw:
    made = raw(Kind.SWEEP, "s", version, apiVersion="backsweep.dev/v1alpha1", spec={"data": {"name": "sp500-20"}})
    made["metadata"] |= {"uid": "u", "generation": 4, "creationTimestamp": "2026-11-23T21:00:00Z", **meta}
    return {**made, "status": SweepStatus(run=run).plain()}


class Api:
    """Both ports over a dict of objects; writes what was called."""

    def __init__(self, *objects: Raw, runs: tuple[FlowRunView, ...] = ()) -> None:
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        self.runs = runs
        self.called: list[str] = []

    async def read(self, kind: Kind, namespace: str, name: str) -> Raw | None:
        return self.objects.get((str(kind), name))

    async def read_labelled(self, kind: Kind, namespace: str, labels: dict[str, str]) -> list[Raw]:
        found = [each for (of, _), each in self.objects.items() if of == kind]
        return [each for each in found if labels.items() <= each["metadata"]["labels"].items()]

    async def delete(self, reference: Reference) -> None:
        self.called.append(f"delete {reference.name} {reference.uid} {reference.resource_version}")

    async def write_status(self, reference: Reference, status: Raw) -> Raw:
        self.called.append(f"write status of {reference.resource_version}")
        return {**sweep(9), "status": status}

    async def record_event(self, event: EmitEvent) -> None:
        raise UnavailableError("503")

    async def cancel_flow_run(self, flow_run_id: str) -> None:
        self.called.append(f"cancel {flow_run_id}")

    async def flow_runs(self, attempts: list[AttemptName], known: Any = None) -> list[FlowRunView]:
        return [run for run in self.runs if run.attempt in attempts]

    def check(self) -> None:
        """The lease is held."""

    def now(self) -> float:
        return 5.0


def do(api: Api, *actions: Action, seen: Seen | None = None) -> list[str]:
    port: Any = api
    asyncio.run(act(actions, Hands(port, port, port, port, seen or Seen())))
    return api.called


AT = Reference(Kind.SWEEP, "n", "s", "u", "1")
DELETE = DeleteChild(Reference(Kind.CLUSTER, "n", "c", "c-uid", "1"), AtRun("n", "s", "u", RUN))
FLOW = FlowRunView(ATTEMPT, "id", FlowState.RUNNING, 1.0)
CLUSTER = raw(Kind.CLUSTER, "c", 3)
NOTHING = NothingRuns("n", "u", ATTEMPT, finished_jobs=True)
DONE = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-23T21:00:00Z"}]}
FLOW_POD = raw(Kind.POD, "f", spec={"containers": []}, status={"phase": "Running"})
FLOW_POD["metadata"]["labels"]["backsweep.dev/role"] = "flow"


def test_a_deletion_names_the_version_that_the_live_read_found() -> None:
    assert do(Api(sweep(), CLUSTER), DELETE) == ["delete c c-uid 3"]


STALE: dict[str, tuple[Callable[[], Api], Action]] = {
    "the sweep is gone": (lambda: Api(CLUSTER), DELETE),
    "another sweep has its name": (lambda: Api(sweep(uid="v"), CLUSTER), DELETE),
    "it is at another run": (lambda: Api(sweep(run=RUN.model_copy(update={"attempt": 2})), CLUSTER), DELETE),
    "it was changed": (lambda: Api(sweep()), CancelFlowRun(ATTEMPT, "id", AtRun("n", "s", "u", RUN, 3))),
    "it is being deleted": (
        lambda: Api(sweep(deletionTimestamp="2026-11-23T21:00:00Z")),
        CancelFlowRun(ATTEMPT, "id", AtRun("n", "s", "u", RUN, 4)),
    ),
    "the orphan's sweep is there": (lambda: Api(sweep(), CLUSTER), DeleteChild(DELETE.reference, Gone("n", "s", "u"))),
    "a cluster is left": (lambda: Api(CLUSTER), PatchStatus(AT, SweepStatus(), (NOTHING,))),
    "a Job is left": (lambda: Api(raw(Kind.JOB, "j")), PatchStatus(AT, SweepStatus(), (NOTHING,))),
    "a pod is left": (lambda: Api(FLOW_POD), PatchStatus(AT, SweepStatus(), (NOTHING,))),
    "its flow run is open": (lambda: Api(runs=(FLOW,)), PatchStatus(AT, SweepStatus(), (NOTHING,))),
    "there is no place": (Api, PatchStatus(AT, SweepStatus(), (FreePlace(0),))),
}


@pytest.mark.parametrize("why", STALE)
def test_nothing_is_done_when(why: str) -> None:
    made, action = STALE[why]
    api = made()
    with pytest.raises(StaleReadError):
        do(api, action)
    assert api.called == []


def test_what_holds_is_done_and_a_lost_event_fails_nothing() -> None:
    event = EmitEvent(AT, "Normal", "Running", "it runs")
    finished = {**raw(Kind.JOB, "j"), "status": DONE}
    premises = (NOTHING, FreePlace(1))
    assert do(Api(finished), PatchStatus(AT, SweepStatus(), premises), event) == ["write status of 1"]
    gone = DeleteChild(DELETE.reference, Gone("n", "s", "u"))
    assert do(Api(), gone) == []
    assert do(Api(raw(Kind.CLUSTER, "c") | {"metadata": {**CLUSTER["metadata"], "uid": "other"}}), gone) == []


def test_a_refused_call_is_told_by_an_event_for_status_cannot_know_of_it() -> None:
    class Strict(Api):
        async def write_status(self, reference: Reference, status: Raw) -> Raw:
            raise CallRefusedError("403: sweeps/status is forbidden")

        async def record_event(self, event: EmitEvent) -> None:
            self.called.append(f"{event.type} {event.reason}: {event.message}")

    api: Any = Strict()
    seen = Seen()
    seen.see(Kind.SWEEP, sweep(run=None))
    reconciler = Reconciler(Hands(api, api, api, api, seen), Release("i"))
    with pytest.raises(CallRefusedError):
        asyncio.run(reconciler.reconcile(("n", "s")))
    assert api.called == ["Warning CallRefused: 403: sweeps/status is forbidden"]


def test_a_cancelled_run_is_known_as_cancelled_before_prefect_is_read_again() -> None:
    seen = Seen()
    seen.note_flow_run(FLOW)
    assert do(Api(sweep()), CancelFlowRun(ATTEMPT, "id", AtRun("n", "s", "u", RUN)), seen=seen) == ["cancel id"]
    assert seen.flow_runs[ATTEMPT].state is FlowState.CANCELLED


def test_older_versions_are_not_taken_for_newer_ones_and_the_dead_stay_dead() -> None:
    seen = Seen()
    assert seen.see(Kind.CLUSTER, raw(Kind.CLUSTER, "c", 5)) == ("n", "s")
    seen.see(Kind.CLUSTER, raw(Kind.CLUSTER, "c", 4, spec={"suspend": True}))
    (view,) = snapshot_of(("n", "s"), seen, Release("i")).clusters
    assert not view.suspended
    assert seen.forget(Kind.CLUSTER, ("n", "c"), 7) == ("n", "s")
    assert seen.see(Kind.CLUSTER, raw(Kind.CLUSTER, "c", 6)) is None
    assert snapshot_of(("n", "s"), seen, Release("i")).clusters == ()
    assert seen.replace(Kind.CLUSTER, [raw(Kind.CLUSTER, "d", 8)], 9) == {("n", "s")}
    assert seen.replace(Kind.CLUSTER, [], 10, "other") == set(), "a list of one namespace says nothing of others"
    assert seen.replace(Kind.CLUSTER, [], 10) == {("n", "s")}


def test_sweeps_at_work_are_counted_with_those_whose_beginning_is_under_way() -> None:
    seen = Seen()
    seen.see(Kind.SWEEP, sweep())
    seen.take_place(("n", "t"), 2)
    snapshot = snapshot_of(("n", "other"), seen, Release("i"))
    assert (snapshot.others_active, snapshot.sweep) == (2, None)
    with pytest.raises(StaleReadError):
        seen.take_place(("n", "v"), 2)
    assert seen.attempts_to_poll() == [ATTEMPT]
    assert seen.note_flow_runs([ATTEMPT], [FLOW], 7.0) == {("n", "s")}
    assert seen.note_flow_runs([ATTEMPT], [FLOW], 8.0) == set()
    assert snapshot_of(("n", "s"), seen, Release("i")).flow_runs == (FLOW,)
    assert seen.note_flow_runs([ATTEMPT], [], 9.0) == {("n", "s")}


def test_a_sweep_that_names_no_store_gets_that_of_the_release_and_keeps_its_identity() -> None:
    seen, release = Seen(), Release("i", storage=Storage.model_validate({"uri": "s3://results/team"}))
    axes = {"profile": ["hrp"]}
    seen.see(Kind.SWEEP, {**sweep(), "spec": {"data": {"name": "sp500-20"}, "axes": axes}})
    own = {"data": {"name": "sp500-20"}, "axes": axes, "storage": {"uri": "s3://own/store"}}
    seen.see(Kind.SWEEP, {**sweep(name="t"), "spec": own})

    def seen_at(name: str, of: Release) -> tuple[Storage | None, str]:
        view = snapshot_of(("n", name), seen, of).sweep
        assert view is not None
        assert view.document is not None
        return view.document.spec.storage, view.spec_digest

    assert seen_at("s", Release("i")) == (None, seen_at("s", release)[1])
    assert seen_at("s", release)[0] == release.storage
    assert seen_at("t", release) == (Storage.model_validate({"uri": "s3://own/store"}), seen_at("s", release)[1])


def test_service_accounts_count_while_they_carry_the_label() -> None:
    seen = Seen()
    account: Raw = {"metadata": {"name": "a", "namespace": "n", "labels": {"backsweep.dev/usable-by-sweeps": "true"}}}
    seen.see(Kind.SERVICE_ACCOUNT, account)
    assert snapshot_of(("n", "s"), seen, Release("i")).service_accounts == {"a"}
    seen.see(Kind.SERVICE_ACCOUNT, {"metadata": {"name": "a", "namespace": "n"}})
    assert snapshot_of(("n", "s"), seen, Release("i")).service_accounts == frozenset()
    seen.replace(Kind.SERVICE_ACCOUNT, [account], 1, "n")
    seen.replace(Kind.SERVICE_ACCOUNT, [], 2, "other")
    assert snapshot_of(("n", "s"), seen, Release("i")).service_accounts == {"a"}
    seen.forget(Kind.SERVICE_ACCOUNT, ("n", "a"), 3)
    assert snapshot_of(("n", "s"), seen, Release("i")).service_accounts == frozenset()


def test_a_spec_or_status_that_cannot_be_read_is_told_and_crashes_nothing() -> None:
    odd = {**sweep(), "spec": {"data": 7}, "status": {"run": {"attempt": "x"}, "conditions": "none"}}
    view = sweep_view(odd)
    assert view.document is None
    assert view.problems[0].startswith("spec.data: found 7")
    assert view.status == SweepStatus()
    strange: tuple[Any, ...] = (None, [], 3, "x", {"axes": None})
    for nonsense in strange:
        assert sweep_view({**sweep(), "spec": nonsense}).problems


def test_only_a_termination_message_of_ours_is_a_report() -> None:
    good = '{"outcome": "succeeded", "message": "m", "manifest": {"uri": "s3://b/m", "resultDigest": "d"}}'
    report = read_report(good)
    assert report is not None
    assert (report.outcome, report.manifest and report.manifest.result_digest) == (Outcome.SUCCEEDED, "d")
    for text in ("", "done", "[]", "{}", '{"outcome": "great"}', '{"outcome": "succeeded", "manifest": 3}', "null"):
        assert read_report(text) is None


def test_pods_clusters_and_jobs_are_read_as_they_are_written() -> None:
    container = {"resources": {"requests": {"cpu": "500m", "memory": "512Mi"}}}
    ended = {"state": {"terminated": {"finishedAt": "2026-11-23T22:00:00Z", "message": '{"outcome": "failed"}'}}}
    status = {"phase": "Succeeded", "startTime": "2026-11-23T21:00:00Z", "containerStatuses": [ended]}
    pod = pod_view({**FLOW_POD, "spec": {"containers": [container, container]}, "status": status})
    assert pod is not None
    assert (pod.cpu, pod.memory_gib) == (Decimal(1), Decimal(1))
    assert (pod.finished_at or 0) - (pod.started_at or 0) == 3_600
    assert pod.report is not None
    assert pod_view({**FLOW_POD, "metadata": {**FLOW_POD["metadata"], "labels": {}}}) is None
    ready = {"conditions": [{"type": "HeadPodReady", "status": "True"}], "readyWorkerReplicas": 2}
    spec = {"workerGroupSpecs": [{"replicas": 2}]}
    views = [cluster_view({**CLUSTER, "spec": spec, "status": {**ready, "readyWorkerReplicas": n}}) for n in (1, 2)]
    assert [view is not None and view.ready for view in views] == [False, True]
    done = job_view({**raw(Kind.JOB, "j"), "status": DONE})
    assert done is not None
    assert (done.complete, done.failed, done.finished) == (True, False, True)
    assert job_view({"metadata": {"name": "x", "namespace": "n"}}) is None


IMAGE_MISSING = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "its containers are being made": (
        {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]},
        "",
    ),
    "its image cannot be pulled": (
        {"containerStatuses": [{"state": {"waiting": IMAGE_MISSING}}]},
        "ImagePullBackOff: Back-off pulling image",
    ),
    "nor can that of what comes before it": (
        {"initContainerStatuses": [{"state": {"waiting": IMAGE_MISSING}}]},
        "ImagePullBackOff: Back-off pulling image",
    ),
    "no node takes it": (
        {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]},
        "Unschedulable: 0/1",
    ),
    "it runs": ({"containerStatuses": [{"state": {"running": {}}}]}, ""),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_of_a_pod_that_does_not_start_it_is_known_why(what: str) -> None:
    status, obstacle = OBSTACLES[what]
    found = pod_view(
        {**FLOW_POD, "spec": {}, "status": trimmed(Kind.POD, {"metadata": {}, "status": status})["status"]}
    )
    assert found is not None
    assert found.obstacle == obstacle


def test_nothing_is_kept_of_a_sweep_that_is_gone_but_for_how_long_answers_may_be_late() -> None:
    seen = Seen()
    seen.see(Kind.SWEEP, sweep(1))
    seen.see(Kind.POD, FLOW_POD)
    other = {**FLOW_POD["metadata"], "resourceVersion": "2"}
    seen.see(Kind.POD, {**FLOW_POD, "metadata": {**other, "labels": {**other["labels"], LABEL_SWEEP: "t"}}})
    assert list(seen.by_sweep) == [(Kind.POD, ("n", "t"))]
    seen.note_flow_run(FlowRunView(ATTEMPT, "id", FlowState.COMPLETED, 0.0))
    seen.forget(Kind.POD, ("n", "f"), 5)
    seen.forget(Kind.SWEEP, ("n", "s"), 6)
    seen.attempts_to_poll()
    seen.replace(Kind.POD, [], 20_000)
    seen.replace(Kind.SWEEP, [], 20_000)
    kept = (seen.by_sweep, seen.active, seen.waiting, seen.flow_runs, seen.runs_of, seen.versions)
    assert not any([*kept, *seen.views.values()])


def test_a_pod_of_another_hand_with_our_labels_hides_no_other_and_ends_no_process() -> None:
    """Whoever may make pods in a served namespace may write anything that the API server takes."""
    seen = Seen()
    spellings = ["1e3", "100n", "2P", "1E2"]
    pods = []
    for cpu in spellings:
        container = {"resources": {"requests": {"cpu": cpu, "memory": "128974848000m"}}}
        pods.append({**FLOW_POD, "metadata": {**FLOW_POD["metadata"], "name": f"with-{cpu}"}})
        pods[-1] |= {"spec": {"containers": [container]}, "status": {}}
    seen.replace(Kind.POD, pods, 9, "n")
    assert len(seen.views[Kind.POD]) == len(spellings)
    for number in ("9" * 5_000, "1" * 10, "x", ""):
        assert AttemptName.from_labels("n", {**ATTEMPT.labels, LABEL_ATTEMPT: number}) is None
        assert AttemptName.from_key(f"n/s/u/d/{number}") is None


def test_status_is_written_as_kubernetes_reads_it_and_newer_fields_are_passed_over() -> None:
    condition = Condition(
        type="Complete", status="False", reason="Running", last_transition_time=timestamp(0), observed_generation=1
    )
    status = SweepStatus(run=RUN, conditions=(condition,))
    plain = status.plain()
    assert plain["conditions"][0]["lastTransitionTime"] == "1970-01-01T00:00:00Z"
    assert SweepStatus.model_validate({**plain, "someday": 1}) == status
    assert (status.state, SweepStatus().state) == ("Running", None)
    assert instant_of(timestamp(1_800_000_000.9)) == 1_800_000_000
