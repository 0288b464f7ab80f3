"""A sweep in its pod: the operator's flow run, executed as Prefect's worker does it, and the message it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from tests.contract.conftest import Bucket
from tests.contract.s3_server import Answer, Behaviour, Environ, Forward, is_put, proper, refusal
from tests.contract.test_operator_prefect import RealPrefect

from backsweep.orchestration.server import Endpoint
from backsweep_api.documents import read_document
from backsweep_api.identity import spec_digest
from backsweep_api.names import AttemptName
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import TrialCounts
from backsweep_operator.build import deployment, flow_run_request
from backsweep_operator.model import FlowRunView, FlowState, Outcome, Release, Report
from backsweep_operator.prefect_api import PrefectApi
from backsweep_operator.projections import read_report

RELEASE = Release(image="backsweep:1")
PATIENCE_SECONDS = 120.0
DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: podded, namespace: team}
spec:
  data: {name: sp500-20, start: "2016-01-04"}
  axes: {profile: [equal_weight, min_variance, hrp], lookback: [126, 252]}
  cluster: {workers: {max: 4}}
  backoffLimit: 5
  storage: {uri: STORE, endpointUrl: ENDPOINT, secretRef: {name: keys}}
"""
LARGE_AXES = (
    "[min_cvar, herc, nco, max_diversification], lookback: [126, 252, 378], linkage: [single, ward], "
    "covariance: [sample, oas, ewma]"
)
# Enough that a signal meets it in the middle.
LARGE = DOCUMENT.replace("[equal_weight, min_variance, hrp], lookback: [126, 252]", LARGE_AXES).replace(
    "2016-01-04", "1995-01-03"
)


@pytest.fixture(scope="module")
def prefect(endpoint: Endpoint) -> RealPrefect:
    return RealPrefect(endpoint)


