"""Stores the units of a block: one after the other in a folder, several at once where every request is a journey.

Whichever does it, a unit's record is written after its objects, because a unit that is there is complete.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from numpy.typing import NDArray

from backsweep.ports import Store
from backsweep.stores.npy import write_npy
from backsweep.stores.records import record_digest

__all__ = ["ObjectStore", "UnitAfterUnit", "UnitsSideBySide"]

UNITS_A_CONNECTION = 2  # so that a connection that is free has something to send
MOST_BYTES = 64 << 20  # under way at once: arrays of large universes are many MiB each


class ObjectStore(Protocol):
    """What is needed to store a unit."""

    def put_object(self, data: bytes) -> str:
        """See `ports.Store`."""

    def put_unit(self, unit_id: str, record: Mapping[str, Any]) -> str:
        """See `ports.Store`."""


class UnitAfterUnit:
    """A `ports.UnitWriter` that has stored a unit when `put` returns."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self, unit_id: str, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], str]:
        """Store the arrays, then the record with their digests as `objects`; return that record and its digest."""
        whole = {**record, "objects": {name: self._store.put_array(array) for name, array in arrays.items()}}
        return whole, self._store.put_unit(unit_id, whole)

    def finish(self) -> None:
        """Nothing is under way."""


class UnitsSideBySide:
    """A `ports.UnitWriter` with several units under way; a unit's own writes follow each other.

    Digests are of the bytes and need no answer, so that `put` returns at once; it waits only while too much is
    under way.

    Parameters
    ----------
    connections : how many requests there may be at once.
    """

    def __init__(self, store: ObjectStore, connections: int) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(connections)
        self._most = UNITS_A_CONNECTION * connections
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0

    def __enter__(self) -> UnitsSideBySide:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for all; after an error, only for what is being sent."""
        try:
            if kind is None:
                self.finish()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def put(
        self, unit_id: str, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], str]:
        """Send the arrays, then the record with their digests as `objects`; return that record and its digest.

        Raises
        ------
        UserError, TransientError : of a unit before.
        """
        # Copies, because the arrays may be views of a batch that is used again.
        contents = {name: b"".join(write_npy(array)) for name, array in arrays.items()}
        whole = {**record, "objects": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}}
        size = sum(len(data) for data in contents.values())
        while self._waiting and (len(self._waiting) >= self._most or self._bytes + size > MOST_BYTES):
            self._wait_for_the_oldest()
        self._waiting.append((self._pool.submit(self._send, unit_id, whole, list(contents.values())), size))
        self._bytes += size
        return whole, record_digest(whole)

    def finish(self) -> None:
        """Wait until all is stored.

        Raises
        ------
        UserError, TransientError : of the first unit that could not be stored.
        """
        while self._waiting:
            self._wait_for_the_oldest()

    def _send(self, unit_id: str, record: Mapping[str, Any], contents: list[bytes]) -> None:
        for data in contents:
            self._store.put_object(data)
        self._store.put_unit(unit_id, record)

    def _wait_for_the_oldest(self) -> None:
        future, size = self._waiting.popleft()
        self._bytes -= size
        future.result()
