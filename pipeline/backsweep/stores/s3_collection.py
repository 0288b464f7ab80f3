"""Deletes from a bucket what nobody uses, never from under a writer, without the conditional deletes some ignore.

A folder moves a file aside and looks again; a bucket cannot. So collection and writer tell each other:

    collection: mark the object, look whether it was renewed, delete it if not, take the mark away
    writer that finds an old object: renew it, wait until it has no mark, look whether it is there

If the writer sees no mark, then either the mark comes later, and with it a look that sees the renewal,
or the deletion is over, and the writer sees that the object is gone. Marks of a collection that was
killed stop counting after a while, and a collection that was asleep for so long deletes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backsweep.errors import TransientError
from backsweep.stores.s3_bucket import IF_ABSENT, Bucket, Listed
from backsweep.stores.s3_errors import Outcome

__all__ = ["StoredKey", "abandoned", "delete", "renew"]

MARKS = "tmp/deleting"
MARK_SECONDS = 900.0  # longer than the patience with a server that is away, several times over
DELETE_WITHIN_SECONDS = 60.0
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is `collection.Stored` in a bucket: an object, or an upload that never became one."""

    key: str
    size_bytes: int
    modified_seconds: float
    upload_id: str | None = None

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


def renew(bucket: Bucket, key: str) -> bool:
    """Make an old object new, so that no collection takes it; return False where one was faster.

    Raises
    ------
    TransientError : a collection holds its mark on the object.
    """
    if not bucket.touch(key):
        return False
    waited = time.monotonic() + WAIT_SECONDS
    for attempt in range(1_000):
        if not any(_counts(bucket, mark) for mark in bucket.list(_marks(key))):
            return bucket.head(key) is not None
        if time.monotonic() > waited:
            break
        time.sleep(bucket.pause_seconds(attempt))
    raise TransientError(
        f"the store {bucket.address.uri} is deleting {key}; run the same command again in a few minutes",
        retry_after_seconds=WAIT_SECONDS,
    )


def delete(bucket: Bucket, stored: StoredKey) -> bool:
    """Delete an object or an abandoned upload unless it was renewed since it was listed; return whether it was."""
    if stored.upload_id is not None:
        place = {**bucket.at(stored.key), "UploadId": stored.upload_id}
        answer = bucket.send("AbortMultipartUpload", lambda client: client.abort_multipart_upload(**place))
        return not isinstance(answer, Outcome)
    mark = f"{_marks(stored.key)}{os.urandom(12).hex()}"
    bucket.put(mark, b"", IF_ABSENT)
    marked = time.monotonic()
    found = bucket.head(stored.key)
    unused = found is not None and found.modified_seconds <= stored.modified_seconds
    if unused and time.monotonic() - marked < DELETE_WITHIN_SECONDS:
        bucket.delete(stored.key)
    else:
        unused = False
    bucket.delete(mark)
    return unused


def abandoned(bucket: Bucket) -> Iterator[StoredKey]:
    """Yield what killed processes left: marks, probes, and uploads in parts that were never put together."""
    for listed in bucket.list("tmp/"):
        yield StoredKey(listed.key, listed.size_bytes, listed.modified_seconds)
    parameters: dict[str, Any] = {"Bucket": bucket.address.bucket, "Prefix": f"{bucket.address.prefix}objects/"}
    cut = len(bucket.address.prefix)
    while True:
        page = bucket.send("ListBucket", lambda client: client.list_multipart_uploads(**parameters))
        for each in () if isinstance(page, Outcome) else page.get("Uploads", []):
            key, begun = each["Key"][cut:], each["Initiated"].timestamp()
            yield StoredKey(key, _part_bytes(bucket, key, each["UploadId"]), begun, each["UploadId"])
        if isinstance(page, Outcome) or not page.get("IsTruncated"):
            return
        parameters.update(KeyMarker=page["NextKeyMarker"], UploadIdMarker=page["NextUploadIdMarker"])


def _part_bytes(bucket: Bucket, key: str, upload_id: str) -> int:
    """Return how much an unfinished upload holds; of more than a thousand parts, the first thousand."""
    answer = bucket.send("ListBucket", lambda client: client.list_parts(**bucket.at(key), UploadId=upload_id))
    return 0 if isinstance(answer, Outcome) else sum(part["Size"] for part in answer.get("Parts", []))


def _marks(key: str) -> str:
    return f"{MARKS}/{key.rpartition('/')[2]}/"


def _counts(bucket: Bucket, mark: Listed) -> bool:
    """Whether a mark is younger than `MARK_SECONDS`, by the server's clock."""
    found = bucket.head(mark.key)
    return found is not None and found.age_seconds < MARK_SECONDS
