"""Servers on S3 that go away, lose answers, are busy, or do not keep conditions: no run loses or doubles anything."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backsweep.errors import ManifestConflictError, StoreError, TransientError
from backsweep.ports import ManifestKey
from backsweep.stores import s3_bucket
from backsweep.stores.npy import write_npy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from tests.contract.conftest import Bucket
    from tests.contract.s3_server import Answer, Behaviour, Environ, Forward

    from backsweep.stores.s3 import S3Store

KEY = ManifestKey("local", "tournament", "ab" * 32)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_bucket, "LONGEST_PAUSE_SECONDS", 0.2)


# Away


@pytest.fixture
def own_bucket(aws_environment: None) -> Iterator[Bucket]:
    """A bucket on a server that may be stopped: the other tests keep theirs."""
    from tests.contract.conftest import Bucket
    from tests.contract.s3_server import S3Server

    server = S3Server()
    server.start()
    server.client.create_bucket(Bucket="own-bucket")
    yield Bucket(server, server.client, "own-bucket")
    server.stop()


def write_many(store: S3Store, written: list[str]) -> None:
    for number in range(60):
        digest = store.put_object(f"object {number}".encode())
        store.put_unit(f"unit{number}", {"objects": {"data": digest}})
        found = store.get_manifest(KEY)
        count = json.loads(found.data)["count"] if found else 0
        store.commit_manifest(KEY, json.dumps({"count": count + 1}).encode(), found.tag if found else None)
        written.append(digest)


def test_a_server_that_is_away_amid_writing_costs_nothing(own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[int] = []
    pause_seconds = s3_bucket.Bucket.pause_seconds

    def count(self: s3_bucket.Bucket, attempt: int) -> float:
        pauses.append(attempt)
        return pause_seconds(self, attempt)

    monkeypatch.setattr(s3_bucket.Bucket, "pause_seconds", count)
    store = own_bucket.open()
    written: list[str] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            write_many(store, written)
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=work)
    writer.start()
    while len(written) < 5:
        time.sleep(0.01)
    own_bucket.server.stop()
    while not failed and max(pauses, default=0) < 2:  # a request has met nobody for the third time
        time.sleep(0.01)
    before = len(written)
    own_bucket.server.start()
    writer.join(60)
    assert failed == []
    assert before < 60
    assert written == [hashlib.sha256(f"object {number}".encode()).hexdigest() for number in range(60)]
    assert store.present_units([f"unit{number}" for number in range(60)]) == {f"unit{number}" for number in range(60)}
    found = store.get_manifest(KEY)
    assert found is not None
    assert json.loads(found.data) == {"count": 60}


def test_patience_ends_and_the_store_is_as_good_as_before(own_bucket: Bucket) -> None:
    store = own_bucket.open(patience_seconds=0.5)
    store.put_unit("u", {})
    own_bucket.server.stop()
    try:
        with pytest.raises(
            TransientError, match=r"^the store s3://own-bucket/.* failed: http://127.*refused\)$"
        ) as caught:
            store.put_unit("v", {})
        assert caught.value.retry_after_seconds > 0
    finally:
        own_bucket.server.start()
    store.put_unit("v", {})
    assert store.present_units(["u", "v"]) == {"u", "v"}


def test_a_worker_is_patient_from_the_start_because_its_driver_has_had_an_answer(own_bucket: Bucket) -> None:
    own_bucket.server.stop()
    started = time.monotonic()
    with pytest.raises(StoreError, match="correct the address, or start the server"):
        own_bucket.open().put_unit("u", {})
    assert time.monotonic() - started < 60
    back = threading.Timer(2.0, own_bucket.server.start)
    back.start()
    own_bucket.open(patient=True).put_unit("u", {})
    back.join()
    assert own_bucket.open().get_unit("u") == {}


# Units side by side


def arrays_of(count: int) -> list[NDArray[np.float64]]:
    return [np.full(4, float(number)) for number in range(count)]


def test_a_record_is_never_sent_before_its_objects_are_stored(bucket: Bucket) -> None:
    events: list[str] = []
    watching = threading.Lock()
    two_objects = threading.Barrier(2)
    side_by_side = threading.Event()

    def watch(environ: Environ, forward: Forward) -> Answer | None:
        path = environ["PATH_INFO"].rpartition("/")[2]
        if environ["REQUEST_METHOD"] != "PUT":
            return forward(environ)
        if "units" in environ["PATH_INFO"]:
            with watching:
                events.append(path.removesuffix(".json"))
            return forward(environ)
        # An object waits until another is under way, too: however busy the machine, it comes if they go side by side.
        if not side_by_side.is_set():
            with contextlib.suppress(threading.BrokenBarrierError):
                two_objects.wait(10.0)
                side_by_side.set()
                two_objects.abort()
        answer = forward(environ)
        with watching:
            events.append(path)
        return answer

    store = bucket.open()
    store.probe()
    bucket.server.behaviour = watch
    told = {}
    with store.unit_writer() as writer:
        for number, array in enumerate(arrays_of(40)):
            told[f"u{number}"], _ = writer.put(f"u{number}", {}, {"returns": array})
    for unit_id, record in told.items():
        assert events.index(record["objects"]["returns"]) < events.index(unit_id)
    assert side_by_side.is_set()


def test_an_object_that_cannot_be_stored_keeps_its_record_out_and_ends_the_block(bucket: Bucket) -> None:
    from tests.contract.s3_server import proper, refusal

    digests = [hashlib.sha256(b"".join(write_npy(array))).hexdigest() for array in arrays_of(60)]

    def refuse_one(environ: Environ, forward: Forward) -> Answer | None:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith(digests[7]):
            return refusal("403 Forbidden", "AccessDenied")(environ, forward)
        return forward(environ)

    def store_all() -> None:
        with store.unit_writer() as writer:
            for number, array in enumerate(arrays_of(60)):
                writer.put(f"u{number}", {}, {"returns": array})

    store = bucket.open()
    store.probe()
    bucket.server.behaviour = refuse_one
    with pytest.raises(StoreError, match=r"does not allow PutObject \(AccessDenied\)"):
        store_all()
    bucket.server.behaviour = proper
    stored = [int(unit_id[1:]) for unit_id, _, _ in store.get_units(f"u{number}" for number in range(60))]
    assert 7 not in stored
    assert len(stored) < 60  # what had not been sent is not sent any more
    assert all(store.has_object(digests[number]) for number in stored)
    store_all()
    assert len(store.present_units(f"u{number}" for number in range(60))) == 60


# Busy


def test_a_server_that_is_busy_is_asked_again(bucket: Bucket) -> None:
    from tests.contract.s3_server import is_put, refusal, times

    store = bucket.open()
    store.probe()
    # Of the first, more than boto3 itself bears.
    busy = [(5, "503 Slow Down", "SlowDown"), (1, "500 Error", "InternalError"), (1, "429 Many", "TooMany")]
    for count, status, code in busy:
        bucket.server.behaviour = times(count, refusal(status, code), is_put)
        store.put_unit(f"unit-{code}", {})
    assert len(store.present_units(["unit-SlowDown", "unit-InternalError", "unit-TooMany"])) == 3


def test_a_write_that_another_contests_is_tried_again_and_one_writer_wins(bucket: Bucket) -> None:
    from tests.contract.s3_server import is_put, refusal, times

    store = bucket.open()
    store.probe()
    contested = refusal("409 Conflict", "ConditionalRequestConflict")
    bucket.server.behaviour = times(3, contested, is_put)
    store.put_unit("u", {"mine": True})
    assert store.get_unit("u") == {"mine": True}
    bucket.server.behaviour = times(3, contested, is_put)
    digest = store.put_object(b"x")
    assert store.get_object(digest) == b"x"
    bucket.server.behaviour = times(1, contested, is_put)
    with pytest.raises(ManifestConflictError):
        store.commit_manifest(KEY, b"one", None)
    store.commit_manifest(KEY, b"one", None)


def test_an_answer_that_breaks_off_is_asked_for_again(bucket: Bucket) -> None:
    from tests.contract.s3_server import times

    def break_off(environ: Environ, forward: Forward) -> Answer | None:
        answer = forward(environ)
        answer.body = answer.body[:10]  # of the length that the headers promise
        return answer

    store = bucket.open()
    digest = store.put_object(bytes(100_000))
    bucket.server.behaviour = times(2, break_off, lambda environ: digest in environ["PATH_INFO"])
    assert store.get_object(digest) == bytes(100_000)


# Lost answers


def test_a_commit_whose_answer_was_lost_is_known_as_ones_own(bucket: Bucket) -> None:
    from tests.contract.s3_server import is_put, losing_the_answer, times

    store = bucket.open()
    store.probe()
    bucket.server.behaviour = times(1, losing_the_answer, is_put)
    store.commit_manifest(KEY, b"one", None)
    first = store.get_manifest(KEY)
    assert first is not None
    bucket.server.behaviour = times(1, losing_the_answer, is_put)
    store.commit_manifest(KEY, b"two", first.tag)
    second = store.get_manifest(KEY)
    assert second is not None
    assert second.data == b"two"


def test_the_same_bytes_committed_by_another_run_are_not_taken_for_ones_own(bucket: Bucket) -> None:
    bucket.open().commit_manifest(KEY, b"same", None)
    with pytest.raises(ManifestConflictError, match="committed by another run in between"):
        bucket.open().commit_manifest(KEY, b"same", None)


def test_units_and_objects_whose_answers_were_lost_are_there_once(bucket: Bucket) -> None:
    from tests.contract.s3_server import is_put, losing_the_answer, times

    store = bucket.open()
    store.probe()
    bucket.server.behaviour = times(2, losing_the_answer, is_put)
    digest = store.put_object(b"x")
    bucket.server.behaviour = times(2, losing_the_answer, is_put)
    store.put_unit("u", {"objects": {"x": digest}})
    assert store.get_object(digest) == b"x"
    assert store.get_unit("u") == {"objects": {"x": digest}}


# Conditions that are not kept


def ignoring(*headers: str) -> Behaviour:
    """A server that takes these headers and does not know what they mean, as some do."""

    def behave(environ: Environ, forward: Forward) -> Answer | None:
        if environ["REQUEST_METHOD"] in ("PUT", "POST"):
            for header in headers:
                environ.pop(header, None)
        return forward(environ)

    return behave


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        (("HTTP_IF_NONE_MATCH",), "it ignores If-None-Match"),
        (("HTTP_IF_MATCH",), "it ignores If-Match"),
        (("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"), "it ignores If-None-Match"),
    ],
)
def test_a_server_that_ignores_a_condition_is_refused(bucket: Bucket, headers: tuple[str, ...], fault: str) -> None:
    bucket.server.behaviour = ignoring(*headers)
    with pytest.raises(StoreError, match=f"^the store s3://{bucket.name}/.*: {fault}; two runs could overwrite each"):
        bucket.open().probe()
    assert [key for key in bucket.listing() if "tmp" in key] == []


@pytest.mark.parametrize("header", ["HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"])
def test_a_server_that_looks_first_and_writes_later_is_refused(bucket: Bucket, header: str) -> None:
    together = threading.Barrier(4)

    def look_then_write(environ: Environ, forward: Forward) -> Answer | None:
        if environ["REQUEST_METHOD"] != "PUT" or header not in environ or "raced" not in environ["PATH_INFO"]:
            return forward(environ)
        together.wait(10)  # all have looked
        environ.pop(header)
        return forward(environ)

    bucket.server.behaviour = look_then_write
    name = {"HTTP_IF_NONE_MATCH": "If-None-Match", "HTTP_IF_MATCH": "If-Match"}[header]
    with pytest.raises(StoreError, match=f"several writers at once passed {name}; two runs could overwrite"):
        bucket.open().probe()


def test_a_server_that_does_not_give_back_what_was_written_is_refused(bucket: Bucket) -> None:
    def forget(environ: Environ, forward: Forward) -> Answer | None:
        if environ["REQUEST_METHOD"] == "GET" and "list-type" in environ["QUERY_STRING"]:
            environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("prefix=", "prefix=nothing")
        return forward(environ)

    bucket.server.behaviour = forget
    with pytest.raises(StoreError, match="it does not list what was just written"):
        bucket.open().probe()
