"""Garbage collection: deletes what nothing names, once it is old enough that nothing is about to.

What a killed sweep leaves are objects whose unit record was never written, and temporary files. Unit
records and manifests are never deleted: they are what the store remembers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from backsweep.errors import StoreError

__all__ = ["MIN_AGE_SECONDS", "REFRESH_SECONDS", "Collectable", "Collection", "Stored", "StoredFile", "collect"]

DAY_SECONDS = 86_400.0
MIN_AGE_SECONDS = 7 * DAY_SECONDS

# A writer that finds an object older than this renews its time, so that collection sees it as new.
REFRESH_SECONDS = DAY_SECONDS

NAMED = re.compile(rb"[0-9a-f]{64}")


class Stored(Protocol):
    """An object or draft: its name (an object's is its digest), how large, when written or refreshed (Unix time)."""

    @property
    def name(self) -> str:
        """The last part of where it stands."""

    @property
    def size_bytes(self) -> int:
        """Its bytes, as the store lists them."""

    @property
    def modified_seconds(self) -> float:
        """When it was written or refreshed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What is `Stored` in a folder."""

    path: Path
    size_bytes: int
    modified_seconds: float

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


Entry = TypeVar("Entry", bound=Stored)


@dataclass(frozen=True, slots=True)
class Collection:
    """What was deleted, or would be, and what stays."""

    objects: int
    object_bytes: int
    drafts: int
    draft_bytes: int
    kept_objects: int
    kept_bytes: int
    dry_run: bool


class Collectable(Protocol[Entry]):
    """What garbage collection needs of a store."""

    def stored_objects(self) -> Iterator[Entry]:
        """Yield every object."""

    def drafts(self) -> Iterator[Entry]:
        """Yield every draft: what a killed writer may have left that never became an object."""

    def referring(self) -> Iterator[bytes]:
        """Yield the bytes of everything that names objects: unit records and manifests."""

    def delete(self, stored: Entry) -> bool:
        """Delete it unless it was refreshed since it was listed; return whether it was."""


def collect(
    store: Collectable[Any], now_seconds: float, age_seconds: float = MIN_AGE_SECONDS, *, dry_run: bool = False
) -> Collection:
    """Delete unreferenced objects and temporary files older than `age_seconds`.

    Whatever reads like a digest in a unit record or manifest counts as a reference. Anything that
    cannot be read stops the collection before it deletes.

    Raises
    ------
    StoreError : the age is under two days, within which a running sweep may be about to name an object.
    """
    if age_seconds < 2 * REFRESH_SECONDS:
        raise StoreError(
            f"gc deletes what is older than {age_seconds / DAY_SECONDS:g} days; at least 2 are needed, "
            "because a running sweep may be about to use what is younger"
        )
    oldest = now_seconds - age_seconds
    objects: list[Stored] = list(store.stored_objects())
    drafts: list[Stored] = [stored for stored in store.drafts() if stored.modified_seconds < oldest]
    named: set[bytes] = set()
    for data in store.referring():
        named.update(NAMED.findall(data))
    loose = [stored for stored in objects if stored.modified_seconds < oldest and stored.name.encode() not in named]
    if not dry_run:
        loose = [stored for stored in loose if store.delete(stored)]
        drafts = [stored for stored in drafts if store.delete(stored)]
    gone = sum(stored.size_bytes for stored in loose)
    return Collection(
        objects=len(loose),
        object_bytes=gone,
        drafts=len(drafts),
        draft_bytes=sum(stored.size_bytes for stored in drafts),
        kept_objects=len(objects) - len(loose),
        kept_bytes=sum(stored.size_bytes for stored in objects) - gone,
        dry_run=dry_run,
    )
