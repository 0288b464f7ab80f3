"""Verifies a finished sweep: everything its manifest names is there and hashes to its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from backsweep.errors import CorruptObjectError, MissingObjectError, StoreError, VerificationError
from backsweep.ports import Store
from backsweep.stores.manifest import Manifest, parse_manifest, parse_unit_index, result_digest
from backsweep.stores.records import record_digest

__all__ = ["verify"]

DIGEST = re.compile(r"[0-9a-f]{64}")


def verify(store: Store, data: bytes) -> list[str]:
    """Return the differences between a manifest and what the store holds, the first one first.

    Checked: resultDigest; every object `result.objects` names; the list of units; each unit's record
    against its hash; every object a record names. An object is read once. The store is not changed.
    """
    try:
        manifest = parse_manifest(data)
    except VerificationError as error:
        return [str(error)]
    return list(_differences(store, manifest))


def _differences(store: Store, manifest: Manifest) -> Iterator[str]:
    result = manifest.result
    found = result_digest(result)
    if found != manifest.stated_digest:
        yield f"resultDigest is {manifest.stated_digest}, but the result hashes to {found}"
    checked: dict[str, str | None] = {}
    objects = result.get("objects")
    if not isinstance(objects, dict):
        yield "result.objects is missing: the manifest names no objects"
        objects = {}
    for name, named in sorted(objects.items()):
        yield from _object_differences(store, named, f"result.objects.{name}", checked)
    yield from _unit_differences(store, result.get("units"), checked)


def _unit_differences(store: Store, units: Any, checked: dict[str, str | None]) -> Iterator[str]:
    """Yield what is wrong with the list of units, their records and the objects these name."""
    if not isinstance(units, dict) or not isinstance(units.get("index"), str):
        yield "result.units.index is missing: the manifest names no list of units"
        return
    try:
        listed = parse_unit_index(store.get_object(units["index"]))
    except (MissingObjectError, CorruptObjectError, StoreError, VerificationError) as error:
        yield f"result.units.index: {error}"
        return
    if units.get("count") != len(listed):
        yield f"result.units.count is {units.get('count')}, but {len(listed)} units are listed"
    for unit_id, stated in sorted(listed.items()):
        try:
            record = store.get_unit(unit_id)
        except (CorruptObjectError, StoreError) as error:
            yield str(error)
            continue
        if record is None:
            yield f"unit {unit_id} is not in the store"
        elif (found := record_digest(record)) != stated:
            yield f"unit {unit_id} is listed with a record that hashes to {stated}; it hashes to {found}"
        else:
            for named in _digests(record.get("objects")):
                yield from _object_differences(store, named, f"unit {unit_id}", checked)


def _object_differences(store: Store, named: Any, where: str, checked: dict[str, str | None]) -> Iterator[str]:
    """Yield what is wrong with one object, the first time it is met."""
    if not isinstance(named, str) or not DIGEST.fullmatch(named):
        yield f"{where}: {named!r} is not a digest"
        return
    if named not in checked:
        try:
            store.get_object(named)
        except (MissingObjectError, CorruptObjectError) as error:
            checked[named] = str(error)
            yield f"{where}: {error}"
        else:
            checked[named] = None


def _digests(value: Any) -> Iterator[str]:
    """Yield the digests a record's `objects` names, however they are nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _digests(value[key])
    elif isinstance(value, list):
        for each in value:
            yield from _digests(each)
