"""Sweeps on Ray as a user asks for them: by size or by name, here or on a cluster that is there, killed and gone on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.ray_head import Head, ray_head

if TYPE_CHECKING:
    from tests.contract.conftest import Bucket

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: on-ray}
spec:
  data: {name: sp500-20, start: "2009-01-02", end: "2014-12-31"}
  execution: {mode: auto, offloadThreshold: 40}
  axes:
    profile: [equal_weight, min_variance, {name: hrp, linkage: ward}, risk_parity]
    covariance: [sample, ledoit_wolf, ewma]
    lookback: [126, 252]
    rebalance: [window, daily]
    costs: [{slippageBps: 5, commissionBps: 1}, {slippageBps: 20, commissionBps: 1}]
"""
TRIALS = 76


def start(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, **more: Any
) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "sweep.yaml").write_text(DOCUMENT)
    command = [sys.executable, "-m", "backsweep", *arguments]
    environment = {**os.environ, **(variables or {})}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=environment, **more)


def call(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, code: int = 0) -> str:
    process = start(folder, *arguments, variables=variables)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return out if code == 0 else err


def run(folder: Path, *sets: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run the document and return its manifest, with what the command said."""
    arguments = [part for each in sets for part in ("--set", each)]
    said = call(folder, "run", "sweep.yaml", "--json", *arguments, variables=variables)
    manifest: dict[str, Any] = json.loads((folder / "runs/on-ray/manifest.json").read_text())
    return {**manifest, "said": json.loads(said)}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> str:
    manifest = run(tmp_path_factory.mktemp("local"), "execution.mode=local")
    assert manifest["run"]["computed"]["where"] == "serial"
    return str(manifest["resultDigest"])


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_head(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_trials_from_the_threshold_on_go_to_ray_and_nothing_changes(tmp_path: Path, local: str, workers: int) -> None:
    manifest = run(tmp_path, f"execution.parallelism={workers}")
    computed = manifest["run"]["computed"]
    assert (computed["where"], computed["workers"]) == ("ray", workers)
    assert manifest["resultDigest"] == local
    assert 0 < computed["bytesReturned"] < 1_024 * TRIALS
    assert call(tmp_path, "verify", "runs/on-ray")


def test_the_plan_says_where_and_which_way_is_faster(tmp_path: Path) -> None:
    said = " ".join(call_plan(tmp_path).split())
    assert "on Ray, 2 workers (76 serial tasks, at least execution.offloadThreshold = 40)" in said
    assert "s with it: execution.mode: local is faster" in said
    said = " ".join(call_plan(tmp_path, "--set", "execution.offloadThreshold=77").split())
    assert "in 2 processes (76 serial tasks, fewer than execution.offloadThreshold = 77)" in said


def call_plan(folder: Path, *arguments: str) -> str:
    return call(folder, "plan", "sweep.yaml", "--set", "execution.parallelism=2", *arguments)


def test_without_ray_the_sweep_runs_here_and_says_so(tmp_path: Path, local: str) -> None:
    (tmp_path / "hidden").mkdir()
    hide = "import sys; sys.modules['ray'] = None\nfrom importlib import util; find = util.find_spec\n"
    hide += "util.find_spec = lambda name, *rest: None if name == 'ray' else find(name, *rest)\n"
    (tmp_path / "hidden/sitecustomize.py").write_text(hide)
    process = start(tmp_path, "run", "sweep.yaml", variables={"PYTHONPATH": str(tmp_path / "hidden")})
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "at least execution.offloadThreshold = 40, but Ray is not installed: pip install 'backsweep[ray]'" in err
    manifest = json.loads((tmp_path / "runs/on-ray/manifest.json").read_text())
    assert manifest["resultDigest"] == local


def test_of_a_bucket_ray_here_makes_the_same(tmp_path: Path, bucket: Bucket, local: str) -> None:
    manifest = run(tmp_path, f"storage={{uri: {bucket.uri}, endpointUrl: {bucket.server.url}}}")
    assert manifest["run"]["computed"]["where"] == "ray"
    assert manifest["resultDigest"] == local


def existing(head: Head, more: str = "") -> str:
    return f"cluster={{existing: {{address: '{head.address}'{more}}}}}"


def test_a_cluster_that_is_there_computes_and_is_asked_for_parts(
    tmp_path: Path, head: Head, bucket: Bucket, local: str
) -> None:
    token = {"RAY_AUTH_TOKEN": head.token}
    storage = f"storage={{uri: {bucket.uri}, endpointUrl: {bucket.server.url}}}"
    manifest = run(tmp_path, existing(head, ", tokenSecretRef: {name: ray, key: auth_token}"), storage, variables=token)
    computed = manifest["run"]["computed"]
    assert (computed["where"], computed["simulations"]) == ("cluster", TRIALS)
    assert manifest["resultDigest"] == local
    assert 0 < computed["bytesReturned"] < 1_024 * TRIALS
    again = run(tmp_path, existing(head), storage, variables=token)
    assert again["said"]["trials"]["cached"] == TRIALS
    assert again["resultDigest"] == local


def test_what_a_cluster_lacks_is_one_sentence(tmp_path: Path, head: Head) -> None:
    secret = existing(head, ", tokenSecretRef: {name: ray, key: auth_token}")
    said = call(tmp_path, "run", "sweep.yaml", "--set", secret, code=2)
    assert "spec.cluster.existing.tokenSecretRef: names a Secret of Kubernetes; outside of it RAY_AUTH_TOKEN" in said
    wrong = {"RAY_AUTH_TOKEN": "0" * 64}
    said = call(tmp_path, "run", "sweep.yaml", "--set", existing(head), variables=wrong, code=2)
    assert "Ray refuses the token (HTTP 403): it is wrong or has expired" in said
    elsewhere = "cluster={existing: {address: 'http://ray.example.com:8265'}}"
    said = call(tmp_path, "run", "sweep.yaml", "--set", elsewhere, code=2)
    assert "is a folder of this machine, and the Ray at http://ray.example.com:8265 is not on it" in said


def units_in(folder: Path) -> int:
    return sum(1 for _ in folder.glob(".backsweep/store/units/**/*.json"))


def test_a_flow_killed_on_ray_goes_on_and_leaves_no_ray_behind(tmp_path: Path, local: str) -> None:
    process = start(tmp_path, "run", "sweep.yaml", start_new_session=True)
    try:
        wait_for(lambda: units_in(tmp_path) > 10)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    wait_for(lambda: not working(process.pid))
    manifest = run(tmp_path)
    assert manifest["resultDigest"] == local
    assert manifest["run"]["computed"]["simulations"] <= TRIALS


def test_a_flow_killed_while_a_cluster_works_attaches_to_the_job(tmp_path: Path, head: Head, local: str) -> None:
    token = {"RAY_AUTH_TOKEN": head.token}
    sets = ("--set", existing(head), "--set", f"storage.uri={(tmp_path / 'store').as_uri()}")
    process = start(tmp_path, "run", "sweep.yaml", *sets, variables=token)
    before = set(head.jobs())
    wait_for(lambda: len(head.jobs()) > len(before))
    process.kill()
    process.communicate(timeout=60)
    manifest = run(tmp_path, *sets[1::2], variables=token)
    assert manifest["resultDigest"] == local
    assert len(set(head.jobs()) - before) == 1  # it is attached to


def working(session: int) -> list[str]:
    """Return what still runs of a session, but for Ray's two agents: they end by themselves within a minute."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            fields = (each / "stat").read_text().rpartition(")")[2].split()
            name = (each / "cmdline").read_bytes().decode().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z" and "Agent" not in name:
            found.append(name)
    return found


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
