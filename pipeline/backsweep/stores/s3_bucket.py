"""Requests to one bucket, below one prefix: patient with a server that is away, clear about what it says.

Two layers retry, both with jitter: botocore a few times within seconds, and `Bucket` for minutes once the
server has answered, so that a restart of it costs no sweep. Before its first answer a server that is
not there is an error at once: its address may be wrong.

A request whose answer was lost is sent again. That is harmless for puts under a digest and for
conditional ones, whose second sending is refused; who must know which of them was its own marks it
(see `S3Store.commit_manifest`).
"""

from __future__ import annotations

import base64
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, TypeVar

from backsweep.errors import StoreError, TransientError
from backsweep.stores.layout import FORMAT_NAME
from backsweep.stores.s3_address import S3Access, S3Address
from backsweep.stores.s3_client import failures, make_client, make_session, server_of
from backsweep.stores.s3_errors import Outcome, Place, explain, outcome_of

__all__ = ["IF_ABSENT", "Bucket", "Found", "Listed", "tag_of"]

IF_ABSENT: Mapping[str, str] = {"IfNoneMatch": "*"}
CONTENT_TYPES = {"html": "text/html; charset=utf-8", "json": "application/json", "png": "image/png"}
LONGEST_PAUSE_SECONDS = 5.0
CONTESTED_ATTEMPTS = 20
AHEAD = 8  # results a connection that may wait for who asked: enough to read on while a chunk is computed with

Given = TypeVar("Given")
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Found:
    """What HEAD tells of an object: its age by the server's clock, and who wrote it, if that was noted."""

    size_bytes: int
    modified_seconds: float
    age_seconds: float
    writer: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells of it; its key is without the store's prefix."""

    key: str
    size_bytes: int
    modified_seconds: float

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


