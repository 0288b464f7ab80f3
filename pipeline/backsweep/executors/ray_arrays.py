"""Data sets through Ray's object store: of a store elsewhere they cross to each node once.

A folder needs none of this: every worker of the machine maps the same file, which the kernel holds once. Of S3 every
worker process would download and hold its own copy; through the object store the driver downloads once, Ray copies
once a node, and the workers map that copy, read-only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from backsweep.ports import ManifestKey, Store, UnitWriter, Versioned

__all__ = ["StoreWithArrays", "put_arrays"]

Shared = tuple[tuple[str, Any], ...]  # digest of an array -> ray.ObjectRef


def put_arrays(store: Store, datasets: Sequence[str]) -> Shared:
    """Put the arrays of the data sets, named by their digests, into the object store of the session that is open.

    The arrays stay there as long as what is returned; see `StoreWithArrays` for its use.

    Raises
    ------
    MissingObjectError, CorruptObjectError
    """
    import ray

    digests: dict[str, None] = {}
    for dataset in datasets:
        digests.update(dict.fromkeys(json.loads(store.get_object(dataset))["arrays"].values()))
    return tuple((digest, ray.put(store.open_array(digest))) for digest in digests)


class StoreWithArrays:
    """A `ports.Store` in a worker whose shared arrays come from Ray; it is opened by its constructor.

    Use it as the opener of a `Work`: ``Work(StoreWithArrays, (opener, arguments, shared), ...)``.

    Parameters
    ----------
    opener, arguments : what opens the store itself.
    shared : what `put_arrays` returned.
    """

    def __init__(self, opener: Callable[..., Store], arguments: tuple[Any, ...], shared: Shared) -> None:
        self._store = opener(*arguments)
        self._shared = dict(shared)
        self.uri = self._store.uri

    def open_array(self, digest: str) -> NDArray[Any]:
        """Return a shared array as a view of the object store, any other from the store."""
        if digest not in self._shared:
            return self._store.open_array(digest)
        import ray

        array: NDArray[Any] = ray.get(self._shared[digest])
        return array

    def put_object(self, data: bytes) -> str:
        """See `ports.Store`."""
        return self._store.put_object(data)

    def get_object(self, digest: str) -> bytes:
        """See `ports.Store`."""
        return self._store.get_object(digest)

    def put_array(self, array: NDArray[Any]) -> str:
        """See `ports.Store`."""
        return self._store.put_array(array)

    def open_arrays(self, digests: Iterable[str]) -> Iterator[NDArray[Any]]:
        """See `ports.Store`; asked for series, which are never shared."""
        return self._store.open_arrays(digests)

    def faults(self, digests: Iterable[str]) -> Iterator[str | None]:
        """See `ports.Store`."""
        return self._store.faults(digests)

    def has_object(self, digest: str) -> bool:
        """See `ports.Store`."""
        return self._store.has_object(digest)

    def put_unit(self, unit_id: str, record: Mapping[str, Any]) -> str:
        """See `ports.Store`."""
        return self._store.put_unit(unit_id, record)

    def get_unit(self, unit_id: str) -> dict[str, Any] | None:
        """See `ports.Store`."""
        return self._store.get_unit(unit_id)

    def get_units(self, unit_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
        """See `ports.Store`."""
        return self._store.get_units(unit_ids)

    def unit_writer(self) -> AbstractContextManager[UnitWriter]:
        """See `ports.Store`."""
        return self._store.unit_writer()

    def present_units(self, unit_ids: Iterable[str]) -> set[str]:
        """See `ports.Store`."""
        return self._store.present_units(unit_ids)

    def get_manifest(self, key: ManifestKey) -> Versioned | None:
        """See `ports.Store`."""
        return self._store.get_manifest(key)

    def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
        """See `ports.Store`."""
        self._store.commit_manifest(key, data, expected)
