"""Where the stores under test are: a folder, and a bucket on a server of the test's own."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.binaries import MINIO, built_path

from backsweep.stores.file import FileStore
from backsweep.stores.opening import open_store
from backsweep.stores.s3 import S3Store

if TYPE_CHECKING:
    from tests.contract.minio_server import MinioServer
    from tests.contract.s3_server import S3Server

    from backsweep.orchestration.server import Endpoint

NO_MINIO = (
    "there is no MinIO: `python3 -m tests.cluster.binaries minio` builds it where Go is, or BACKSWEEP_TEST_MINIO "
    "names its binary"
)

BUCKETS = itertools.count()
INHERITED = ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"]
PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]


@dataclass(frozen=True)
class StorePlace:
    """Where a store is, so that other processes can open it too."""

    uri: str
    endpoint_url: str | None = None

    def open(self) -> FileStore | S3Store:
        return open_store(self.uri, self.endpoint_url)


@dataclass(frozen=True)
class Bucket:
    """A bucket on a server of the test's own, and boto3's client to look at it from outside."""

    server: S3Server
    client: Any
    name: str

    @property
    def uri(self) -> str:
        return f"s3://{self.name}/some/prefix"

    def open(self, **parameters: Any) -> S3Store:
        return S3Store(self.uri, self.server.url, **parameters)

    def listing(self) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A Prefect server of the module's own, as a run starts it."""
    from backsweep.orchestration import server

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSWEEP_STATE", str(tmp_path_factory.mktemp("state")))
        patch.delenv("PREFECT_API_URL", raising=False)
        yield server.ensure()
        server.stop()


@pytest.fixture(scope="session")
def running_server() -> Iterator[S3Server]:
    from tests.contract.s3_server import S3Server

    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that are none, and nothing of the machine's own configuration."""
    from tests.contract.s3_server import ACCESS_KEY, SECRET_KEY

    for name in INHERITED + PROXIES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3_server(running_server: S3Server, aws_environment: None) -> Iterator[S3Server]:
    from tests.contract.s3_server import proper

    running_server.behaviour = proper
    running_server.requests.clear()
    yield running_server
    running_server.behaviour = proper
    signed = [each["HTTP_AUTHORIZATION"] for each in running_server.requests if "HTTP_AUTHORIZATION" in each]
    assert {each.split("Credential=")[1].split("/")[0] for each in signed} <= running_server.access_keys


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    made = Bucket(s3_server, s3_server.client, f"bucket{next(BUCKETS)}")
    made.client.create_bucket(Bucket=made.name)
    return made


def find_minio() -> str | None:
    """Return the binary that is named, the one we built, or one on the path."""
    named = os.environ.get("BACKSWEEP_TEST_MINIO")
    built = built_path(MINIO)
    return named or (str(built) if built.is_file() else shutil.which("minio"))


@pytest.fixture(scope="session")
def minio_binary() -> str:
    found = find_minio()
    if found is None:
        pytest.skip(NO_MINIO)
    return found


@pytest.fixture(scope="session")
def running_minio(minio_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    from tests.contract.minio_server import MinioServer

    server = MinioServer(minio_binary, tmp_path_factory.mktemp("minio"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def minio_bucket(running_minio: MinioServer, aws_environment: None) -> StorePlace:
    name = f"bucket{next(BUCKETS)}"
    running_minio.client.create_bucket(Bucket=name)
    return StorePlace(f"s3://{name}/some/prefix", running_minio.url)


@pytest.fixture(params=["file", "s3", "minio"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    if request.param == "file":
        return StorePlace(str(tmp_path / "store"))
    if request.param == "minio":
        found: StorePlace = request.getfixturevalue("minio_bucket")
        return found
    bucket = request.getfixturevalue("bucket")
    return StorePlace(bucket.uri, bucket.server.url)


@pytest.fixture
def store(place: StorePlace) -> FileStore | S3Store:
    return place.open()
