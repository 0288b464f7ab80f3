"""Whole runs on S3 servers that refuse, go away or are shared: one sentence and an exit code, or the same digest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.conftest import Bucket, StorePlace
    from tests.contract.minio_server import MinioServer

OUTAGE_SECONDS = float(os.environ.get("BACKSWEEP_TEST_OUTAGE_SECONDS", "5"))
DOCUMENT: dict[str, Any] = {
    "apiVersion": "backsweep.dev/v1alpha1",
    "kind": "BacktestSweep",
    "metadata": {"name": "shared"},
    "spec": {
        "data": {"name": "sp500-20", "start": "2010-01-04", "end": "2013-12-31"},
        "axes": {
            "profile": ["equal_weight", "min_variance", "hrp", "risk_parity", "inverse_volatility"],
            "covariance": ["sample", "oas", "ledoit_wolf"],
            "lookback": [63, 126],
            "rebalance": ["window", "daily"],
        },
    },
}
READ_ONLY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::*"]}],
}


class Away(Protocol):
    """A server that can go away and come back with what it holds."""

    client: Any
    url: str

    def start(self) -> None: ...

    def go_away(self) -> None: ...


def start(folder: Path, storage: dict[str, Any] | None) -> subprocess.Popen[str]:
    """Start the sweep in `folder`, which has its store in `storage`."""
    folder.mkdir(exist_ok=True)
    spec = {**DOCUMENT["spec"], **({} if storage is None else {"storage": storage})}
    (folder / "sweep.json").write_text(json.dumps({**DOCUMENT, "spec": spec}))
    command = [sys.executable, "-m", "backsweep", "run", "sweep.json", "--json", "--no-prefect"]
    command += ["--baseline", "none"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return dict(json.loads(out))


def refusal_of(folder: Path, storage: dict[str, Any], within_seconds: float = 60) -> str:
    """Return the one sentence that a run ends with, with exit code 2, soon and without a secret."""
    started = time.monotonic()
    process = start(folder, storage)
    out, err = process.communicate(timeout=180)
    assert time.monotonic() - started < within_seconds
    assert (process.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        assert os.environ.get(name, "nothing secret") not in err
    assert not (folder / "runs").exists()
    return err


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The result of the sweep in a folder."""
    return str(finish(start(tmp_path_factory.mktemp("folder"), None))["resultDigest"])


@pytest.fixture(params=["bucket", "minio_bucket"])
def shared(request: pytest.FixtureRequest) -> StorePlace:
    from tests.contract.conftest import StorePlace

    found = request.getfixturevalue(request.param)
    return found if isinstance(found, StorePlace) else StorePlace(found.uri, found.server.url)


# What is refused


