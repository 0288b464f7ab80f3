"""Named data sets of a store: a version is a list of files by digest, a name is a log of versions.

A version's record stands among the units, as `data-<version>`, so that garbage collection keeps its files. Names and
their versions are lineages of immutable entries, as the ledger's are: two that import at once add an entry each, and
neither can lose the other's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from backsweep.errors import DataError, MissingObjectError
from backsweep.ports import Store
from backsweep.stores.ledger import LedgerStore
from backsweep_api.canonical import canonical_json

__all__ = [
    "DataVersion",
    "VersionedStore",
    "add_version",
    "check_name",
    "find_version",
    "has_version",
    "names",
    "read_version",
    "versions",
]

NAME = re.compile(r"[a-z0-9][-a-z0-9._]{0,62}")
SHORTEST = 8  # digits of a version that somebody must write
NAMES = "data sets"


class VersionedStore(Store, LedgerStore, Protocol):
    """What named data sets need of a store."""


@dataclass(frozen=True, slots=True)
class DataVersion:
    """One entry of a name's log.

    Parameters
    ----------
    version : name of the content; see `read_version`.
    number : one more than the highest that was there when it was added.
    imported_at : ISO time; decides only between two that were added at once.
    source : where it came from, as it was given.
    """

    name: str
    version: str
    number: int
    imported_at: str
    source: str


def add_version(store: VersionedStore, version: DataVersion, record: Mapping[str, Any]) -> bool:
    """Store a version's record and make it the newest of its name; return False where it is that already.

    Its files must be stored before. `version.number` is set here.

    Raises
    ------
    DataError : the name cannot be one.
    """
    check_name(version.name)
    store.put_unit(_unit(version.version), record)
    known = versions(store, version.name)
    if known and known[-1].version == version.version:
        return False
    number = known[-1].number + 1 if known else 1
    store.put_entry(_log(version.name), canonical_json({**asdict(version), "number": number}))
    store.put_entry(NAMES, canonical_json({"name": version.name}))
    return True


def names(store: VersionedStore) -> list[str]:
    """Return the names there are, sorted."""
    return sorted({str(json.loads(data)["name"]) for data in store.entries(NAMES)})


def versions(store: VersionedStore, name: str) -> list[DataVersion]:
    """Return a name's log, the newest last; empty where there is no such name."""
    found = [DataVersion(**json.loads(data)) for data in store.entries(_log(name))]
    return sorted(found, key=lambda each: (each.number, each.imported_at, each.version))


def find_version(store: VersionedStore, place: str) -> DataVersion:
    """Return the entry that NAME (its newest) or NAME@version means; the version's first digits are enough.

    Raises
    ------
    DataError : there is no such name or version, or the digits begin several.
    """
    name, separator, wanted = place.partition("@")
    check_name(name)
    known = versions(store, name)
    if not known:
        there = names(store)
        hint = f"there is {', '.join(there)}" if there else "it holds none; backsweep data import brings one"
        raise DataError(f'the store {store.uri} has no data set "{name}"; {hint}')
    if not separator:
        return known[-1]
    if len(wanted) < SHORTEST or not re.fullmatch(r"[0-9a-f]{1,64}", wanted):
        raise DataError(f'{place}: "{wanted}" is not a version; write {SHORTEST} or more of its hexadecimal digits')
    found = {each.version: each for each in known if each.version.startswith(wanted)}
    if len(found) != 1:
        many = "more than one version that begins" if found else "no version that begins"
        raise DataError(f'{place}: "{name}" has {many} with {wanted}; its newest is {known[-1].version[:16]}')
    return next(iter(found.values()))


def read_version(store: Store, version: str) -> dict[str, Any]:
    """Return a version's record.

    Raises
    ------
    MissingObjectError : the store lacks it.
    """
    record = store.get_unit(_unit(version))
    if record is None:
        raise MissingObjectError(f"the store {store.uri} has no record of the data version {version}; import it again")
    return record


def has_version(store: Store, version: str) -> bool:
    """Whether the store holds the version's record."""
    return bool(store.present_units([_unit(version)]))


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a data set.

    Raises
    ------
    DataError
    """
    if not NAME.fullmatch(name):
        raise DataError(
            f'"{name}" cannot be the name of a data set; write up to 63 lower-case letters, digits and - _ .'
        )


def _unit(version: str) -> str:
    return f"data-{version}"


def _log(name: str) -> str:
    return f"data set {name}"
