"""Who plays Prefect's Kubernetes worker and the flows in its pods, since no container runs on a fake node.

Everything around it is real: it takes flow runs from the real server as a worker does, makes their Jobs by the work
pool's own template, proposes states that the server may refuse, and lets a pod end with the message a flow of ours
writes. It acts only when asked to (`work`), in the thread of the test, so that what it cannot do fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.control_plane import ControlPlane, Object
from tests.cluster.prefect_server import PrefectServer

from backsweep.orchestration.pod_report import Parts, report_of
from backsweep.orchestration.server import answers
from backsweep_api.names import LABEL_ROLE, AttemptName
from backsweep_api.progress import PROGRESS_TYPE, FlowProgress, progress_key
from backsweep_api.status import Best, ManifestReference, TrialCounts
from backsweep_operator.model import Outcome, PodRole

COMMAND = "prefect flow-run execute"
LABEL_RUN = "prefect.io/flow-run-id"
TOTAL = 4
SILENT = None
"""The end of a flow that was killed: its container ends well, tells nobody and leaves no message."""

Ends = Sequence[Outcome | None]


@dataclass
class PrefectWorker:
    """A worker of one pool, and what runs in its pods.

    `ends` says of each sweep how the flows of its attempts end, one after another; those it does not name run on.
    """

    plane: ControlPlane
    prefect: PrefectServer
    namespace: str
    pool: str
    ends: dict[str, Ends] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Make the work pool, as a worker does that finds none; the operator finds it with no template of ours."""
        self.prefect.ask("POST", "/work_pools/", {"name": self.pool, "type": "kubernetes"})

    def work(self) -> None:
        """Do once what is due; nothing while Prefect is away, as a worker that tries again later."""
        if not answers(self.prefect.endpoint):
            return
        for each in self.prefect.ask("POST", f"/work_pools/{self.pool}/get_scheduled_flow_runs", {}):
            if self.propose(each["flow_run"]["id"], "PENDING"):
                self.make_job(each["flow_run"])
        for pod in self.plane.all("pods", self.namespace, f"{LABEL_ROLE}={PodRole.FLOW}"):
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                self.play(pod)

    def propose(self, run: str, state: str) -> bool:
        """Ask Prefect for a state, and say whether it gave it."""
        answer = self.prefect.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": state}})
        return bool(answer["status"] == "ACCEPT")

    def make_job(self, run: Mapping[str, Any]) -> None:
        """Make the Job of a flow run, as prefect-kubernetes does: template, variables, its labels, its command."""
        from prefect.utilities.templating import apply_values

        template = self.prefect.ask("GET", f"/work_pools/{self.pool}")["base_job_template"]
        schemas = template["variables"]["properties"]
        defaults = {name: schema["default"] for name, schema in schemas.items() if "default" in schema}
        values = {**defaults, **run["job_variables"]}
        job: Object = apply_values(template["job_configuration"]["job_manifest"], values)
        labels = {**values["labels"], LABEL_RUN: run["id"]}
        job["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"] = labels
        for container in job["spec"]["template"]["spec"]["containers"]:
            container["args"] = COMMAND.split()
        self.plane.kubectl("create", "--validate=warn", "--filename=-", stdin=json.dumps(job))

    def play(self, pod: Object) -> None:
        """Let the flow in a running pod begin, or end if its end has come."""
        meta = pod["metadata"]
        run, attempt = meta["labels"][LABEL_RUN], AttemptName.from_labels(self.namespace, meta["labels"])
        assert attempt is not None, f"the Job's template gave {meta['name']} no labels of an attempt"
        if meta["uid"] not in self.running:
            if not self.propose(run, "RUNNING"):
                self.plane.end_pod(meta["name"], self.namespace)
                return
            self.running.add(meta["uid"])
            self.tell(attempt, run, done=1)
        ends = self.ends.get(attempt.sweep, ())
        if attempt.attempt <= len(ends):
            self.end(meta["name"], run, ends[attempt.attempt - 1])

    def get_on(self, done: int) -> None:
        """Let each flow that runs tell how far it is."""
        for pod in self.plane.all("pods", self.namespace, LABEL_RUN):
            labels = pod["metadata"]["labels"]
            attempt = AttemptName.from_labels(self.namespace, labels)
            if attempt is not None and pod["metadata"]["uid"] in self.running:
                self.tell(attempt, labels[LABEL_RUN], done=done)

    def tell(self, attempt: AttemptName, run: str, *, done: int) -> None:
        """Publish the progress artifact."""
        told = FlowProgress(trials=TrialCounts(total=TOTAL, done=done))
        body = {"key": progress_key(attempt), "type": PROGRESS_TYPE, "flow_run_id": run, "data": told.text()}
        self.prefect.ask("POST", "/artifacts/", body)

    def end(self, pod: str, run: str, outcome: Outcome | None) -> None:
        """End a flow: tell Prefect, then leave the message."""
        if outcome is SILENT:
            self.plane.end_pod(pod, self.namespace)
            return
        good = outcome is Outcome.SUCCEEDED
        self.propose(run, "COMPLETED" if good else "FAILED")
        done: Parts = {
            "trials": TrialCounts(total=TOTAL, done=TOTAL),
            "best": Best(trial="t1", metric="sharpe", value=1.5),
            "manifest": ManifestReference(uri=f"s3://bucket/{run}/manifest.json", result_digest="0" * 64),
        }
        message = report_of(outcome, f"the flow ended as {outcome}", done if good else {})
        self.plane.end_pod(pod, self.namespace, message=message.decode())
