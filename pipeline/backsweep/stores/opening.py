"""Opens the store an address names: a folder, or a bucket of S3."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from backsweep.errors import StoreError
from backsweep.stores.file import FileStore
from backsweep.stores.s3 import S3Store

__all__ = ["AnyStore", "StoreAddress", "open_store"]

AnyStore = FileStore | S3Store
CONNECTIONS = 10
PATIENCE_SECONDS = 120.0


class StoreAddress(NamedTuple):
    """What `open_store` needs to open a store again, in any process; endpoint and region are S3's."""

    uri: str
    endpoint_url: str | None = None
    region: str | None = None

    def for_workers(self, store: AnyStore) -> tuple[str, str | None, str | None, int, float, bool]:
        """Return arguments of `open_store` for workers: an absolute uri, and patience, as the driver has probed it."""
        return (store.uri, self.endpoint_url, self.region, CONNECTIONS, PATIENCE_SECONDS, True)


def open_store(
    uri: str | Path,
    endpoint_url: str | None = None,
    region: str | None = None,
    connections: int = CONNECTIONS,
    patience_seconds: float = PATIENCE_SECONDS,
    patient: bool = False,
) -> FileStore | S3Store:
    """Return the store; nothing is read or written yet. A worker can be given this function and its arguments.

    Parameters
    ----------
    uri : a path, file:///absolute/path, or s3://bucket/prefix.
    endpoint_url, region, connections, patience_seconds, patient : see `S3Store`; of no use to a folder.

    Raises
    ------
    StoreError : the address is of no kind there is, or an endpoint is given for a folder.
    """
    scheme, separator, _ = str(uri).partition("://")
    if separator and scheme not in ("file", "s3"):
        raise StoreError(
            f"the store {uri} is of no kind there is: a path, file:///path or s3://bucket/prefix is expected"
        )
    if scheme == "s3" and separator:
        return S3Store(str(uri), endpoint_url, region, connections, patience_seconds, patient)
    if endpoint_url is not None or region is not None:
        raise StoreError(f"the store {uri} is a folder, which has no endpoint and no region; leave them out")
    return FileStore(uri)
