"""Heals a store after a power cut: units whose records or objects are damaged are forgotten, to be computed again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backsweep.errors import CorruptObjectError, MissingObjectError
from backsweep.flow.prepare import Prepared

__all__ = ["forget_damaged"]


def forget_damaged(prepared: Prepared) -> int:
    """Discard every stored unit of the plan, and data set, that is damaged; return how many there were.

    Everything the plan has in the store is read and re-hashed: this happens only after damage was met.
    """
    store = prepared.store
    damaged = 0
    for identity in [*prepared.references, *prepared.plan.unit_ids()]:
        try:
            record = store.get_unit(identity)
            for digest in _digests(record or {}):
                store.get_object(digest)
        except (CorruptObjectError, MissingObjectError):
            store.discard_unit(identity)
            damaged += 1
    return damaged


def _digests(record: dict[str, Any]) -> Iterator[str]:
    yield from record.get("objects", {}).values()
