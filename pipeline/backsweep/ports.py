"""What the pure core needs from outside: a store, an executor, a source. Adapters implement them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

__all__ = ["BlockOutcome", "Executor", "ManifestKey", "Store", "UnitWriter", "Versioned"]

Block = TypeVar("Block")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ManifestKey:
    """Where the manifest of a sweep stands: sweeps/<namespace>/<name>/<spec_digest>/manifest.json."""

    namespace: str
    name: str
    spec_digest: str


@dataclass(frozen=True, slots=True)
class Versioned:
    """Bytes that can be replaced, with the tag a conditional write must name."""

    data: bytes
    tag: str


class UnitWriter(Protocol):
    """Stores the units of a block, several at once where the store is far away; each unit's objects before its record.

    Units may be under way when `put` returns; `finish` waits for them. A record without its objects is never there.
    """

    def put(
        self, unit_id: str, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[dict[str, Any], str]:
        """Store the arrays, then the record with their digests as `objects`; return that record and its digest.

        Raises
        ------
        UserError, TransientError : of this unit or one before, which could not be stored.
        """

    def finish(self) -> None:
        """Wait until all is stored, or raise what went wrong."""


class Store(Protocol):
    """Content-addressed bytes, unit records and manifests; safe with several writers.

    Every write is atomic: a reader sees all of it or nothing, whenever a process is killed.
    """

    uri: str

    def put_object(self, data: bytes) -> str:
        """Store `data` under its sha256 (hex) unless it is there, and return that digest."""

    def get_object(self, digest: str) -> bytes:
        """Return the bytes, verified against `digest`.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """

    def put_array(self, array: NDArray[Any]) -> str:
        """Store an array as .npy bytes (C order, little endian, no pickle) and return their digest."""

    def open_array(self, digest: str) -> NDArray[Any]:
        """Return a stored array, read-only and verified; a memory map where the store is a folder.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """

    def open_arrays(self, digests: Iterable[str]) -> Iterator[NDArray[Any]]:
        """Yield stored arrays in the order asked, as `open_array` does; what comes next may be on its way already.

        Raises
        ------
        MissingObjectError, CorruptObjectError
        """

    def faults(self, digests: Iterable[str]) -> Iterator[str | None]:
        """Yield for each object, in the order asked, what is wrong with it in one sentence; None where it is whole."""

    def has_object(self, digest: str) -> bool:
        """Whether the object exists (its bytes are not read)."""

    def put_unit(self, unit_id: str, record: Mapping[str, Any]) -> str:
        """Store a unit's record (JSON) unless one is there, and return the digest of its bytes; the first one stays."""

    def get_unit(self, unit_id: str) -> dict[str, Any] | None:
        """Return a unit's record, or None."""

    def get_units(self, unit_ids: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield those of `unit_ids` that are stored, in their order: id, record, digest of the record's bytes.

        What comes next may be on its way already; the digest spares whoever lists the units a second reading.
        """

    def unit_writer(self) -> AbstractContextManager[UnitWriter]:
        """Return a writer for the units of a block; leaving it by an error stores no more."""

    def present_units(self, unit_ids: Iterable[str]) -> set[str]:
        """Return those of `unit_ids` that are stored."""

    def get_manifest(self, key: ManifestKey) -> Versioned | None:
        """Return the sweep's manifest and its tag, or None."""

    def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
        """Write the manifest if its tag is still `expected` (None: if there is none).

        Raises
        ------
        ManifestConflictError
        """


@dataclass(frozen=True, slots=True)
class BlockOutcome(Generic[Result]):
    """One finished block: its index in the order given, and what the work returned."""

    index: int
    result: Result


class Executor(Protocol):
    """Runs blocks of units; in which order and where changes nothing but speed."""

    def run(self, blocks: Iterable[Block], work: Callable[[Block], Result]) -> Iterator[BlockOutcome[Result]]:
        """Yield outcomes as blocks finish, in any order, each block exactly once.

        Raises
        ------
        WorkerLostError, BlockTimeoutError
        """