def test_a_secret_key_that_is_wrong(minio_bucket: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-wrong")
    said = refusal_of(tmp_path, {"uri": minio_bucket.uri, "endpointUrl": minio_bucket.endpoint_url})
    assert "the secret key does not belong to the access key; correct the credentials" in said


def test_an_access_key_that_nobody_knows(
    minio_bucket: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody-has-this-key")
    said = refusal_of(tmp_path, {"uri": minio_bucket.uri, "endpointUrl": minio_bucket.endpoint_url})
    assert "does not know the access key; correct the credentials" in said


def test_no_credentials_at_all(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = refusal_of(tmp_path, {"uri": bucket.uri, "endpointUrl": bucket.server.url})
    assert "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said


def test_a_bucket_that_may_only_be_read(
    minio_bucket: StorePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of a session whose policy allows reading: the policy of a bucket does not bind MinIO's root."""
    keys = {"endpoint_url": minio_bucket.endpoint_url, "region_name": "us-east-1"}
    session = (
        boto3.session.Session()
        .client("sts", **keys)
        .assume_role(
            RoleArn="arn:aws:iam::000000000000:role/any", RoleSessionName="reader", Policy=json.dumps(READ_ONLY)
        )["Credentials"]
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
    said = refusal_of(tmp_path, {"uri": minio_bucket.uri, "endpointUrl": minio_bucket.endpoint_url})
    assert "does not allow PutObject (AccessDenied); allow s3:GetObject, s3:PutObject" in said


def test_a_bucket_that_is_missing(shared: StorePlace, tmp_path: Path) -> None:
    said = refusal_of(tmp_path, {"uri": "s3://no-such-bucket/x", "endpointUrl": shared.endpoint_url})
    assert f"there is no bucket no-such-bucket at {shared.endpoint_url}; create it, or correct the address" in said


def test_an_address_where_nothing_listens(aws_environment: None, tmp_path: Path) -> None:
    said = refusal_of(tmp_path, {"uri": "s3://some-bucket/x", "endpointUrl": "http://127.0.0.1:9"})
    assert "http://127.0.0.1:9 cannot be reached (connection refused); correct the address, or start the server" in said


def test_a_token_that_has_expired(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of our own says so: moto knows no time, and MinIO's shortest session lasts a quarter of an hour."""
    from tests.contract.s3_server import refusal

    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-yesterday")
    bucket.server.behaviour = refusal("400 Bad Request", "ExpiredToken")
    said = refusal_of(tmp_path, {"uri": bucket.uri, "endpointUrl": bucket.server.url})
    assert "the session token has expired; get a new one and run the same command again" in said


def test_a_server_that_ignores_conditions(bucket: Bucket, tmp_path: Path) -> None:
    """A server of our own drops the headers, as some real ones do."""

    def ignore(environ: Any, forward: Any) -> Any:
        for header in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
            environ.pop(header, None)
        return forward(environ)

    bucket.server.behaviour = ignore
    said = refusal_of(tmp_path, {"uri": bucket.uri, "endpointUrl": bucket.server.url})
    assert "it ignores If-None-Match; two runs could overwrite each other there" in said


# What goes away


class MotoAway:
    """moto, whose memory outlives its socket."""

    def __init__(self) -> None:
        from tests.contract.s3_server import S3Server

        self._server = S3Server()
        self.start()
        self.client = self._server.client
        self.url = self._server.url

    def start(self) -> None:
        self._server.start()

    def go_away(self) -> None:
        self._server.stop()


class MinioAway:
    """MinIO, killed with SIGKILL, whose folder outlives it."""

    def __init__(self, binary: str, folder: Path) -> None:
        from tests.contract.minio_server import MinioServer

        self._server = MinioServer(binary, folder)
        self.start()
        self.client = self._server.client
        self.url = self._server.url

    def start(self) -> None:
        self._server.start()

    def go_away(self) -> None:
        self._server.kill()


@pytest.fixture(params=["moto", "minio"])
def away(request: pytest.FixtureRequest, aws_environment: None, tmp_path: Path) -> Iterator[Away]:
    if request.param == "moto":
        server: Away = MotoAway()
    else:
        server = MinioAway(request.getfixturevalue("minio_binary"), tmp_path / "minio")
    server.client.create_bucket(Bucket="goes-away")
    yield server
    server.go_away()


def stored_units(client: Any, bucket: str) -> int:
    return len(client.list_objects_v2(Bucket=bucket, Prefix="x/units/").get("Contents", []))


def wait_for_units(client: Any, bucket: str, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a run has stored some units, and is not done."""
    deadline = time.monotonic() + 60
    while stored_units(client, bucket) < count:
        assert time.monotonic() < deadline, "the run stores nothing"
        assert process.poll() is None, "the run is over already"
        time.sleep(0.01)


def test_a_server_that_is_away_amid_writing_costs_no_byte(away: Away, tmp_path: Path, digest: str) -> None:
    process = start(tmp_path / "run", {"uri": "s3://goes-away/x", "endpointUrl": away.url})
    wait_for_units(away.client, "goes-away", 8, process)
    away.go_away()
    time.sleep(OUTAGE_SECONDS)
    assert process.poll() is None
    away.start()
    assert finish(process)["resultDigest"] == digest


# Who else is there


def test_two_runs_of_one_sweep_at_once_both_end_well_with_one_manifest(
    shared: StorePlace, tmp_path: Path, digest: str
) -> None:
    storage = {"uri": shared.uri, "endpointUrl": shared.endpoint_url}
    runs = [start(tmp_path / name, storage) for name in ("one", "two")]
    assert [finish(process)["resultDigest"] for process in runs] == [digest, digest]
    ((_, data),) = shared.open().manifests()
    assert [(tmp_path / name / "runs/shared/manifest.json").read_bytes() for name in ("one", "two")] == [data, data]
    assert "parent" not in json.loads(data)["run"]
    command = [sys.executable, "-m", "backsweep", "history", "--store", shared.uri, "--json"]
    listed = subprocess.run([*command, "--endpoint-url", str(shared.endpoint_url)], capture_output=True, check=True)
    assert [each["resultDigest"] for each in json.loads(listed.stdout)] == [digest]


def test_a_run_that_is_killed_amid_writing_goes_on_from_what_it_stored(
    minio_bucket: StorePlace, running_minio: MinioServer, tmp_path: Path, digest: str
) -> None:
    name = minio_bucket.uri.split("/")[2]
    storage = {"uri": f"s3://{name}/x", "endpointUrl": minio_bucket.endpoint_url}
    process = start(tmp_path, storage)
    wait_for_units(running_minio.client, name, 8, process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    stored = stored_units(running_minio.client, name) - 1  # the data set's own record
    again = finish(start(tmp_path, storage))
    assert again["resultDigest"] == digest
    listed = json.loads((tmp_path / "runs/shared/manifest.json").read_bytes())["result"]["units"]["count"]
    assert again["computed"]["solveUnits"] + again["computed"]["simulations"] == listed - stored < listed
    assert (tmp_path / "runs/shared/report.html").is_file()
