"""A store in a bucket of S3, or of any server that speaks it and keeps conditional writes.

What stands where is in `layout`, below the prefix. Put-if-absent is If-None-Match, the manifest's commit is
If-Match; one write is one request, or one last step of a multipart upload, so that nobody sees a half.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from backsweep.errors import CorruptObjectError, ManifestConflictError, MissingObjectError, StoreError, TransientError
from backsweep.ports import ManifestKey, Versioned
from backsweep.stores.collection import REFRESH_SECONDS
from backsweep.stores.layout import (
    DIGEST,
    FORMAT_BYTES,
    FORMAT_NAME,
    check_format,
    lineage_name,
    logs_name,
    object_name,
    page_name,
    sweep_name,
    unit_name,
)
from backsweep.stores.manifest import earlier_manifests
from backsweep.stores.npy import read_npy, write_npy
from backsweep.stores.object_faults import fault_of
from backsweep.stores.records import read_record, write_record
from backsweep.stores.s3_address import S3Access, read_address
from backsweep.stores.s3_bucket import IF_ABSENT, Bucket, Found
from backsweep.stores.s3_collection import StoredKey, abandoned, delete, renew
from backsweep.stores.s3_errors import Outcome
from backsweep.stores.s3_multipart import PART_BYTES, Parts, upload
from backsweep.stores.s3_probe import probe
from backsweep.stores.unit_writers import UnitsSideBySide

__all__ = ["S3Store"]

FEW_UNITS = 500  # so many are asked for one by one; more, and they are listed, a thousand a page
LARGEST_BYTES = 5 << 30  # S3 renews (copies) no larger object in one request
PUT_ATTEMPTS = 5
READ_ATTEMPTS = 2  # bytes may be damaged on the way; those that are damaged in the store come back the same


class S3Store:
    """A `ports.Store` in a bucket; making one touches nothing, the first write makes the store.

    Parameters
    ----------
    uri : s3://bucket/prefix.
    endpoint_url, region : None for what boto3's configuration and environment say; credentials come from there.
    connections : how many requests may be under way at once.
    patience_seconds : how long a server that has answered may be away before that is an error.
    patient : whether to wait for a server that has not answered yet, too: for workers, whose driver has
        probed the store, and for flows on a cluster. A person is told at once.
    """

    def __init__(
        self,
        uri: str,
        endpoint_url: str | None = None,
        region: str | None = None,
        connections: int = 10,
        patience_seconds: float = 120.0,
        patient: bool = False,
    ) -> None:
        address = read_address(uri)
        self.uri = address.uri
        self._bucket = Bucket(address, S3Access(endpoint_url, region, connections, patience_seconds, patient))
        self._known = False

    def probe(self) -> None:
        """Check that the store can be read, written and listed and keeps conditions, before any work.

        Raises
        ------
        StoreError : it cannot, or it has another format.
        TransientError : it cannot now.
        """
        self._make()
        probe(self._bucket)

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
        name = object_name(digest)
        self._exists()
        data = b""
        for _ in range(READ_ATTEMPTS):
            found = self._bucket.get(name)
            if found is None:
                raise MissingObjectError(f"object {digest} is not in the store {self.uri}")
            data = found[0]
            if hashlib.sha256(data).hexdigest() == digest:
                return data
        raise self._corrupt(digest, data)

    def open_array(self, digest: str) -> NDArray[Any]:
        """Return a stored array, read-only and verified.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """
        return read_npy(self.get_object(digest))

    def open_arrays(self, digests: Iterable[str]) -> Iterator[NDArray[Any]]:
        """Yield stored arrays in the order asked, read-only and verified; those that come next are on their way.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """
        return self._bucket.side_by_side(self.open_array, digests)

    def faults(self, digests: Iterable[str]) -> Iterator[str | None]:
        """Yield for each object, in the order asked, what is wrong with it; None where it is whole."""
        return self._bucket.side_by_side(functools.partial(fault_of, self.get_object), digests)

    def has_object(self, digest: str) -> bool:
        """Whether the object exists (its bytes are not read)."""
        name = object_name(digest)
        return self._exists() and self._bucket.head(name) is not None

    # Units

    def put_unit(self, unit_id: str, record: Mapping[str, Any]) -> str:
        """Store a unit's record (JSON) unless one is there, and return the digest of its bytes; the first one stays.

        Its objects must be stored before: a unit that is there is complete.
        """
        name, data = unit_name(unit_id), write_record(record)
        digest = hashlib.sha256(data)
        self._make()
        self._bucket.put_absent(name, data, sha256=digest.digest())
        return digest.hexdigest()

    def get_unit(self, unit_id: str) -> dict[str, Any] | None:
        """Return a unit's record, or None.

        Raises
        ------
        CorruptObjectError : the record is not JSON, which only a hand can bring about.
        """
        name = unit_name(unit_id)
        found = self._bucket.get(name) if self._exists() else None
        return None if found is None else read_record(found[0], unit_id)

    def get_units(self, unit_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield those of `unit_ids` that are stored, in their order, with record and digest; read side by side.

        Raises
        ------
        CorruptObjectError : a record is not JSON.
        """
        wanted = list(unit_ids) if self._exists() else []
        bodies = self._bucket.side_by_side(self._bucket.get, [unit_name(unit_id) for unit_id in wanted])
        for unit_id, found in zip(wanted, bodies, strict=True):
            if found is not None:
                yield unit_id, read_record(found[0], unit_id), hashlib.sha256(found[0]).hexdigest()

    def unit_writer(self) -> AbstractContextManager[UnitsSideBySide]:
        """Return a writer for the units of a block: as many are under way at once as there are connections."""
        return UnitsSideBySide(self, self._bucket.access.connections)

    def present_units(self, unit_ids: Iterable[str]) -> set[str]:
        """Return those of `unit_ids` that are stored."""
        names = {unit_name(unit_id): unit_id for unit_id in unit_ids}
        if not self._exists():
            return set()
        if len(names) <= FEW_UNITS:
            found = self._bucket.side_by_side(self._bucket.head, names)
            return {unit_id for unit_id, head in zip(names.values(), found, strict=True) if head is not None}
        beginnings = sorted({name[: len("units/") + 1] for name in names})
        listings = self._bucket.side_by_side(lambda start: [each.key for each in self._bucket.list(start)], beginnings)
        return {names[key] for keys in listings for key in keys if key in names}

    def discard_unit(self, unit_id: str) -> None:
        """Forget a unit and those of its objects that are damaged, so that it is computed again.

        Whole objects stay, because other units may share them.
        """
        name = unit_name(unit_id)
        found = self._bucket.get(name) if self._exists() else None
        if found is None:
            return
        self._bucket.delete(name)
        for digest in sorted(set(DIGEST.findall(found[0].decode(errors="replace")))):
            try:
                self.get_object(digest)
            except MissingObjectError:
                continue
            except CorruptObjectError:
                self._bucket.delete(object_name(digest))

    # Manifests

    def get_manifest(self, key: ManifestKey) -> Versioned | None:
        """Return the sweep's manifest and its tag, or None."""
        name = f"{sweep_name(key)}/manifest.json"
        found = self._bucket.get(name) if self._exists() else None
        return None if found is None else Versioned(*found)

    def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
        """Write the manifest if its tag is still `expected` (None: if there is none).

        A commit whose answer was lost is refused when it is sent again; the writer's mark beside the
        bytes tells it from a commit by somebody else.

        Raises
        ------
        ManifestConflictError
        """
        name, writer = f"{sweep_name(key)}/manifest.json", os.urandom(16).hex()
        self._make()
        condition = IF_ABSENT if expected is None else {"IfMatch": expected}
        if self._bucket.put(name, data, condition, sha256=hashlib.sha256(data).digest(), writer=writer) is Outcome.DONE:
            return
        found = self._bucket.head(name)
        if found is None or found.writer != writer:
            raise ManifestConflictError(
                f"the manifest of {key.name} in {self.uri} was committed by another run in between"
            )

    def manifests(self) -> Iterator[tuple[ManifestKey, bytes]]:
        """Yield the manifest of every sweep and where it stands, in the order of their places."""
        listed = (each.key.split("/") for each in self._bucket.list("sweeps/")) if self._exists() else iter(())
        places = [parts for parts in listed if len(parts) == 5 and parts[-1] == "manifest.json"]
        for parts, data in zip(places, self._read_all("/".join(parts) for parts in places), strict=True):
            yield ManifestKey(*parts[1:4]), data

    # Logs

    def put_log(self, key: ManifestKey, name: str, data: bytes) -> None:
        """Write one of a sweep's logs, over the one of that name."""
        self._make()
        self._bucket.put(logs_name(key, name), data, {}, sha256=hashlib.sha256(data).digest())

    def log_names(self, key: ManifestKey) -> list[str]:
        """Return the names of a sweep's logs, sorted."""
        return sorted(each.name for each in self._bucket.list(logs_name(key))) if self._exists() else []

    def get_log(self, key: ManifestKey, name: str) -> bytes:
        """Return one of a sweep's logs.

        Raises
        ------
        MissingObjectError
        """
        found = self._bucket.get(logs_name(key, name)) if self._exists() else None
        if found is None:
            raise MissingObjectError(f"there is no log {name} of {key.name} in {self.uri}")
        return found[0]

    def put_page(self, key: ManifestKey, name: str, data: bytes) -> None:
        """Write one of a sweep's pages for people, over the one of that name."""
        self._make()
        self._bucket.put(page_name(key, name), data, {}, sha256=hashlib.sha256(data).digest())

    # What the ledger keeps

    def put_entry(self, lineage: str, data: bytes) -> None:
        """Store one immutable entry of a lineage under its sha256."""
        digest = hashlib.sha256(data)
        self._make()
        self._bucket.put_absent(f"{lineage_name(lineage)}/{digest.hexdigest()}", data, sha256=digest.digest())

    def entries(self, lineage: str) -> Iterator[bytes]:
        """Yield a lineage's entries, verified, in the order of their digests.

        Raises
        ------
        CorruptObjectError
        """
        keys = [each.key for each in self._bucket.list(f"{lineage_name(lineage)}/")] if self._exists() else []
        for key, data in zip(keys, self._read_all(keys), strict=True):
            digest = key.rpartition("/")[2]
            if hashlib.sha256(data).hexdigest() != digest:
                raise self._corrupt(digest, data)
            yield data

    # What garbage collection sees

    def stored_objects(self) -> Iterator[StoredKey]:
        """Yield every object, without reading it."""
        for each in self._bucket.list("objects/sha256/") if self._exists() else ():
            if DIGEST.fullmatch(each.name):
                yield StoredKey(each.key, each.size_bytes, each.modified_seconds)

    def drafts(self) -> Iterator[StoredKey]:
        """Yield what killed processes left that never became an object."""
        if self._exists():
            yield from abandoned(self._bucket)

    def referring(self) -> Iterator[bytes]:
        """Yield the bytes of everything that names objects: unit records, manifests and those they replaced."""
        if self._exists():
            yield from self._read_all(each.key for each in self._bucket.list("units/"))
        for _, data in self.manifests():
            yield data
            yield from earlier_manifests(data, self.get_object)

    def delete(self, stored: StoredKey) -> bool:
        """Delete an object or draft unless it was renewed since it was listed; return whether it was."""
        return delete(self._bucket, stored)

    # Inside

    def _exists(self) -> bool:
        """Return whether the store was ever written to; raise where it is another version's."""
        if not self._known:
            found = self._bucket.get(FORMAT_NAME)
            if found is None:
                return False
            check_format(found[0], self.uri)
            self._known = True
        return True

    def _make(self) -> None:
        """Make the store unless it is there."""
        if not self._exists():
            self._bucket.put_absent(FORMAT_NAME, FORMAT_BYTES)
            self._exists()

    def _put(self, parts: Parts, size: int) -> str:
        """Store the parts as one object unless it is there, whole and not about to be collected; return its digest."""
        hashed = hashlib.sha256()
        for part in parts:
            hashed.update(part)
        digest = hashed.hexdigest()
        name = object_name(digest)
        if size > LARGEST_BYTES:
            raise StoreError(
                f"an object of {size} bytes is too large for {self.uri}; up to {LARGEST_BYTES} are possible"
            )
        self._make()
        # Many bytes are not sent only to be refused.
        found = self._bucket.head(name) if size > PART_BYTES else None
        for _ in range(PUT_ATTEMPTS):
            if found is not None and found.size_bytes == size and self._lasts(name, found):
                return digest
            condition = IF_ABSENT if found is None else {}  # what is damaged is replaced
            if size > PART_BYTES:
                outcome = upload(self._bucket, name, parts, condition)
            else:
                outcome = self._bucket.put(name, b"".join(parts), condition, sha256=hashed.digest())
            if outcome is Outcome.DONE:
                return digest
            found = self._bucket.head(name)
        raise TransientError(f"object {digest} could not be stored in {self.uri}: others kept writing and deleting it")

    def _lasts(self, name: str, found: Found) -> bool:
        """Whether garbage collection will leave an object alone until the unit to come names it."""
        return found.age_seconds < REFRESH_SECONDS or renew(self._bucket, name)

    def _read_all(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Yield the bytes of objects that were listed; one that was deleted in between is empty."""
        for found in self._bucket.side_by_side(self._bucket.get, keys):
            yield b"" if found is None else found[0]

    def _corrupt(self, digest: str, data: bytes) -> CorruptObjectError:
        return CorruptObjectError(f"the {len(data)} bytes of object {digest} in {self.uri} do not hash to their name")
