"""Data sets of a store: a folder brought in, copied to another store, laid out again, read by a sweep."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backsweep.errors import CorruptObjectError, DataError
from backsweep.sources.files import TableFile
from backsweep.sources.lakehouse import Part, join, survey, version_of
from backsweep.stores.data_versions import (
    DataVersion,
    VersionedStore,
    add_version,
    check_name,
    find_version,
    has_version,
    read_version,
)

__all__ = ["Imported", "export_data", "import_data", "name_of", "open_stored", "publish_again", "push_data"]

SIDE_BY_SIDE = 8


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import or push did: `is_new` is False where the version was the name's newest already."""

    entry: DataVersion
    record: dict[str, Any]
    is_new: bool
    sent_files: int
    sent_bytes: int


def import_data(store: VersionedStore, folder: Path, name: str, at: str, source: str | None = None) -> Imported:
    """Check a folder of Parquet files, store them, and make them the newest version of `name`.

    Parameters
    ----------
    at : ISO time of the import.
    source : where it came from, for people; the folder unless given.

    Raises
    ------
    DataError
        As `survey`; or a file changed while it was read.
    """
    check_name(name)
    found = survey(folder)

    def read(part: Part) -> bytes:
        data = (folder / part.path).read_bytes()
        if hashlib.sha256(data).hexdigest() != part.sha256:
            raise DataError(f"{folder}: {part.path} changed while it was read; import it when nothing writes to it")
        return data

    record = {
        "kind": "data",
        "status": "ok",
        "version": found.version,
        "layout": "long" if found.is_long else "wide",
        "symbols": found.symbols,
        "rows": sum(part.rows for part in found.parts),
        "first": min(part.first for part in found.parts),
        "last": max(part.last for part in found.parts),
        "bytes": sum(part.size_bytes for part in found.parts),
        "columns": [{"name": column, "type": kind} for column, kind in found.columns],
        "files": [asdict(part) for part in found.parts],
        "objects": {part.path: part.sha256 for part in found.parts},
    }
    entry = DataVersion(name, found.version, 0, at, source or str(folder.absolute()))
    return _add(store, entry, record, read)


def publish_again(store: VersionedStore, name: str, files: Mapping[str, str], at: str, source: str) -> None:
    """Make a version that is stored, given as path -> sha256, the newest of `name` unless it is; `at`: ISO time.

    Raises
    ------
    MissingObjectError
        It is not stored.
    """
    version = version_of(files.items())
    record = read_version(store, version)
    add_version(store, DataVersion(name, version, 0, at, source), record)


def push_data(source: VersionedStore, place: str, target: VersionedStore, at: str) -> Imported:
    """Copy a version (NAME or NAME@version) to another store, where it becomes the newest of that name.

    Raises
    ------
    DataError, MissingObjectError, CorruptObjectError
    """
    found = find_version(source, place)
    record = read_version(source, found.version)
    entry = DataVersion(found.name, found.version, 0, at, f"{source.uri} {found.name}@{found.version[:16]}")
    return _add(target, entry, record, lambda part: source.get_object(part.sha256))


def export_data(store: VersionedStore, version: str, folder: Path) -> None:
    """Write a version's files into `folder`, which is made.

    Raises
    ------
    MissingObjectError, CorruptObjectError
    """
    for path, digest in sorted(read_version(store, version)["objects"].items()):
        if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
            raise CorruptObjectError(f"the record of the data version {version} names {path}, outside its folder")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.get_object(digest))


def open_stored(store: VersionedStore, uri: str) -> TableFile:
    """Return the table that store://NAME or store://NAME@version means; its sha256 is the version.

    Raises
    ------
    DataError, MissingObjectError, CorruptObjectError
    """
    found = find_version(store, uri.removeprefix("store://"))
    record = read_version(store, found.version)

    def parts() -> Iterator[tuple[str, bytes]]:
        for path, digest in sorted(record["objects"].items()):
            yield path, store.get_object(digest)

    return join(uri, parts(), record["bytes"], found.version)


def name_of(folder: Path) -> str:
    """Return the name that a folder's data set gets unless one is given: the folder's own, spelled as a name."""
    return re.sub(r"[^a-z0-9._]+", "-", folder.absolute().name.lower()).strip("-._")


def _add(store: VersionedStore, entry: DataVersion, record: dict[str, Any], read: Callable[[Part], bytes]) -> Imported:
    """Store the files that the store lacks, then the version."""
    parts = [Part(**each) for each in record["files"]]
    kept = has_version(store, entry.version)  # then garbage collection leaves its files alone

    def send(part: Part) -> int:
        if kept and store.has_object(part.sha256):
            return 0
        store.put_object(read(part))
        return 1

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        sent = list(pool.map(send, parts))
    is_new = add_version(store, entry, record)
    sent_bytes = sum(part.size_bytes for part, done in zip(parts, sent, strict=True) if done)
    return Imported(find_version(store, entry.name), record, is_new, sum(sent), sent_bytes)
