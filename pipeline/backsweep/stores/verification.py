"""Verifies a finished sweep: everything its manifest names is there and hashes to its name."""

from __future__ import annotations

import json
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
    against its hash; every object a record names; every data set (`run.datasets`) with its arrays, and
    that it is the one the result was computed from (`result.data`). An object is read once. The store is
    not changed.
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
    yield from _dataset_differences(store, manifest, checked)


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


def _dataset_differences(store: Store, manifest: Manifest, checked: dict[str, str | None]) -> Iterator[str]:
    """Yield what is wrong with the data sets: where they stand may differ from run to run, what they hold may not."""
    places, contents = _mappings(manifest.run.get("datasets")), _mappings(manifest.result.get("data"))
    if len(places) != len(contents):
        yield f"run.datasets names {len(places)} data sets, result.data {len(contents)}"
        return
    for number, (place, content) in enumerate(zip(places, contents, strict=True)):
        where, named, stated = f"run.datasets[{number}]", place.get("object"), content.get("digest")
        yield from _object_differences(store, named, where, checked)
        if checked.get(str(named), "not read") is not None:
            continue
        described = _description(store.get_object(str(named)))
        if described.get("digest") != stated:
            yield f"{where} holds the data {described.get('digest')}; the result was computed from {stated}"
        for part in ("arrays", "features"):
            for name, array in sorted((described.get(part) or {}).items()):
                yield from _object_differences(store, array, f"{where}, {name}", checked)


def _mappings(value: Any) -> list[dict[str, Any]]:
    """Return the mappings of a list that anyone may have written."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _description(data: bytes) -> dict[str, Any]:
    """Return a data set's describing object; empty where the bytes are something else."""
    try:
        described = json.loads(data)
    except ValueError:
        return {}
    return described if isinstance(described, dict) else {}


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
