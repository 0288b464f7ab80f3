"""Which trials were ever run on a data lineage: luck is judged by all that were tried, not by the last sweep.

Each sweep adds at most one immutable entry, the sorted ids it was first to run, 8 bytes an id; reading
is the union. Two processes that add at once repeat some ids, which a union does not mind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backsweep.errors import InvariantError

__all__ = ["Ledger", "LedgerStore"]

TRIAL_ID = re.compile(r"[0-9a-f]{16}")
PACKED = np.dtype(">u8")  # sorts as its hex digits do


class LedgerStore(Protocol):
    """What the ledger needs of a store."""

    def put_entry(self, lineage: str, data: bytes) -> None:
        """Store one immutable entry of a lineage."""

    def entries(self, lineage: str) -> Iterator[bytes]:
        """Yield a lineage's entries, verified."""


class Ledger:
    """The trials ever run in one store, by data lineage."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def record(self, lineage: str, trial_ids: Iterable[str]) -> int:
        """Add trials to a lineage; return how many distinct ones it has now.

        Raises
        ------
        InvariantError : an id is not 16 hexadecimal digits.
        """
        given = _pack(trial_ids)
        known = self._union(lineage)
        fresh = np.setdiff1d(given, known, assume_unique=True)
        if len(fresh):
            self._store.put_entry(lineage, fresh.astype(PACKED).tobytes())
        return len(known) + len(fresh)

    def count(self, lineage: str) -> int:
        """Return how many distinct trials were ever run on the lineage."""
        return len(self._union(lineage))

    def ids(self, lineage: str) -> list[str]:
        """Return their ids, sorted."""
        return [f"{int(packed):016x}" for packed in self._union(lineage)]

    def _union(self, lineage: str) -> NDArray[np.uint64]:
        entries = [np.frombuffer(data, PACKED).astype(np.uint64) for data in self._store.entries(lineage)]
        return np.unique(np.concatenate(entries)) if entries else np.zeros(0, np.uint64)


def _pack(trial_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return ids as sorted distinct numbers."""
    ids = list(trial_ids)
    wrong = next((each for each in ids if not TRIAL_ID.fullmatch(each)), None)
    if wrong is not None:
        raise InvariantError(f"{wrong!r} is not a trial id: 16 hexadecimal digits are expected")
    packed = np.frombuffer(bytes.fromhex("".join(ids)), PACKED)
    return np.unique(packed.astype(np.uint64))
