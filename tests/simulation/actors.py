"""Everyone else on the cluster: garbage collector, KubeRay, Job controller, Prefect's worker, the chart's CronJob."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.simulation.clockwork import Clockwork
from tests.simulation.flows import Flows
from tests.simulation.prefect_model import PrefectModel
from tests.simulation.world import Change, Raw, World

from backsweep_api.names import ANNOTATION_DELETE_AFTER, AttemptName
from backsweep_api.status import instant_of, timestamp
from backsweep_operator.model import FlowState, Kind

CRON_SECONDS = 60.0


@dataclass(slots=True)
class Cluster:
    """Reacts to changes, each thing after a while of its own."""

    clockwork: Clockwork
    world: World
    prefect: PrefectModel
    flows: Flows

    def start(self) -> None:
        self.world.watchers.append(self.react)
        self.clockwork.after(3.0, self.work_pool)
        self.clockwork.after(CRON_SECONDS, self.cron)

    def react(self, change: Change) -> None:
        raw, kind = change.raw, change.kind
        if kind is Kind.SWEEP and change.gone:
            self._after(0.5, 20, "gc", lambda: self.collect(raw["metadata"]["uid"]))
        elif kind in (Kind.CLUSTER, Kind.JOB, Kind.POLICY) and not change.gone:
            meta = raw["metadata"]
            if "deletionTimestamp" in meta:
                self._after(0.5, 15, "deletion", lambda: self.finish_deletion(raw))
            elif kind is Kind.CLUSTER and "status" not in raw and meta["generation"] == 1:
                self._after(1, 10, "pods", lambda: self.start_cluster(raw))
            elif kind is Kind.JOB and "status" not in raw:
                self._after(0.5, 3, "job", lambda: self.start_job(raw, 0))
            owner = meta["ownerReferences"][0]["uid"]
            if owner not in self.world.uids_of_sweeps():
                self._after(1, 20, "gc", lambda: self.collect(owner))

    def collect(self, owner: str) -> None:
        """Delete what belonged to a sweep that is gone."""
        if owner in self.world.uids_of_sweeps():
            return
        for place, raw in sorted(self.world.objects.items()):
            meta = raw["metadata"]
            if place[0] in (Kind.CLUSTER, Kind.JOB, Kind.POLICY) and meta["ownerReferences"][0]["uid"] == owner:
                self.world.delete(place[0], place[1], place[2], meta["uid"], None)

    def finish_deletion(self, raw: Raw) -> None:
        """Take away an object's pods, then the object; Prefect's worker notices the end of a Job."""
        if self._live(raw) is None:
            return
        for pod in self.world.of(Kind.POD):
            if pod["metadata"]["ownerReferences"][0]["uid"] == raw["metadata"]["uid"]:
                self.flows.kill(pod["metadata"]["name"])
                self.world.remove(pod)
        self.world.remove(raw)
        if raw["kind"] == Kind.JOB:
            attempt = attempt_of(raw)
            self._after(1, 30, "observer", lambda: self.observe_end(attempt))

    def observe_end(self, attempt: AttemptName) -> None:
        """Prefect's worker tells that a flow crashed whose Job is gone."""
        self.prefect.propose(attempt, FlowState.CRASHED, (FlowState.PENDING, FlowState.RUNNING))

    def start_cluster(self, raw: Raw) -> None:
        """KubeRay: head and workers, ready after a while."""
        live = self._live(raw)
        if live is None or "deletionTimestamp" in live["metadata"]:
            return
        spec, name = live["spec"], live["metadata"]["name"]
        group = spec["workerGroupSpecs"][0]
        templates = [(f"{name}-head", spec["headGroupSpec"]["template"])]
        templates += [(f"{name}-worker-{index}", group["template"]) for index in range(group["replicas"])]
        for pod, template in templates:
            self.make_pod(pod, live, template)
        ready = {"conditions": [{"type": "HeadPodReady", "status": "True"}], "readyWorkerReplicas": group["replicas"]}
        namespace = live["metadata"]["namespace"]
        self._after(5, 40, "ready", lambda: self.world.set_status(Kind.CLUSTER, namespace, name, ready))

    def work_pool(self) -> None:
        """Prefect's worker: takes scheduled runs; the Job follows, whatever has happened to the run meanwhile."""
        for attempt, run in list(self.prefect.runs.items()):
            if run.state is FlowState.SCHEDULED and self.prefect.propose(
                attempt, FlowState.PENDING, (FlowState.SCHEDULED,)
            ):
                self._after(0.2, 8, "worker", partial(self.make_job, attempt))
        self._after(4, 8, "pool", self.work_pool)

    def make_job(self, attempt: AttemptName) -> None:
        variables = self.prefect.job_variables(attempt)
        if not variables:
            return
        pod = {
            "containers": [
                {"resources": {"requests": {"cpu": variables["cpu"], "memory": variables["memory"]}}},
            ]
        }
        self.world.apply(
            {
                "kind": str(Kind.JOB),
                "metadata": {
                    "name": f"{variables['name']}-job",
                    "namespace": variables["namespace"],
                    "labels": variables["labels"],
                    "ownerReferences": variables["owner_references"],
                },
                "spec": {
                    "backoffLimit": variables["backoff_limit"],
                    "template": {"metadata": {"labels": variables["labels"]}, "spec": pod},
                },
            }
        )

    def start_job(self, raw: Raw, restarts: int) -> None:
        """The Job controller: a pod, and another one if that is lost, as often as backoffLimit says."""
        live = self._live(raw)
        if live is None or "deletionTimestamp" in live["metadata"] or "status" in live:
            return
        name = f"{live['metadata']['name']}-{restarts}"
        self.make_pod(name, live, live["spec"]["template"])
        self.flows.start(name, attempt_of(live), lambda end: self.end_pod(live, name, end, restarts))

    def end_pod(self, job: Raw, pod: str, message: str | None, restarts: int) -> None:
        """A flow's pod ended: with a message, without one, or lost with its node (`lost`)."""
        live, raw = self._live(job), self.world.get(Kind.POD, job["metadata"]["namespace"], pod)
        if raw is not None and message == "lost":
            self.world.remove(raw)
        elif raw is not None:
            terminated: Raw = {"finishedAt": timestamp(self.clockwork.time), "exitCode": 0}
            if message is not None:
                terminated["message"] = message
            status = {**raw["status"], "phase": "Succeeded"}
            status["containerStatuses"] = [{"state": {"terminated": terminated}}]
            self.world.put({**raw, "status": status})
        if live is None:
            return
        if message == "lost" and restarts < live["spec"]["backoffLimit"]:
            self._after(1, 10, "restart", lambda: self.start_job(live, restarts + 1))
            return
        kind = "Failed" if message == "lost" else "Complete"
        done = {"type": kind, "status": "True", "lastTransitionTime": timestamp(self.clockwork.time)}
        self.world.set_status(Kind.JOB, live["metadata"]["namespace"], live["metadata"]["name"], {"conditions": [done]})

    def make_pod(self, name: str, owner: Raw, template: Raw) -> None:
        meta = owner["metadata"]
        self.world.put(
            {
                "kind": str(Kind.POD),
                "metadata": {
                    "name": name,
                    "namespace": meta["namespace"],
                    "uid": f"{meta['uid']}-{name}",
                    "labels": template["metadata"]["labels"],
                    "ownerReferences": [{"uid": meta["uid"]}],
                },
                "spec": template["spec"],
                "status": {"phase": "Running", "startTime": timestamp(self.clockwork.time)},
            }
        )

    def cron(self) -> None:
        """The chart's CronJob: deletes clusters past their time, operator or not."""
        for raw in self.world.of(Kind.CLUSTER):
            end = raw["metadata"]["annotations"][ANNOTATION_DELETE_AFTER]
            if instant_of(end) <= self.clockwork.time:
                meta = raw["metadata"]
                self.world.delete(Kind.CLUSTER, meta["namespace"], meta["name"], meta["uid"], None)
        self.clockwork.after(CRON_SECONDS, self.cron)

    def _after(self, low: float, high: float, purpose: str, event: Any) -> None:
        self.clockwork.after(self.clockwork.between(low, high, purpose), event)

    def _live(self, raw: Raw) -> Raw | None:
        """Return the object as it is now, if it is still that one."""
        live = self.world.get(Kind(raw["kind"]), raw["metadata"]["namespace"], raw["metadata"]["name"])
        return live if live is not None and live["metadata"]["uid"] == raw["metadata"]["uid"] else None


def attempt_of(raw: Raw) -> AttemptName:
    attempt = AttemptName.from_labels(raw["metadata"]["namespace"], raw["metadata"]["labels"])
    assert attempt is not None
    return attempt
