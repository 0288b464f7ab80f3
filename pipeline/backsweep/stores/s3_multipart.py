"""Uploads a large object in parts, several at once, put together in one step that may carry a condition.

Until that step nobody sees the object; an upload whose process was killed leaves parts that only garbage
collection sees. Each part carries its MD5, which every S3 server compares.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from backsweep.stores.s3_bucket import Bucket
from backsweep.stores.s3_errors import Outcome

__all__ = ["PART_BYTES", "Parts", "upload"]

PART_BYTES = 16 << 20

Parts = Sequence[bytes | memoryview]


def upload(bucket: Bucket, key: str, parts: Parts, condition: Mapping[str, str]) -> Outcome:
    """Write the bytes of `parts`, one after the other, as one object if `condition` holds at the end.

    An answer other than DONE can also mean that the answer to an earlier, successful sending was lost.
    """
    views = [memoryview(part).cast("B") for part in parts]
    size = sum(len(view) for view in views)
    starts = range(0, size, PART_BYTES)
    begun = bucket.send("PutObject", lambda client: client.create_multipart_upload(**bucket.at(key)))
    if isinstance(begun, Outcome):
        return begun
    place = {**bucket.at(key), "UploadId": begun["UploadId"]}
    sent = list(bucket.side_by_side(lambda start: _send_part(bucket, place, views, start), starts))
    if any(isinstance(each, Outcome) for each in sent):
        return Outcome.MISSING  # somebody aborted the upload
    answer = bucket.send(
        "PutObject",
        lambda client: client.complete_multipart_upload(**place, **condition, MultipartUpload={"Parts": sent}),
    )
    if not isinstance(answer, Outcome):
        return Outcome.DONE
    bucket.send("AbortMultipartUpload", lambda client: client.abort_multipart_upload(**place))
    return answer


def _send_part(bucket: Bucket, place: Mapping[str, str], views: Sequence[memoryview], start: int) -> Any:
    """Upload the part that begins at byte `start`; return how the last step names it."""
    number, data = start // PART_BYTES + 1, _cut(views, start, start + PART_BYTES)
    check = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    answer = bucket.send(
        "PutObject", lambda client: client.upload_part(**place, PartNumber=number, Body=data, ContentMD5=check)
    )
    return answer if isinstance(answer, Outcome) else {"PartNumber": number, "ETag": answer["ETag"]}


def _cut(views: Sequence[memoryview], start: int, stop: int) -> bytes:
    """Return bytes `start` to `stop` of the views laid end to end, copying no others."""
    pieces, offset = [], 0
    for view in views:
        pieces.append(view[max(0, start - offset) : max(0, stop - offset)])
        offset += len(view)
    return b"".join(pieces)
