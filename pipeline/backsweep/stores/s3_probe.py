"""Finds out, before any work, whether a server keeps what a store is built on: conditions, also under a race.

Some servers take a conditional write, answer 200 and overwrite; others check and then write, so that two
writers both win. On such a server two runs destroy each other's manifests without a word.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from backsweep.errors import BacksweepError, StoreError
from backsweep.stores.s3_bucket import IF_ABSENT, Bucket
from backsweep.stores.s3_errors import Outcome

__all__ = ["probe"]

WRITERS = 4
ADVICE = "two runs could overwrite each other there; give a server that keeps conditional writes, or a folder"


def probe(bucket: Bucket) -> None:
    """Write, overwrite, list, read and delete two small objects in ways that must succeed or must be refused.

    Raises
    ------
    StoreError : a condition is ignored or kept by one writer at a time only, or something is not allowed.
    """
    name = f"tmp/probe-{os.urandom(12).hex()}"
    keys = [f"{name}/one", f"{name}/raced"]
    try:
        _probe_conditions(bucket, keys[0])
        _probe_races(bucket, keys[1])
    except StoreError:
        with contextlib.suppress(BacksweepError):  # the first error says more
            _clear(bucket, keys)
        raise
    _clear(bucket, keys)


def _probe_conditions(bucket: Bucket, key: str) -> None:
    """Check each condition where it holds and where it does not."""
    if not bucket.put_absent(key, b"first"):
        raise _refusal(bucket, "a new object counts as one that is there")
    if bucket.put(key, b"second", IF_ABSENT) is Outcome.DONE:
        raise _refusal(bucket, "it ignores If-None-Match")
    first = bucket.get(key)
    if first is None or first[0] != b"first":
        raise _refusal(bucket, "it does not give back what was just written")
    if bucket.put(key, b"third", {"IfMatch": "0" * 32}) is Outcome.DONE:
        raise _refusal(bucket, "it ignores If-Match")
    if bucket.put(key, b"fourth", {"IfMatch": first[1]}) is not Outcome.DONE:
        raise _refusal(bucket, "it refuses If-Match with the tag it gave")
    if bucket.put(key, b"fifth", {"IfMatch": first[1]}) is Outcome.DONE:
        raise _refusal(bucket, "it accepts If-Match with a tag that is gone")
    last = bucket.get(key)
    if last is None or last[0] != b"fourth":
        raise _refusal(bucket, "it does not give back what was just written")
    if [each.key for each in bucket.list(key)] != [key]:
        raise _refusal(bucket, "it does not list what was just written")


def _probe_races(bucket: Bucket, key: str) -> None:
    """Let several writers create one object, then replace it, at the same moment."""
    if _winners(bucket, key, IF_ABSENT) > 1:
        raise _refusal(bucket, "several writers at once passed If-None-Match")
    found = bucket.get(key)
    if found is not None and _winners(bucket, key, {"IfMatch": found[1]}) > 1:
        raise _refusal(bucket, "several writers at once passed If-Match")


def _clear(bucket: Bucket, keys: list[str]) -> None:
    for key in keys:
        bucket.delete(key)


def _winners(bucket: Bucket, key: str, condition: Mapping[str, str]) -> int:
    texts = [f"{condition} {writer}".encode() for writer in range(WRITERS)]
    return list(bucket.side_by_side(lambda text: bucket.put(key, text, condition), texts)).count(Outcome.DONE)


def _refusal(bucket: Bucket, fault: str) -> StoreError:
    return StoreError(f"the store {bucket.address.uri} cannot be used: {bucket.server}: {fault}; {ADVICE}")
