"""What differs between two finished sweeps: inputs first, because they are the reason, then units and trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.errors import UserError
from backsweep.flow.finished.history import find_stored, kept_manifests
from backsweep.flow.finished.reopen import names_manifest, open_manifest
from backsweep.flow.finished.trial_difference import compare_trials
from backsweep.stores.manifest import Manifest, parse_manifest, parse_unit_index, result_digest
from backsweep.stores.opening import AnyStore
from backsweep_api.canonical import canonical_json

__all__ = ["Side", "compare_sweeps", "open_side"]

# The result's other parts are what came of the inputs.
CONSEQUENCES = frozenset({"document", "data", "objects", "units", "returns", "trials", "best", "luck", "specDigest"})


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sweeps: its manifest, that manifest's digest, and the store with what it names."""

    digest: str
    manifest: Manifest
    store: AnyStore


def open_side(
    place: str, open_store: Callable[[], AnyStore], endpoint_url: str | None = None, region: str | None = None
) -> Side:
    """Return the sweep that `place` names: as `open_manifest` does, or a manifest's digest, or a sweep's name.

    Parameters
    ----------
    open_store : opens the store in which digests and names are looked up.
    endpoint_url, region : of a bucket that `place` names.

    Raises
    ------
    UserError
        If nothing, or more than one, is called so.
    """
    if names_manifest(place):
        store, data = open_manifest(place, endpoint_url, region)
        return Side(hashlib.sha256(data).hexdigest(), parse_manifest(data), store)
    store = open_store()
    named = [chain[0] for chain in kept_manifests(store, place)]
    if len(named) > 1:
        raise UserError(
            f"{place}: the store {store.uri} has {len(named)} manifests of sweeps of this name, of different "
            "documents; give one's digest from backsweep history"
        )
    stored = named[0] if named else find_stored(store, place)
    return Side(stored.digest, parse_manifest(stored.data), store)


def compare_sweeps(one: Side, other: Side) -> dict[str, Any]:
    """Return what differs, as plain values.

    Equal are two sweeps with the same resultDigest, which is computed anew here.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        If a store lacks what a manifest names.
    """
    digests = [result_digest(side.manifest.result) for side in (one, other)]
    return {
        "a": _described(one, digests[0]),
        "b": _described(other, digests[1]),
        "equal": digests[0] == digests[1],
        "inputs": {
            "document": list(_paths(one.manifest.result["document"], other.manifest.result["document"], "spec")),
            "data": list(_data(one, other)),
            "environment": list(_paths(_rest(one.manifest), _rest(other.manifest), "")),
            "versions": list(_paths(_versions(one.manifest), _versions(other.manifest), "")),
        },
        "units": _units(one, other),
        "trials": compare_trials(_table(one), _table(other), one.manifest.result, other.manifest.result),
    }


def _described(side: Side, digest: str) -> dict[str, Any]:
    run = side.manifest.run
    return {"manifest": side.digest, "name": run["name"], "startedAt": run["startedAt"], "resultDigest": digest}


def _rest(manifest: Manifest) -> dict[str, Any]:
    return {key: value for key, value in manifest.result.items() if key not in CONSEQUENCES}


def _versions(manifest: Manifest) -> dict[str, Any]:
    versions: dict[str, Any] = manifest.run.get("versions", {})
    return versions


def _table(side: Side) -> bytes:
    return side.store.get_object(side.manifest.result["objects"]["trials"])


