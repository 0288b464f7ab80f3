"""The store on S3: its layout, conditions, large objects, garbage collection; and servers that cannot be used."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from backsweep.errors import CorruptObjectError, StoreError, TransientError
from backsweep.ports import ManifestKey
from backsweep.stores import s3, s3_collection, s3_multipart
from backsweep.stores.collection import collect
from backsweep.stores.file import FileStore
from backsweep.stores.opening import open_store
from backsweep.stores.s3 import S3Store
from backsweep.stores.s3_bucket import Bucket as RealBucket

if TYPE_CHECKING:
    from tests.contract.conftest import Bucket
    from tests.contract.s3_server import Answer, Environ, Forward

KEY = ManifestKey("local", "tournament", "ab" * 32)
ROOT = Path(__file__).resolve().parents[2]
LATER = 8 * 86_400.0


def test_the_layout_is_the_documented_one(bucket: Bucket) -> None:
    store = bucket.open()
    digest = store.put_object(b"x")
    store.put_unit("unit1", {"b": 1, "a": 2})
    store.commit_manifest(KEY, b"{}", None)
    assert bucket.listing() == [
        "some/prefix/backsweep-store.json",
        f"some/prefix/objects/sha256/{digest[:2]}/{digest}",
        f"some/prefix/sweeps/local/tournament/{'ab' * 32}/manifest.json",
        "some/prefix/units/unit1.json",
    ]
    unit = bucket.client.get_object(Bucket=bucket.name, Key="some/prefix/units/unit1.json")
    assert (unit["Body"].read(), unit["ContentType"]) == (b'{"a":2,"b":1}', "application/json")


def test_a_folder_copied_to_a_bucket_is_the_same_store(bucket: Bucket, tmp_path: Path) -> None:
    folder = FileStore(tmp_path / "store")
    digest = folder.put_array(np.arange(5.0))
    folder.put_unit("u", {"objects": {"returns": digest}})
    folder.commit_manifest(KEY, b"manifest", None)
    folder.put_entry("lineage", b"12345678")
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file():
            key = f"some/prefix/{path.relative_to(tmp_path / 'store')}"
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=path.read_bytes())
    store = bucket.open()
    np.testing.assert_array_equal(store.open_array(digest), np.arange(5.0))
    assert store.get_unit("u") == {"objects": {"returns": digest}}
    found = store.get_manifest(KEY)
    assert found is not None
    assert found.data == b"manifest"
    assert list(store.entries("lineage")) == [b"12345678"]


@pytest.mark.parametrize(
    ("uri", "same"),
    [("s3://bkt", "s3://bkt"), ("s3://bkt/", "s3://bkt"), ("s3://bkt/a/b//", "s3://bkt/a/b"), ("s3://b.t-1/a_b", "")],
)
def test_an_address_is_spelled_one_way(uri: str, same: str) -> None:
    assert S3Store(uri).uri == (same or uri)


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("s3://", "names no bucket"),
        ("s3://ab/prefix", "names no bucket: s3://bucket/prefix is expected, a bucket of 3 letters or more"),
        ("s3://user:secret@bucket/x", "names no bucket"),
        ("s3://bucket/a//b", "has a prefix that cannot be used"),
        ("s3://bucket/../b", "has a prefix that cannot be used"),
        ("s3://bucket/a?versionId=1", "has a prefix that cannot be used"),
        ("s3://bucket/" + "a" * 600, "has a prefix that cannot be used"),
        ("gs://bucket/prefix", "is of no kind there is: a path, file:///path or s3://bucket/prefix is expected"),
    ],
)
def test_an_address_that_is_none_is_refused(uri: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        open_store(uri)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            {"endpoint_url": "localhost:9000"},
            "the endpoint 'localhost:9000' is no address; https://host:port is expected",
        ),
        ({"endpoint_url": "http://host:port"}, "is no address"),
        ({"endpoint_url": "http://me:secret@host"}, "holds a user name or password; put credentials elsewhere"),
        ({"connections": 0}, "at least 1 connection"),
    ],
)
def test_an_endpoint_that_is_none_is_refused_and_a_password_not_repeated(
    parameters: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        open_store("s3://bucket", **parameters)
    assert "secret" not in str(caught.value)


def test_what_is_no_bucket_is_a_folder_and_a_folder_has_no_endpoint(tmp_path: Path) -> None:
    assert isinstance(open_store(tmp_path), FileStore)
    assert isinstance(open_store(tmp_path.as_uri()), FileStore)
    assert isinstance(open_store("s3://bucket/prefix"), S3Store)
    with pytest.raises(StoreError, match="is a folder, which has no endpoint and no region"):
        open_store(tmp_path, "http://127.0.0.1:9000")


def test_boto3_is_imported_by_who_uses_a_bucket_only(tmp_path: Path) -> None:
    script = (
        "import sys; from backsweep.stores.opening import open_store; open_store('s3://bucket', 'http://localhost');"
        "open_store(sys.argv[1]).put_object(b'x'); print([n for n in sys.modules if n.startswith('boto')])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'api'}{os.pathsep}{ROOT / 'pipeline'}"}
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_bytes_are_sent_with_the_sha256_that_a_server_can_check(bucket: Bucket) -> None:
    digest = bucket.open().put_object(b"some bytes")
    sent = next(each for each in bucket.server.requests if digest in each["PATH_INFO"])
    assert base64.b64decode(sent["HTTP_X_AMZ_CHECKSUM_SHA256"]).hex() == digest
    assert sent["HTTP_IF_NONE_MATCH"] == "*"


def test_a_new_object_or_unit_is_one_request_once_the_store_is_known(bucket: Bucket) -> None:
    store = bucket.open()
    store.probe()
    bucket.server.requests.clear()
    store.put_object(b"one")
    store.put_unit("u", {})
    assert len(bucket.server.requests) == 2


def test_units_are_listed_in_pages(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def small_pages(environ: Environ, forward: Forward) -> Answer | None:
        if "list-type=2" in environ["QUERY_STRING"]:
            environ["QUERY_STRING"] += "&max-keys=3"
        return forward(environ)

    store = bucket.open()
    for number in range(20):
        store.put_unit(f"{number % 2}{number:03}", {})
    monkeypatch.setattr(s3, "FEW_UNITS", 2)
    bucket.server.behaviour = small_pages
    bucket.server.requests.clear()
    asked = [f"{number % 2}{number:03}" for number in range(40)]
    assert store.present_units(asked) == set(asked[:20])
    assert len(bucket.server.requests) == 8  # two beginnings, 10 units each, 3 a page


# Damage


def test_bytes_damaged_on_the_way_are_read_again(bucket: Bucket) -> None:
    from tests.contract.s3_server import times

    def spoil(environ: Environ, forward: Forward) -> Answer | None:
        answer = forward(environ)
        answer.body = b"S" + answer.body[1:]
        return answer

    store = bucket.open()
    digest = store.put_object(b"some bytes")
    bucket.server.behaviour = times(1, spoil, lambda environ: digest in environ["PATH_INFO"])
    assert store.get_object(digest) == b"some bytes"
    bucket.server.behaviour = times(2, spoil, lambda environ: digest in environ["PATH_INFO"])
    with pytest.raises(CorruptObjectError, match=f"the 10 bytes of object {digest} in s3://.* do not hash to their"):
        store.get_object(digest)


def test_a_damaged_object_is_discarded_with_its_unit_and_one_cut_short_is_replaced(bucket: Bucket) -> None:
    store = bucket.open()
    spoilt, cut = store.put_object(b"some bytes"), store.put_object(b"other bytes")
    for digest, data in ((spoilt, b"SOME bytes"), (cut, b"other")):
        key = f"some/prefix/objects/sha256/{digest[:2]}/{digest}"
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
    store.put_unit("u", {"objects": {"weights": spoilt}})
    store.discard_unit("u")
    assert not store.has_object(spoilt)
    store.put_object(b"other bytes")
    assert store.get_object(cut) == b"other bytes"


def test_a_damaged_entry_of_the_ledger_is_an_error(bucket: Bucket) -> None:
    store = bucket.open()
    store.put_entry("lineage", b"12345678")
    (key,) = [key for key in bucket.listing() if "lineages" in key]
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"87654321")
    with pytest.raises(CorruptObjectError, match="do not hash to their name"):
        list(store.entries("lineage"))


def test_a_store_of_another_format_is_refused_for_reading_and_writing(bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="some/prefix/backsweep-store.json", Body=b'{"format": 2}')
    for act in (lambda: bucket.open().put_object(b""), lambda: bucket.open().get_unit("u")):
        with pytest.raises(StoreError, match=r"has format 2 in backsweep-store\.json; this version reads and writes 1"):
            act()


# Large objects


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    size = 5 << 20  # S3's smallest
    for module in (s3, s3_multipart):
        monkeypatch.setattr(module, "PART_BYTES", size)
    return size


def test_a_large_array_is_put_in_parts_and_comes_back(bucket: Bucket, small_parts: int) -> None:
    store = bucket.open()
    array = np.random.default_rng(1).normal(size=(2 * small_parts // 8 + 1000,))
    digest = store.put_array(array)
    np.testing.assert_array_equal(store.open_array(digest), array)
    parts = [each for each in bucket.server.requests if "partNumber" in each["QUERY_STRING"]]
    assert [each["CONTENT_LENGTH"] for each in parts].count(str(small_parts)) == 2
    assert len(parts) == 3
    for each in parts:
        data = each["wsgi.input"].getvalue()
        assert base64.b64decode(each["HTTP_CONTENT_MD5"]) == hashlib.md5(data, usedforsecurity=False).digest()
    assert [each.get("HTTP_IF_NONE_MATCH") for each in bucket.server.requests if "uploadId" in each["QUERY_STRING"]][
        -1
    ] == "*"
    bucket.server.requests.clear()
    assert store.put_array(array) == digest
    assert {each["REQUEST_METHOD"] for each in bucket.server.requests} == {"HEAD"}


def test_parts_of_whom_another_writer_overtakes_are_thrown_away(bucket: Bucket, small_parts: int) -> None:
    store, data = bucket.open(), bytes(small_parts + 1)
    digest = hashlib.sha256(data).hexdigest()
    key = f"some/prefix/objects/sha256/{digest[:2]}/{digest}"

    def overtake(environ: Environ, forward: Forward) -> Answer | None:
        if environ["REQUEST_METHOD"] == "POST" and "uploadId" in environ["QUERY_STRING"]:
            bucket.server.behaviour = lambda environ, forward: forward(environ)
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
        return forward(environ)

    bucket.server.behaviour = overtake
    assert store.put_object(data) == digest
    assert store.get_object(digest) == data
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)


def test_an_object_that_could_not_be_renewed_later_is_refused(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "LARGEST_BYTES", 10)
    with pytest.raises(StoreError, match=r"an object of 11 bytes is too large for s3://.*; up to 10 are possible"):
        bucket.open().put_object(bytes(11))


# Garbage collection


def test_uploads_that_a_killed_process_left_are_collected(bucket: Bucket) -> None:
    store = bucket.open()
    store.put_object(b"x")
    place = {"Bucket": bucket.name, "Key": "some/prefix/objects/sha256/ab/" + "ab" * 32}
    upload = bucket.client.create_multipart_upload(**place)["UploadId"]
    bucket.client.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"abc")
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="another/store")
    done = collect(store, time.time())
    assert (done.drafts, done.draft_bytes) == (1, 3)
    left = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [each["Key"] for each in left] == ["another/store"]


def test_an_old_object_that_is_put_again_counts_as_new(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bucket.open()
    digest = store.put_object(b"of nothing")
    listed = next(store.stored_objects())
    monkeypatch.setattr(s3, "REFRESH_SECONDS", -1.0)  # all objects are old
    time.sleep(1.1)  # times have whole seconds
    store.put_object(b"of nothing")
    assert next(store.stored_objects()).modified_seconds > listed.modified_seconds
    assert not store.delete(listed)
    assert store.get_object(digest) == b"of nothing"
    assert list(store.drafts()) == []


def test_a_writer_waits_for_a_collection_that_is_deleting_its_object_and_writes_it_anew(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket.open()
    digest = store.put_object(b"of nothing")
    listed = next(store.stored_objects())
    monkeypatch.setattr(s3, "REFRESH_SECONDS", -1.0)
    waits: list[int] = []

    def collection_goes_on(self: RealBucket, attempt: int) -> float:
        """While the writer waits, the collection does what it had decided before the writer came."""
        if not waits:
            mark = next(self.list("tmp/deleting"))
            self.delete(listed.key)
            self.delete(mark.key)
        waits.append(attempt)
        return 0.0

    other = bucket.open()._bucket
    other.put(f"tmp/deleting/{digest}/1", b"", {})
    monkeypatch.setattr(RealBucket, "pause_seconds", collection_goes_on)
    store.put_object(b"of nothing")
    assert waits == [0]
    assert store.get_object(digest) == b"of nothing"


def test_a_writer_does_not_wait_for_ever_and_not_for_a_collection_that_was_killed(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bucket.open()
    digest = store.put_object(b"of nothing")
    store._bucket.put(f"tmp/deleting/{digest}/1", b"", {})
    monkeypatch.setattr(s3, "REFRESH_SECONDS", -1.0)
    monkeypatch.setattr(s3_collection, "WAIT_SECONDS", 0.2)
    with pytest.raises(TransientError, match=f"is deleting objects/.*{digest}; run the same command again"):
        store.put_object(b"of nothing")
    monkeypatch.setattr(s3_collection, "MARK_SECONDS", -1.0)
    assert store.put_object(b"of nothing") == digest
    assert collect(store, time.time() + LATER).drafts == 1


def test_a_collection_that_was_asleep_deletes_nothing(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bucket.open()
    store.put_object(b"of nothing")
    monkeypatch.setattr(s3_collection, "DELETE_WITHIN_SECONDS", -1.0)
    assert collect(store, time.time() + LATER).objects == 0
    assert len(list(store.stored_objects())) == 1
    assert list(store.drafts()) == []
