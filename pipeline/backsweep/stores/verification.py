"""Verifies a finished sweep: everything its manifest names is there and hashes to its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from backsweep.errors import CorruptObjectError, MissingObjectError, StoreError, VerificationError
from backsweep.ports import Store
from backsweep.stores.layout import DIGEST
from backsweep.stores.manifest import Manifest, parse_manifest, parse_unit_index, result_digest

__all__ = ["verify"]

UNITS_AT_ONCE = 512  # records held while their objects are read


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
    objects = _Objects(store)
    named = result.get("objects")
    if not isinstance(named, dict):
        yield "result.objects is missing: the manifest names no objects"
        named = {}
    for name, digest in sorted(named.items()):
        yield from objects.differences(digest, f"result.objects.{name}")
    yield from _unit_differences(store, result.get("units"), objects)
    yield from _dataset_differences(store, manifest, objects)


class _Objects:
    """The objects met so far: each is read once, and what is wrong with it is told once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults: dict[str, str | None] = {}
        self._told: set[str] = set()

    def read(self, digests: Iterable[Any]) -> None:
        """Read and hash those that were not met yet, side by side where the store is far away."""
        asked = dict.fromkeys(digest for digest in digests if _is_digest(digest))
        fresh = [digest for digest in asked if digest not in self._faults]
        self._faults.update(zip(fresh, self._store.faults(fresh), strict=True))

    def is_whole(self, digest: Any) -> bool:
        """Whether it was met and is whole."""
        return self._faults.get(str(digest), "not read") is None

    def differences(self, digest: Any, where: str) -> Iterator[str]:
        """Yield what is wrong with one object, the first time it is met."""
        if not _is_digest(digest):
            yield f"{where}: {digest!r} is not a digest"
            return
        self.read([digest])
        fault = self._faults[digest]
        if fault is not None and digest not in self._told:
            self._told.add(digest)
            yield f"{where}: {fault}"


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _unit_differences(store: Store, units: Any, objects: _Objects) -> Iterator[str]:
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
    ids = sorted(listed)
    for start in range(0, len(ids), UNITS_AT_ONCE):
        some = ids[start : start + UNITS_AT_ONCE]
        try:
            found = {unit_id: (record, digest) for unit_id, record, digest in store.get_units(some)}
        except (CorruptObjectError, StoreError) as error:
            yield str(error)
            return
        objects.read(named for record, _ in found.values() for named in _digests(record.get("objects")))
        for unit_id in some:
            if unit_id not in found:
                yield f"unit {unit_id} is not in the store"
                continue
            record, digest = found[unit_id]
            if digest != listed[unit_id]:
                yield f"unit {unit_id} is listed with a record that hashes to {listed[unit_id]}; it hashes to {digest}"
                continue
            for named in _digests(record.get("objects")):
                yield from objects.differences(named, f"unit {unit_id}")


def _dataset_differences(store: Store, manifest: Manifest, objects: _Objects) -> Iterator[str]:
    """Yield what is wrong with the data sets: where they stand may differ from run to run, what they hold may not."""
    places, contents = _mappings(manifest.run.get("datasets")), _mappings(manifest.result.get("data"))
    if len(places) != len(contents):
        yield f"run.datasets names {len(places)} data sets, result.data {len(contents)}"
        return
    for number, (place, content) in enumerate(zip(places, contents, strict=True)):
        where, named, stated = f"run.datasets[{number}]", place.get("object"), content.get("digest")
        yield from objects.differences(named, where)
        if not objects.is_whole(named):
            continue
        described = _description(store.get_object(str(named)))
        if described.get("digest") != stated:
            yield f"{where} holds the data {described.get('digest')}; the result was computed from {stated}"
        arrays = sorted((described.get("arrays") or {}).items())
        objects.read(digest for _, digest in arrays)
        for name, digest in arrays:
            yield from objects.differences(digest, f"{where}, {name}")


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