def _paths(one: Any, other: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield where two trees differ; of lists of values, which stand in one only; absent is None."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _paths(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list):
        yield from _lists(one, other, path)
    elif canonical_json(one) != canonical_json(other):
        yield {"path": path, "a": one, "b": other}


def _lists(one: list[Any], other: list[Any], path: str) -> Iterator[dict[str, Any]]:
    """Yield how two lists differ: one entry that is a mapping on either side field by field, others as values."""
    if len(one) == len(other) == 1 and isinstance(one[0], Mapping) and isinstance(other[0], Mapping):
        yield from _paths(one[0], other[0], f"{path}[0]")
        return
    left, right = ({canonical_json(item): item for item in items} for items in (one, other))
    only = {
        "onlyA": [item for key, item in left.items() if key not in right],
        "onlyB": [item for key, item in right.items() if key not in left],
    }
    if any(only.values()):
        yield {"path": path, **only}
    elif list(left) != list(right):
        yield {"path": path, "a": one, "b": other}  # the first value of a scenario axis is its base


def _data(one: Side, other: Side) -> Iterator[dict[str, Any]]:
    """Yield each data set that is not the same in both, joined by label."""
    left, right = _datasets(one), _datasets(other)
    for label in dict.fromkeys([*left, *right]):
        a, b = left.get(label), right.get(label)
        if a is None or b is None or a["digest"] != b["digest"]:
            first = None if a is None else _Matrix(one.store, a)
            second = None if b is None else _Matrix(other.store, b)
            found = {"label": label, "a": first and first.described(), "b": second and second.described()}
            yield {**found, **(first.against(second) if first and second else {})}


def _datasets(side: Side) -> dict[str, dict[str, Any]]:
    described, contents = side.manifest.run["datasets"], side.manifest.result["data"]
    return {place["label"]: {**place, **content} for place, content in zip(described, contents, strict=True)}


class _Matrix:
    """A data set's returns, with their dates and symbols."""

    def __init__(self, store: AnyStore, dataset: Mapping[str, Any]) -> None:
        named = json.loads(store.get_object(dataset["object"]))
        self._digest = dataset["digest"]
        self.symbols: list[str] = named["symbols"]
        self.dates = store.open_array(named["arrays"]["dates"]).view("datetime64[D]")
        self.returns = store.open_array(named["arrays"]["simulation"])

    def described(self) -> dict[str, Any]:
        """Return what identifies it."""
        first, last = (str(self.dates[row]) for row in (0, -1))
        return {
            "digest": self._digest,
            "first": first,
            "last": last,
            "rows": len(self.dates),
            "assets": len(self.symbols),
        }

    def against(self, other: _Matrix) -> dict[str, Any]:
        """Return how another one's rows, assets and values differ; values are compared where both have them."""
        shared = [symbol for symbol in self.symbols if symbol in set(other.symbols)]
        _, mine, theirs = np.intersect1d(self.dates, other.dates, return_indices=True)
        left = self.returns[mine][:, [self.symbols.index(symbol) for symbol in shared]]
        right = other.returns[theirs][:, [other.symbols.index(symbol) for symbol in shared]]
        changed = ~((left == right) | (np.isnan(left) & np.isnan(right)))
        rows, columns = np.nonzero(changed)
        first = None
        if len(rows):
            first = {"date": str(self.dates[mine[rows[0]]]), "asset": shared[columns[0]]}
        return {
            "rowsOnlyA": len(self.dates) - len(mine),
            "rowsOnlyB": len(other.dates) - len(theirs),
            "assetsOnlyA": _without(self.symbols, shared),
            "assetsOnlyB": _without(other.symbols, shared),
            "changedReturns": len(rows),
            "firstChange": first,
        }


def _without(symbols: Sequence[str], shared: Sequence[str]) -> list[str]:
    known = set(shared)
    return [symbol for symbol in symbols if symbol not in known]


def _units(one: Side, other: Side) -> dict[str, Any]:
    """Return which units only one has; one that both have with other bytes should not be possible."""
    left, right = _listed(one), _listed(other)
    return {
        "common": len(left.keys() & right.keys()),
        "onlyA": sorted(left.keys() - right.keys()),
        "onlyB": sorted(right.keys() - left.keys()),
        "otherBytes": sorted(unit_id for unit_id in left.keys() & right.keys() if left[unit_id] != right[unit_id]),
    }


def _listed(side: Side) -> dict[str, str]:
    return parse_unit_index(side.store.get_object(side.manifest.result["units"]["index"]))
