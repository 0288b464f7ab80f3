"""Where a document's tables are read: files, objects of a bucket, data sets of the sweep's own store."""

from __future__ import annotations

from pathlib import Path

from backsweep.errors import DataError
from backsweep.flow.data_sets import open_stored
from backsweep.sources.files import TableFile, open_table, parse_table
from backsweep.sources.loading import Opener
from backsweep.stores.opening import AnyStore, StoreAddress
from backsweep.stores.s3_tables import read_s3_object

__all__ = ["table_opener"]


def table_opener(store: AnyStore, address: StoreAddress, folder: Path) -> Opener:
    """Return what reads the table a uri of the document names.

    Parameters
    ----------
    address : its endpoint and region are those of s3:// tables, too.
    folder : where relative paths start.
    """

    def open_any(uri: str, format: str | None) -> TableFile:
        scheme = uri.partition("://")[0].lower() if "://" in uri else "file"
        if scheme == "store":
            if format not in (None, "parquet"):
                raise DataError(
                    f"{uri}: data.format is {format!r}, but a data set of the store is Parquet; leave it out"
                )
            return open_stored(store, uri)
        if scheme == "s3":
            return parse_table(uri, read_s3_object(uri, address.endpoint_url, address.region), format)
        return open_table(uri, folder, format)

    return open_any
