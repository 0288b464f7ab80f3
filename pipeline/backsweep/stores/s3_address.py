"""Which bucket and prefix an s3:// address means, and how its server is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from backsweep.errors import StoreError

__all__ = ["S3Access", "S3Address", "read_address"]

BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
PART = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9!_.*'()=-]+/")
LONGEST_PREFIX = 512  # of the 1,024 bytes of a key, so that every name of the layout fits behind it


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket, and the prefix of all keys in it: empty, or ending in a slash."""

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The address, spelled one way."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class S3Access:
    """How the server is reached.

    Parameters
    ----------
    endpoint_url : None for AWS, or what AWS_ENDPOINT_URL says.
    region : None for what the environment says.
    connections : how many requests may be under way at once.
    patience_seconds : how long a server that has answered before may be away.
    patient : whether that holds before its first answer too, as for workers, whose driver has had one.
    """

    endpoint_url: str | None
    region: str | None
    connections: int
    patience_seconds: float
    patient: bool

    def __post_init__(self) -> None:
        """Refuse an endpoint that is none, or that holds a password, which would end up in logs."""
        if self.connections < 1:
            raise StoreError(f"a store needs at least 1 connection; {self.connections} are given")
        if self.endpoint_url is None:
            return
        try:
            parts = urlsplit(self.endpoint_url)
            holds_password, whole = "@" in parts.netloc, parts.scheme in ("http", "https") and bool(parts.hostname)
            whole = whole and not parts.query and not parts.fragment and (parts.port is None or parts.port > 0)
        except ValueError:
            holds_password, whole = "@" in self.endpoint_url, False
        if holds_password:
            raise StoreError("the endpoint of the store holds a user name or password; put credentials elsewhere")
        if not whole:
            raise StoreError(f"the endpoint {self.endpoint_url!r} is no address; https://host:port is expected")


def read_address(uri: str) -> S3Address:
    """Return the bucket and prefix of s3://bucket/prefix.

    Raises
    ------
    StoreError : it is no such address.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, path = rest.partition("/")
    prefix = f"{path.rstrip('/')}/" if path.rstrip("/") else ""
    if scheme != "s3" or not BUCKET.fullmatch(bucket):
        raise StoreError(
            f"the store {uri} names no bucket: s3://bucket/prefix is expected, a bucket of 3 letters or more"
        )
    if not re.fullmatch(f"(?:{PART.pattern})*", prefix) or len(prefix) > LONGEST_PREFIX:
        raise StoreError(
            f"the store {uri} has a prefix that cannot be used: up to {LONGEST_PREFIX} letters, digits and - _ . "
            "in parts between single slashes are expected"
        )
    return S3Address(bucket, prefix)
