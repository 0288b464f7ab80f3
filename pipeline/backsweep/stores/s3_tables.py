"""One object of any bucket, read whole: a table that is not part of a store."""

from __future__ import annotations

from backsweep.errors import DataError
from backsweep.stores.s3_address import BUCKET, S3Access, S3Address
from backsweep.stores.s3_bucket import Bucket

__all__ = ["read_s3_object"]

CONNECTIONS = 1
PATIENCE_SECONDS = 120.0


def read_s3_object(uri: str, endpoint_url: str | None = None, region: str | None = None) -> bytes:
    """Return the bytes of s3://bucket/key; credentials come from where boto3 finds them.

    Raises
    ------
    DataError : the address names no object, or none is there.
    StoreError, TransientError : the bucket cannot be read.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not BUCKET.fullmatch(bucket) or not key or key.endswith("/"):
        raise DataError(f"{uri}: it names no object; write s3://bucket/folder/file.parquet")
    folder, slash, name = key.rpartition("/")
    access = S3Access(endpoint_url, region, CONNECTIONS, PATIENCE_SECONDS, patient=False)
    found = Bucket(S3Address(bucket, f"{folder}{slash}"), access).get(name)
    if found is None:
        raise DataError(f"{uri}: there is no such object in the bucket {bucket}")
    return found[0]
