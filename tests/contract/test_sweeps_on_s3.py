"""A sweep whose store is a bucket: the same digest as in a folder, resumable, verifiable, open to notebooks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import backsweep
from backsweep.flow import Listener, Request, Site, Stages, run_plainly
from backsweep.orchestration.artifacts import finished_artifacts
from backsweep_api.documents import document_from_tree

if TYPE_CHECKING:
    from tests.contract.conftest import Bucket

DOCUMENT: dict[str, Any] = {
    "apiVersion": "backsweep.dev/v1alpha1",
    "kind": "BacktestSweep",
    "metadata": {"name": "bucket"},
    "spec": {
        "data": {"name": "sp500-20", "start": "2010-01-04", "end": "2014-12-31"},
        "axes": {
            "profile": ["equal_weight", "min_variance", "hrp"],
            "covariance": ["sample", "oas"],
            "lookback": [126],
        },
    },
}


def run(folder: Path, storage: dict[str, Any] | None, *more: str, code: int = 0) -> Any:
    """Run the document in `folder` with `storage`; return its summary, or what it said where it ends with `code`."""
    spec = {**DOCUMENT["spec"], **({} if storage is None else {"storage": storage})}
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps({**DOCUMENT, "spec": spec}))
    command = [sys.executable, "-m", "backsweep", "run", "sweep.json", "--json", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def test_a_bucket_gives_the_digest_of_a_folder_and_is_read_by_everything(bucket: Bucket, tmp_path: Path) -> None:
    storage = {"uri": bucket.uri, "endpointUrl": bucket.server.url}
    local = run(tmp_path / "local", None)
    first = run(tmp_path / "one", storage, "--set", "execution.parallelism=2")
    assert first["resultDigest"] == local["resultDigest"]
    again = run(tmp_path / "two", storage)
    assert again["computed"] == {"blocks": 0, "solveUnits": 0, "simulations": 0}
    assert again["resultDigest"] == local["resultDigest"]
    command = [sys.executable, "-m", "backsweep", "verify", "runs/bucket"]
    verified = subprocess.run(command, cwd=tmp_path / "two", capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    opened = backsweep.open(tmp_path / "one/runs/bucket")
    assert opened.returns().shape[1] == 5
    assert any("manifest.json" in key for key in bucket.listing())


def call(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "backsweep", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def verify(*arguments: str) -> tuple[int, str]:
    return call("verify", *arguments)


def address(bucket: Bucket) -> str:
    """Return where the manifest of the one sweep in the bucket stands, as `status.manifest.uri` says."""
    ((key, _),) = bucket.open().manifests()
    return f"{bucket.uri}/sweeps/{key.namespace}/{key.name}/{key.spec_digest}/manifest.json"


def test_whoever_has_a_manifests_address_needs_no_run_folder(bucket: Bucket, tmp_path: Path) -> None:
    found = run(tmp_path / "one", {"uri": bucket.uri, "endpointUrl": bucket.server.url})
    shutil.rmtree(tmp_path / "one")
    at, server = address(bucket), ("--endpoint-url", bucket.server.url)
    code, said = call("history", at, *server, "--json")
    assert (code, [each["resultDigest"] for each in json.loads(said)]) == (0, [found["resultDigest"]])
    other = run(tmp_path / "two", None, "--set", "axes.lookback=100")
    code, said = call("diff", at, str(tmp_path / "two/runs/bucket"), *server, "--json")
    ours, theirs = (json.loads(said)[side]["resultDigest"] for side in ("a", "b"))
    assert (code, ours, theirs) == (1, found["resultDigest"], other["resultDigest"])
    assert call("diff", at, at, *server)[0] == 0
    opened = backsweep.open(at, endpoint_url=bucket.server.url)
    assert (opened.returns().shape[1], len(opened.trials)) == (5, 5)
    code, said = call("explain", "best", "--run", at, *server, "--json")
    assert (code, json.loads(said)["status"]) == (0, "ok")
    code, said = call("export", "returns", "--run", at, *server, "--output", str(tmp_path / "all.csv"))
    assert (code, "of 5 trials" in said) == (0, True)
    code, said = call("weights", "best", "--run", at.replace("/bucket/", "/another/"), *server)
    assert (code, "there is no manifest" in said) == (2, True)


def test_a_manifest_is_verified_where_it_stands(bucket: Bucket, tmp_path: Path) -> None:
    found = run(tmp_path, {"uri": bucket.uri, "endpointUrl": bucket.server.url})
    ((key, data),) = bucket.open().manifests()
    at, server = address(bucket), ("--endpoint-url", bucket.server.url)
    code, said = verify(at, *server)
    assert (code, said.split()[-1]) == (0, found["resultDigest"])
    trials = json.loads(data)["result"]["objects"]["trials"]
    bucket.client.delete_object(Bucket=bucket.name, Key=f"some/prefix/objects/sha256/{trials[:2]}/{trials}")
    code, said = verify(at, *server)
    assert code == 1
    assert "result.objects.trials" in said
    code, said = verify(at.replace(f"/{key.name}/", "/another/"), *server)
    assert (code, "there is no manifest; backsweep history --store" in said) == (2, True)
    code, said = verify(bucket.uri, *server)
    assert (code, "it is no manifest's address; write s3://STORE/sweeps/" in said) == (2, True)
    code, said = verify(str(tmp_path / "runs/bucket"), *server)
    assert (code, "leave endpoint and region out" in said) == (2, True)


def test_a_run_in_a_pod_leaves_its_report_beside_its_manifest_and_no_folder(bucket: Bucket, tmp_path: Path) -> None:
    storage = {"uri": bucket.uri, "endpointUrl": bucket.server.url}
    document = document_from_tree({**DOCUMENT, "spec": {**DOCUMENT["spec"], "storage": storage}})
    site = Site("quant", is_pod=True)
    request = Request(document, tmp_path, tmp_path / "run", "2026-11-23T21:00:00+00:00", baseline="none", site=site)
    with Stages(request, Listener(lambda _: None, lambda _: None, lambda _: None)) as stages:
        finished = stages.complete(run_plainly, lambda _: None)
    assert list(tmp_path.iterdir()) == []
    assert f"{finished.place}/manifest.json" == address(bucket)
    folder = finished.place.removeprefix(f"s3://{bucket.name}/")
    page = bucket.client.get_object(Bucket=bucket.name, Key=f"{folder}/report.html")
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert finished.result_digest in page["Body"].read().decode()
    picture = bucket.client.get_object(Bucket=bucket.name, Key=f"{folder}/heatmap.png")
    assert picture["Body"].read().startswith(b"\x89PNG")
    told = {artifact.key: artifact.data for artifact in finished_artifacts(finished)}
    assert f"`backsweep verify {address(bucket)}`" in told["files-bucket"]
    assert told["heatmap-bucket"].startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("storage", "sentence"),
    [
        ({"uri": "s3://no-such-bucket/x"}, "no-such-bucket"),
        ({"uri": "s3://some-bucket/x", "endpointUrl": "http://127.0.0.1:9"}, "127.0.0.1:9"),
    ],
)
def test_a_bucket_that_is_not_there_is_one_sentence(
    bucket: Bucket, tmp_path: Path, storage: dict[str, str], sentence: str
) -> None:
    said = run(tmp_path, {"endpointUrl": bucket.server.url, **storage}, code=2)
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
