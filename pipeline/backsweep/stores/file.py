"""A store in a folder: content-addressed, atomic, put-if-absent, safe with several processes.

What stands where is in `layout`.
"""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray

from backsweep.errors import CorruptObjectError, ManifestConflictError, MissingObjectError, StoreError
from backsweep.ports import ManifestKey, Versioned
from backsweep.stores.atomic import create, replace
from backsweep.stores.collection import REFRESH_SECONDS, StoredFile
from backsweep.stores.folder import StoreFolder, locked
from backsweep.stores.layout import DIGEST, logs_name, page_name
from backsweep.stores.manifest import earlier_manifests
from backsweep.stores.npy import read_npy, write_npy
from backsweep.stores.object_faults import fault_of
from backsweep.stores.records import read_record, write_record
from backsweep.stores.unit_writers import UnitAfterUnit

__all__ = ["FileStore"]

FEW_UNITS = 100  # so many are asked for one by one; more, and the folder is listed once
MAPPED_BYTES = 1 << 20  # smaller arrays are read: a map holds a file open, of which a process has 1,024


class FileStore:
    """A `ports.Store` in a folder; making one touches nothing, the first write makes the folder.

    Parameters
    ----------
    location : a path, or a file:// address.
    """

    def __init__(self, location: str | Path) -> None:
        self._at = StoreFolder(location)
        self.folder = self._at.path
        self.uri = self.folder.as_uri()
        self._verified: set[tuple[str, int, int]] = set()

    def probe(self) -> None:
        """Write, link and lock once, so that a folder that cannot be a store is refused before any work.

        Raises
        ------
        StoreError : the folder is a file, cannot be written to, has another format, or has no hard links.
        TransientError : it is full.
        """
        with self._at.writing():
            target = self._at.temporary / f"probe-{os.urandom(12).hex()}"
            try:
                first = create(target, [b"probe"], self._at.temporary)
                second = create(target, [b"again"], self._at.temporary)
                with locked(target):
                    kept = target.read_bytes()
            finally:
                target.unlink(missing_ok=True)
        if not (first and not second and kept == b"probe"):
            raise StoreError(f"the store {self.folder} overwrites what is there; give a folder on a local filesystem")

    # Objects

    def put_object(self, data: bytes) -> str:
        """Store `data` under its sha256 (hex) unless it is there, and return that digest."""
        return self._put([data], len(data))

    def put_array(self, array: NDArray[Any]) -> str:
        """Store an array as .npy bytes (C order, little endian, no pickle) and return their digest."""
        header, data = write_npy(array)
        return self._put([header, data], len(header) + len(data))

    def get_object(self, digest: str) -> bytes:
        """Return the bytes, verified against `digest`.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """
        with self._at.reading():
            try:
                data = self._at.object(digest).read_bytes()
            except FileNotFoundError:
                self._refuse_missing(digest)
        self._compare(digest, data)
        return data

    def open_array(self, digest: str) -> NDArray[Any]:
        """Return a stored array, read-only; a large one is a memory map whose bytes are verified once.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """
        with self._at.reading():
            path = self._at.object(digest)
            try:
                found = path.stat()
                if found.st_size < MAPPED_BYTES:
                    return read_npy(self.get_object(digest))
                with path.open("rb") as file:
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except FileNotFoundError:
                self._refuse_missing(digest)
        seen = (digest, found.st_ino, found.st_mtime_ns)
        if seen not in self._verified:
            self._compare(digest, data)
            self._verified.add(seen)
        return read_npy(data)

    def open_arrays(self, digests: Iterable[str]) -> Iterator[NDArray[Any]]:
        """Yield stored arrays, as `open_array` does."""
        return map(self.open_array, digests)

    def faults(self, digests: Iterable[str]) -> Iterator[str | None]:
        """Yield for each object, in the order asked, what is wrong with it; None where it is whole."""
        return map(functools.partial(fault_of, self.get_object), digests)

    def has_object(self, digest: str) -> bool:
        """Whether the object exists (its bytes are not read)."""
        with self._at.reading():
            return self._at.object(digest).exists()

    # Units

    def put_unit(self, unit_id: str, record: Mapping[str, Any]) -> str:
        """Store a unit's record (JSON) unless one is there, and return the digest of its bytes; the first one stays.

        Its objects must be stored before: a unit that is there is complete.
        """
        data = write_record(record)
        with self._at.writing():
            create(self._at.unit(unit_id), [data], self._at.temporary)
        return hashlib.sha256(data).hexdigest()

    def get_unit(self, unit_id: str) -> dict[str, Any] | None:
        """Return a unit's record, or None.

        Raises
        ------
        CorruptObjectError : the record is not JSON, which only a power cut or a hand can bring about.
        """
        data = self._record(unit_id)
        return None if data is None else read_record(data, unit_id)

    def get_units(self, unit_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield those of `unit_ids` that are stored, in their order, with record and digest of its bytes.

        Raises
        ------
        CorruptObjectError : a record is not JSON.
        """
        for unit_id in unit_ids:
            data = self._record(unit_id)
            if data is not None:
                yield unit_id, read_record(data, unit_id), hashlib.sha256(data).hexdigest()

    def unit_writer(self) -> AbstractContextManager[UnitAfterUnit]:
        """Return a writer for the units of a block."""
        return nullcontext(UnitAfterUnit(self))

    def present_units(self, unit_ids: Iterable[str]) -> set[str]:
        """Return those of `unit_ids` that are stored."""
        wanted = set(unit_ids)
        with self._at.reading():
            if len(wanted) <= FEW_UNITS:
                return {unit_id for unit_id in wanted if self._at.unit(unit_id).exists()}
            try:
                names = os.scandir(self._at.units)
            except FileNotFoundError:
                return set()
            with names:
                return wanted.intersection([entry.name[:-5] for entry in names if entry.name.endswith(".json")])

    def discard_unit(self, unit_id: str) -> None:
        """Forget a unit and those of its objects that are damaged, so that it is computed again.

        For a unit whose record or objects a power cut has spoiled: whole objects stay, because other
        units may share them.
        """
        path = self._at.unit(unit_id)
        with self._at.writing():
            try:
                digests = set(DIGEST.findall(path.read_text(encoding="utf-8", errors="replace")))
            except FileNotFoundError:
                return
            path.unlink(missing_ok=True)
        for digest in sorted(digests):
            try:
                self.get_object(digest)
            except MissingObjectError:
                continue
            except CorruptObjectError:
                with self._at.writing():
                    self._at.object(digest).unlink(missing_ok=True)

    # Manifests

    def sweep_folder(self, key: ManifestKey) -> Path:
        """Return where the sweep's manifest and logs stand; it need not exist."""
        return self._at.sweep(key)

    def get_manifest(self, key: ManifestKey) -> Versioned | None:
        """Return the sweep's manifest and its tag, or None."""
        with self._at.reading():
            return _versioned(self.sweep_folder(key) / "manifest.json")

    def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
        """Write the manifest if its tag is still `expected` (None: if there is none); flushed to the disk.

        Raises
        ------
        ManifestConflictError
        """
        folder = self.sweep_folder(key)
        with self._at.writing():
            folder.mkdir(parents=True, exist_ok=True)
            # Compare and swap are two steps in a folder: all writers of one manifest take turns.
            with locked(folder / "manifest.lock"):
                found = _versioned(folder / "manifest.json")
                if (found.tag if found else None) != expected:
                    raise ManifestConflictError(
                        f"the manifest of {key.name} in {self.folder} was committed by another run in between"
                    )
                replace(folder / "manifest.json", [data], self._at.temporary, durable=True)

    def manifests(self) -> Iterator[tuple[ManifestKey, bytes]]:
        """Yield the manifest of every sweep and where it stands, in the order of their places."""
        with self._at.reading():
            for path in sorted((self.folder / "sweeps").glob("*/*/*/manifest.json")):
                yield ManifestKey(*path.parts[-4:-1]), path.read_bytes()

    # Logs

    def put_log(self, key: ManifestKey, name: str, data: bytes) -> None:
        """Write one of a sweep's logs, over the one of that name."""
        target = self.folder / logs_name(key, name)
        with self._at.writing():
            replace(target, [data], self._at.temporary)

    def log_names(self, key: ManifestKey) -> list[str]:
        """Return the names of a sweep's logs, sorted."""
        folder = self.folder / logs_name(key)
        with self._at.reading():
            return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def get_log(self, key: ManifestKey, name: str) -> bytes:
        """Return one of a sweep's logs.

        Raises
        ------
        MissingObjectError
        """
        with self._at.reading():
            try:
                return (self.folder / logs_name(key, name)).read_bytes()
            except FileNotFoundError:
                raise MissingObjectError(f"there is no log {name} of {key.name} in {self.uri}") from None

    def put_page(self, key: ManifestKey, name: str, data: bytes) -> None:
        """Write one of a sweep's pages for people, over the one of that name."""
        target = self.folder / page_name(key, name)
        with self._at.writing():
            replace(target, [data], self._at.temporary)

    # What the ledger keeps

    def put_entry(self, lineage: str, data: bytes) -> None:
        """Store one immutable entry of a lineage under its sha256."""
        with self._at.writing():
            target = self._at.lineage(lineage) / hashlib.sha256(data).hexdigest()
            if not target.exists():
                replace(target, [data], self._at.temporary)

    def entries(self, lineage: str) -> Iterator[bytes]:
        """Yield a lineage's entries, verified, in the order of their digests.

        Raises
        ------
        CorruptObjectError
        """
        with self._at.reading():
            folder = self._at.lineage(lineage)
            names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
            for name in names:
                data = (folder / name).read_bytes()
                self._compare(name, data)
                yield data

    # What garbage collection sees

    def stored_objects(self) -> Iterator[StoredFile]:
        """Yield every object, without reading it."""
        with self._at.reading():
            for folder in sorted(self._at.objects.glob("[0-9a-f][0-9a-f]")):
                for path in sorted(folder.iterdir()):
                    if DIGEST.fullmatch(path.name):
                        yield _stored(path)

    def drafts(self) -> Iterator[StoredFile]:
        """Yield every temporary file."""
        with self._at.reading():
            for path in sorted(self._at.temporary.iterdir()) if self._at.temporary.exists() else []:
                try:
                    yield _stored(path)
                except FileNotFoundError:
                    continue  # its writer has just given it its name

    def referring(self) -> Iterator[bytes]:
        """Yield the bytes of everything that names objects: unit records, manifests and those they replaced."""
        with self._at.reading():
            for path in sorted(self._at.units.glob("*.json")):
                yield path.read_bytes()
        for _, data in self.manifests():
            yield data
            yield from earlier_manifests(data, self.get_object)

    def delete(self, stored: StoredFile) -> bool:
        """Delete an object or draft unless it was refreshed since it was listed; return whether it was.

        It is moved away first and looked at again: a writer that has found it there has either set its
        time before, and it is moved back, or does not find it any more, and writes it.
        """
        aside = self._at.temporary / f"deleted-{os.urandom(12).hex()}"
        with self._at.writing():
            try:
                self._at.temporary.mkdir(exist_ok=True)
                stored.path.rename(aside)
            except FileNotFoundError:
                return False
            if aside.stat().st_mtime > stored.modified_seconds:
                aside.rename(stored.path)
                return False
            aside.unlink()
            return True

    # Inside

    def _record(self, unit_id: str) -> bytes | None:
        """Return the bytes of a unit's record, or None."""
        with self._at.reading():
            try:
                return self._at.unit(unit_id).read_bytes()
            except FileNotFoundError:
                return None

    def _put(self, parts: list[bytes | memoryview], size: int) -> str:
        """Store the parts as one object unless it is there with that size; return its digest."""
        hashed = hashlib.sha256()
        for part in parts:
            hashed.update(part)
        digest = hashed.hexdigest()
        target = self._at.object(digest)
        with self._at.writing():
            try:
                found = target.stat()
                if found.st_size == size:
                    if found.st_mtime < time.time() - REFRESH_SECONDS:
                        os.utime(target)  # garbage collection must not take it from under the unit to come
                    return digest
            except FileNotFoundError:
                pass
            replace(target, parts, self._at.temporary)
        return digest

    def _refuse_missing(self, digest: str) -> NoReturn:
        raise MissingObjectError(f"object {digest} is not in the store {self.folder}") from None

    def _compare(self, digest: str, data: bytes | mmap.mmap) -> None:
        if hashlib.sha256(data).hexdigest() != digest:
            raise CorruptObjectError(
                f"the {len(data)} bytes of object {digest} in {self.folder} do not hash to their name"
            )


def _versioned(path: Path) -> Versioned | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return Versioned(data, hashlib.sha256(data).hexdigest())


def _stored(path: Path) -> StoredFile:
    found = path.stat()
    return StoredFile(path, found.st_size, found.st_mtime)
