"""A pod with the Ray that was made for it: the same bytes, its budget kept by the driver there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.conftest import Bucket
from tests.contract.ray_head import Head, ray_head
from tests.contract.test_operator_prefect import RealPrefect
from tests.contract.test_pods import DOCUMENT, LARGE, PATIENCE_SECONDS, Pod, wait_for

from backsweep.orchestration.server import Endpoint
from backsweep_operator.model import Outcome


@pytest.fixture(scope="module")
def prefect(endpoint: Endpoint) -> RealPrefect:
    return RealPrefect(endpoint)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_head(tmp_path_factory.mktemp("home")) as started:
        yield started


def test_its_ray_computes_and_keeps_the_budget(
    prefect: RealPrefect, head: Head, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    priced = '  pricing: {cpuHour: "3600"}\n  budget: {maxCost: "1000"}\n'
    text = DOCUMENT.replace("backoffLimit: 5", "execution: {mode: ray}") + priced
    pod = Pod(prefect, tmp_path, bucket, text)
    ray = {"address": head.address, "workers": 2}
    stopped = pod.run(1, ray=ray, budget={"limit": "1000", "spent": "999.9"})
    assert (stopped.outcome, stopped.manifest) == (Outcome.OVER_BUDGET, None)
    assert "blocks are not begun" in stopped.message
    free = replace(pod, text=text.replace(priced, ""))
    report = free.run(2, ray=ray)
    assert report.outcome is Outcome.SUCCEEDED
    manifest = free.manifest()
    assert manifest["run"]["computed"]["where"] == "cluster"
    assert manifest["resultDigest"] == free.laptop_digest()


def test_told_to_end_it_ends_its_job_on_a_ray_that_stays(
    prefect: RealPrefect, head: Head, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    text = LARGE.replace("workers: {max: 4}", f'existing: {{address: "{head.address}"}}')
    pod = Pod(prefect, tmp_path, bucket, text.replace("backoffLimit: 5", "execution: {mode: ray}"))
    before = set(head.jobs())
    process = pod.begin()
    wait_for(lambda: len(pod.units()) > 20)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_for(lambda: [state for job, state in head.jobs().items() if job not in before] == ["STOPPED"])
    assert not pod.message.exists()
