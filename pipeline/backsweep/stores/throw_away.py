"""A store for work that is done again only to be timed or compared: it reads the real one and writes elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from backsweep.errors import InvariantError
from backsweep.ports import ManifestKey, Store, UnitWriter, Versioned
from backsweep.stores.records import record_digest

__all__ = ["ThrowAwayStore"]


class ThrowAwayStore:
    """A `ports.Store` over another: what is written goes to `written`, what is not there is read from `real`.

    Parameters
    ----------
    written : a store nobody else has, such as a temporary folder.
    """

    def __init__(self, real: Store, written: Store) -> None:
        self.uri = written.uri
        self._real = real
        self._written = written
        self._units: dict[str, dict[str, Any]] = {}
        self._arrays: dict[str, NDArray[Any]] = {}

    def hold(self, unit_ids: Iterable[str]) -> None:
        """Hold stored units with their arrays in memory, as a process does that has just made them."""
        for unit_id, record, _ in self._real.get_units(unit_ids):
            self._units[unit_id] = record
            for digest in record["objects"].values():
                self._arrays[digest] = self._real.open_array(digest)

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._units.clear()
        self._arrays.clear()

    def put_object(self, data: bytes) -> str:
        """See `ports.Store`."""
        return self._written.put_object(data)

    def get_object(self, digest: str) -> bytes:
        """See `ports.Store`."""
        return self._of_object(digest).get_object(digest)

    def put_array(self, array: NDArray[Any]) -> str:
        """See `ports.Store`."""
        return self._written.put_array(array)

    def open_array(self, digest: str) -> NDArray[Any]:
        """See `ports.Store`."""
        held = self._arrays.get(digest)
        return self._of_object(digest).open_array(digest) if held is None else held

    def open_arrays(self, digests: Iterable[str]) -> Iterator[NDArray[Any]]:
        """See `ports.Store`."""
        return map(self.open_array, digests)

    def faults(self, digests: Iterable[str]) -> Iterator[str | None]:
        """See `ports.Store`."""
        for digest in digests:
            yield from self._of_object(digest).faults([digest])

    def has_object(self, digest: str) -> bool:
        """See `ports.Store`."""
        return self._of_object(digest).has_object(digest)

    def put_unit(self, unit_id: str, record: Mapping[str, Any]) -> str:
        """See `ports.Store`."""
        return self._written.put_unit(unit_id, record)

    def get_unit(self, unit_id: str) -> dict[str, Any] | None:
        """See `ports.Store`."""
        held = self._units.get(unit_id)
        if held is not None:
            return held
        found = self._written.get_unit(unit_id)
        return self._real.get_unit(unit_id) if found is None else found

    def get_units(self, unit_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
        """See `ports.Store`."""
        for unit_id in unit_ids:
            record = self.get_unit(unit_id)
            if record is not None:
                yield unit_id, record, record_digest(record)

    def unit_writer(self) -> AbstractContextManager[UnitWriter]:
        """See `ports.Store`."""
        return self._written.unit_writer()

    def present_units(self, unit_ids: Iterable[str]) -> set[str]:
        """See `ports.Store`."""
        wanted = set(unit_ids)
        return self._written.present_units(wanted) | self._real.present_units(wanted)

    def get_manifest(self, key: ManifestKey) -> Versioned | None:
        """See `ports.Store`."""
        return self._real.get_manifest(key)

    def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
        """Refuse: what is thrown away is no result.

        Raises
        ------
        InvariantError
        """
        raise InvariantError(f"the manifest of {key.name} was to be committed to a store that is thrown away")

    def _of_object(self, digest: str) -> Store:
        return self._written if self._written.has_object(digest) else self._real