class Bucket:
    """The part of a bucket below a prefix; making one touches nothing. Safe with threads and after a fork.

    Parameters
    ----------
    address : which bucket and prefix; keys given to the methods are below it.
    access : how to reach it.
    """

    def __init__(self, address: S3Address, access: S3Access) -> None:
        self.address = address
        self.access = access
        self._sessions: dict[int, Any] = {}
        self._clients: dict[tuple[int, bool], Any] = {}
        self._making = threading.Lock()
        self._reached = access.patient
        self._chance = random.Random()  # its own: a user's strategy may have seeded the shared one

    # One object

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and tag, or None."""

        def read(client: Any) -> tuple[bytes, str]:
            answer = client.get_object(**self.at(key))
            return answer["Body"].read(), tag_of(answer)

        found = self.send("GetObject", read)
        return None if isinstance(found, Outcome) else found

    def head(self, key: str) -> Found | None:
        """Return what there is to know of an object without reading it, or None."""

        def look(client: Any) -> Any:
            try:
                return client.head_object(**self.at(key))
            except failures() as error:
                self._hear(client, error)
                raise

        answer = self.send("GetObject", look)
        if isinstance(answer, Outcome):
            return None
        modified = answer["LastModified"].timestamp()
        stated = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(stated).timestamp() if stated else time.time()
        return Found(answer["ContentLength"], modified, now - modified, answer["Metadata"].get("writer"))

    def put(
        self, key: str, data: bytes, condition: Mapping[str, str], *, sha256: bytes | None = None, writer: str = ""
    ) -> Outcome:
        """Write an object if `condition` holds; the server checks the bytes against `sha256`, if it knows how."""
        parameters: dict[str, Any] = {**self.at(key), **condition, "Body": data}
        if sha256 is not None:
            parameters["ChecksumSHA256"] = base64.b64encode(sha256).decode()
        if writer:
            parameters["Metadata"] = {"writer": writer}
        kind = CONTENT_TYPES.get(key.rpartition(".")[2])
        if kind is not None:
            parameters["ContentType"] = kind
        answer = self.send("PutObject", lambda client: client.put_object(**parameters))
        return answer if isinstance(answer, Outcome) else Outcome.DONE

    def put_absent(self, key: str, data: bytes, *, sha256: bytes | None = None) -> bool:
        """Write an object unless one is there; return whether it was written. One of several writers wins."""
        for attempt in range(CONTESTED_ATTEMPTS):
            outcome = self.put(key, data, IF_ABSENT, sha256=sha256)
            if outcome in (Outcome.DONE, Outcome.REFUSED):
                return outcome is Outcome.DONE
            if outcome is Outcome.MISSING and attempt >= 2:
                raise StoreError(
                    f"the store {self.address.uri} cannot be used: {self.server} answers a write with 'not found'; "
                    "it is no S3 server, or the address is wrong"
                )
            time.sleep(self.pause_seconds(attempt))
        raise TransientError(f"the store {self.address.uri} failed: other writers kept {key} busy")

    def touch(self, key: str) -> bool:
        """Renew an object's time by copying it onto itself; return whether it was there."""
        answer = self.send(
            "CopyObject",
            lambda client: client.copy_object(**self.at(key), CopySource=self.at(key), MetadataDirective="REPLACE"),
        )
        return not isinstance(answer, Outcome)

    def delete(self, key: str) -> None:
        """Delete an object, unconditionally: some servers ignore conditions of deletes and delete."""
        self.send("DeleteObject", lambda client: client.delete_object(**self.at(key)))

    # Many

    def list(self, prefix: str) -> Iterator[Listed]:
        """Yield the objects whose keys start with `prefix`, in the order of their keys, a page at a time."""
        cut = len(self.address.prefix)
        parameters: dict[str, Any] = {"Bucket": self.address.bucket, "Prefix": f"{self.address.prefix}{prefix}"}
        while True:
            page = self.send("ListBucket", lambda client: client.list_objects_v2(**parameters))
            if isinstance(page, Outcome):
                return
            for each in page.get("Contents", []):
                yield Listed(each["Key"][cut:], each["Size"], each["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            parameters["ContinuationToken"] = page["NextContinuationToken"]

    def side_by_side(self, work: Callable[[Given], Read], items: Iterable[Given]) -> Iterator[Read]:
        """Yield the work's results in the order of its items, as many at once as there are connections."""
        with ThreadPoolExecutor(self.access.connections) as pool:
            remaining = iter(items)
            ahead = AHEAD * self.access.connections
            waiting = deque(pool.submit(work, item) for item in islice(remaining, ahead))
            try:
                while waiting:
                    found = waiting.popleft().result()
                    waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
                    yield found
            finally:
                for each in waiting:
                    each.cancel()

    # The requests themselves

    @property
    def server(self) -> str:
        """The server's address, as it may be shown."""
        client = next(iter(self._clients.values()), None)
        return server_of(client) if client else self.access.endpoint_url or "AWS"

    def send(self, operation: str, request: Callable[[Any], Any]) -> Any:
        """Return what `request` returns, given a client, or the `Outcome` that the server's answer stands for.

        Raises
        ------
        StoreError : somebody must change something.
        TransientError : the server did not come back within the patience given.
        """
        deadline: float | None = None
        attempt = -1
        while True:
            attempt += 1
            try:
                answer = request(self._client())
            except failures() as error:
                outcome = outcome_of(error)
                if outcome is not None:
                    self._reached = True
                    return outcome
                place = Place(self.address.uri, self.address.bucket, self.server)
                explained = explain(error, place, operation, reached=self._reached)
                if not (self._reached and isinstance(explained, TransientError)):
                    raise explained from error
                now = time.monotonic()
                deadline = deadline or now + self.access.patience_seconds
                pause = self.pause_seconds(attempt)
                if now + pause > deadline:
                    raise explained from error
                time.sleep(pause)
            else:
                self._reached = True
                return answer

    def pause_seconds(self, attempt: int) -> float:
        """Return how long to wait before the next attempt: twice as long each time, up to a limit, and random."""
        return self._chance.uniform(0.5, 1.0) * min(LONGEST_PAUSE_SECONDS, 0.1 * 2.0 ** min(attempt, 10))

    def at(self, key: str) -> dict[str, str]:
        """Return the parameters that name an object."""
        return {"Bucket": self.address.bucket, "Key": f"{self.address.prefix}{key}"}

    def _client(self) -> Any:
        """Return this process's client: a hasty one before the first answer, then a calm one."""
        process, hasty = kind = (os.getpid(), not self._reached)
        if kind not in self._clients:
            with self._making:
                if process not in self._sessions:
                    self._sessions[process] = make_session()
                if kind not in self._clients:
                    self._clients[kind] = make_client(self._sessions[process], self.access, hasty=hasty)
        return self._clients[kind]

    def _hear(self, client: Any, error: Exception) -> None:
        """Ask by GET for the reason that an answer to HEAD has no room for, and raise it if there is one."""
        if getattr(error, "response", {}).get("Error", {}).get("Code") in ("400", "403"):
            try:
                client.get_object(**self.at(FORMAT_NAME))["Body"].close()
            except failures() as reason:
                if outcome_of(reason) is None:
                    raise reason from error


def tag_of(answer: Mapping[str, Any]) -> str:
    """Return an answer's ETag without quotes, which some servers do not take back."""
    return str(answer.get("ETag", "")).strip('"')