@dataclass(frozen=True)
class Pod:
    """One pod after the other, of one attempt after the other."""

    prefect: RealPrefect
    folder: Path
    bucket: Bucket
    text: str = DOCUMENT
    command: tuple[str, ...] = ("-m", "prefect", "flow-run", "execute")

    @property
    def document(self) -> BacktestSweep:
        return read_document(self.text.replace("STORE", self.bucket.uri).replace("ENDPOINT", self.bucket.server.url))

    def name(self, attempt: int) -> AttemptName:
        at = ("team", "podded", str(uuid5(NAMESPACE_URL, str(self.folder))))
        return AttemptName.of(at, spec_digest(self.document), attempt)

    def view(self, attempt: int) -> FlowRunView:
        found: list[FlowRunView] = self.prefect.use(lambda api: api.flow_runs([self.name(attempt)]))
        assert len(found) == 1
        return found[0]

    def begin(self, attempt: int = 1, **parameters: Any) -> subprocess.Popen[str]:
        """Create the flow run as the operator does, and execute it as the worker's Job does."""
        budget = {"limit": "1", "spent": "0"} if self.document.spec.budget else None
        request = flow_run_request(self.name(attempt), self.document, RELEASE, 0, budget)
        request = replace(request, parameters={**request.parameters, **parameters})

        async def create(api: PrefectApi) -> FlowRunView:
            await api.ensure_deployment(deployment(RELEASE.work_pool, RELEASE))
            return await api.create_flow_run(request, cancelled=False)

        made = self.prefect.use(create)
        home = self.folder / f"home-{attempt}"
        home.mkdir(exist_ok=True)
        self.message.unlink(missing_ok=True)
        variables = {
            "PREFECT_API_URL": self.prefect.endpoint.api_url,
            "PREFECT_API_AUTH_STRING": self.prefect.endpoint.auth or "",
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "relinquish",
            "HOME": str(home),
            "BACKSWEEP_TERMINATION_LOG": str(self.message),
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "BACKSWEEP"))}
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES"):
            kept.pop(name, None)  # the pod pins them itself
        return subprocess.Popen(
            [sys.executable, *self.command, made.id],
            cwd=home,
            env={**kept, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, attempt: int = 1, **parameters: Any) -> Report:
        process = self.begin(attempt, **parameters)
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        assert self.message.is_file(), said
        data = self.message.read_bytes()
        assert len(data) < 4096
        report = read_report(data.decode())
        assert report is not None
        return report

    def manifest(self) -> Any:
        key = f"some/prefix/sweeps/team/podded/{spec_digest(self.document)}/manifest.json"
        return json.load(self.bucket.client.get_object(Bucket=self.bucket.name, Key=key)["Body"])

    def units(self) -> list[str]:
        return [each for each in self.bucket.listing() if "/units/" in each]

    def laptop_digest(self) -> str:
        """Run the same question by hand, in a folder, without what only the operator does."""
        tree = self.document.normalised()
        for name in ("cluster", "storage", "backoffLimit", "pricing", "budget"):
            tree["spec"].pop(name, None)
        (self.folder / "sweep.json").write_text(json.dumps(tree))
        command = [sys.executable, "-m", "backsweep", "run", "sweep.json", "--no-prefect", "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=True, timeout=120)
        return str(json.loads(done.stdout)["resultDigest"])

    @property
    def message(self) -> Path:
        return self.folder / "termination-log"


@pytest.fixture
def pod(prefect: RealPrefect, tmp_path: Path, bucket: Bucket) -> Pod:
    return Pod(prefect, tmp_path, bucket)


def test_success_is_told_with_what_the_manifest_has_and_a_laptop_has_the_same_digest(pod: Pod) -> None:
    report = pod.run()
    assert (report.outcome, report.trials) == (Outcome.SUCCEEDED, TrialCounts(total=5, done=5))
    manifest = pod.manifest()
    assert report.manifest is not None
    assert report.manifest.result_digest == manifest["resultDigest"] == pod.laptop_digest()
    key = f"some/prefix/sweeps/team/podded/{spec_digest(pod.document)}/manifest.json"
    assert report.manifest.uri == f"s3://{pod.bucket.name}/{key}"
    page = pod.bucket.client.get_object(Bucket=pod.bucket.name, Key=key.replace("manifest.json", "report.html"))
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert manifest["resultDigest"] in page["Body"].read().decode()
    assert report.best is not None
    best = manifest["result"]["best"]
    assert (report.best.trial, report.best.value) == (best["trial"], best["metrics"]["sharpe"])
    assert report.overfitting is not None
    assert report.overfitting.pbo == manifest["result"]["luck"]["overfitting"]["probability"]
    assert report.overfitting.trials_ever == 5
    view = pod.view(1)
    assert (view.state, view.message) == (FlowState.COMPLETED, report.message)
    assert view.progress is not None
    assert (view.progress.trials, view.progress.cluster_needed) == (TrialCounts(total=5, done=5), False)
    assert view.progress.last_block_at is not None
    assert abs(time.time() - view.progress.last_block_at) < PATIENCE_SECONDS


def test_another_attempt_finds_what_is_stored_and_waits_for_no_cluster(pod: Pod) -> None:
    """The Ray it is given answers nobody: an attempt that lacks nothing does not look for it."""
    first = pod.run()
    nobody = {"address": "http://127.0.0.1:9", "workers": 2}
    again = replace(pod, text=pod.text.replace("backoffLimit: 5", "execution: {mode: ray}"))
    second = again.run(2, ray=nobody)
    assert (second.outcome, second.trials) == (Outcome.SUCCEEDED, TrialCounts(total=5, done=5, cached=5))
    assert second.manifest == first.manifest
    progress = pod.view(2).progress
    assert progress is not None
    assert (progress.cluster_needed, progress.trials.cached) == (False, 5)


def test_too_many_failing_trials_are_a_failure_with_the_reason_of_the_first(pod: Pod) -> None:
    failing = replace(pod, text=pod.text.replace("equal_weight, min_variance", "max_sharpe").replace("126, 252", "21"))
    report = failing.run()
    assert (report.outcome, report.best) == (Outcome.FAILED, None)
    assert report.trials == TrialCounts(total=2, done=2, failed=1)
    assert report.manifest is not None
    assert report.message.startswith(
        "1 of 2 trials failed (50 %), more than execution.maxFailedTrialsPercent = 0; 1 of 86 windows failed, "
    )
    assert failing.view(1).state is FlowState.FAILED


def test_a_document_or_a_store_that_cannot_be_used_is_refused_in_a_sentence(pod: Pod) -> None:
    tree = pod.document.normalised()
    report = pod.run(document={**tree, "spec": {**tree["spec"], "axes": {"profile": ["hpr"]}}})
    assert (report.outcome, pod.view(1).state) == (Outcome.REFUSED, FlowState.FAILED)
    assert "hpr" in report.message
    strategy = pod.run(2, document={**tree, "spec": {**tree["spec"], "strategy": {"entrypoint": "a.b:c"}}})
    assert strategy.outcome is Outcome.REFUSED
    pod.bucket.client.delete_bucket(Bucket=pod.bucket.name)
    lost = pod.run(3)
    assert (lost.outcome, pod.bucket.name in lost.message) == (Outcome.REFUSED, True)


def test_a_store_that_dies_on_the_way_leaves_the_attempt_incomplete(pod: Pod) -> None:
    pod.bucket.server.behaviour = gone_with_the_first_unit()
    impatient = replace(pod, command=(str(Path(__file__).with_name("pod_engine.py")),))
    report = impatient.run()
    assert (report.outcome, pod.view(1).state) == (Outcome.INCOMPLETE, FlowState.FAILED)
    assert (report.manifest, report.best) == (None, None)
    pod.bucket.server.behaviour = proper
    assert pod.run(2).outcome is Outcome.SUCCEEDED


def test_a_budget_stops_it_before_it_is_passed(pod: Pod) -> None:
    priced = replace(pod, text=pod.text + '  pricing: {cpuHour: "0.04"}\n  budget: {maxCost: "1"}\n')
    report = priced.run(budget={"limit": "1", "spent": "1"})
    assert (report.outcome, report.best, report.manifest) == (Outcome.OVER_BUDGET, None, None)
    assert "spec.budget.maxCost = 1 USD" in report.message
    assert priced.view(1).state is FlowState.FAILED
    assert priced.run(2, budget={"limit": "1", "spent": "0.1"}).outcome is Outcome.SUCCEEDED


def test_a_pod_that_is_told_to_end_leaves_no_message_and_the_next_one_goes_on(pod: Pod) -> None:
    large = replace(pod, text=LARGE)
    process = large.begin()
    wait_for(lambda: len(large.units()) > 20)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    assert not large.message.exists()
    assert not large.view(1).state.terminal
    report = large.run()  # the Job's next pod, of the same flow run
    assert report.outcome is Outcome.SUCCEEDED
    assert report.trials is not None
    assert report.trials.cached > 0


def test_a_cancelled_run_is_left_alone_and_says_nothing(pod: Pod) -> None:
    large = replace(pod, text=LARGE)
    process = large.begin()
    wait_for(lambda: len(large.units()) > 20)
    found = large.view(1).id
    large.prefect.use(lambda api: api.cancel_flow_run(found))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert not large.message.exists()
    assert large.view(1).state is FlowState.CANCELLED


def gone_with_the_first_unit() -> Behaviour:
    """Answer properly until something is computed, then nothing but to come back later."""
    gone = list[bool]()
    later = refusal("503 Service Unavailable", "SlowDown")

    def behave(environ: Environ, forward: Forward) -> Answer | None:
        if is_put(environ) and "/units/" in environ["PATH_INFO"]:
            gone.append(True)
        return later(environ, forward) if gone else forward(environ)

    return behave


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
