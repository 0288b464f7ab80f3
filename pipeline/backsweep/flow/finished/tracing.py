"""Which manifests used an object: a returns matrix, a data set, the weights or returns of a unit, any digest at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from backsweep.errors import MissingObjectError, UserError, VerificationError
from backsweep.flow.finished.history import StoredManifest, describe_manifest, kept_manifests
from backsweep.stores.layout import DIGEST
from backsweep.stores.manifest import Manifest, parse_manifest, parse_unit_index
from backsweep.stores.opening import AnyStore

__all__ = ["uses_of"]

ASKED = re.compile(r"[0-9a-f]{8,64}")


class _Search:
    """One search through a store; units, data sets and lists of units that manifests share are read once."""

    def __init__(self, store: AnyStore, beginning: str) -> None:
        self.store = store
        self.found: set[str] = set()  # whole digests that begin so
        self._beginning = beginning
        self._indices: dict[str, dict[str, str]] = {}
        self._datasets: dict[str, list[str]] = {}

    def is_meant(self, text: Any) -> bool:
        """Whether `text` begins as was asked; if so, it is noted."""
        meant = isinstance(text, str) and text.startswith(self._beginning) and DIGEST.fullmatch(text) is not None
        if meant:
            self.found.add(text)
        return meant

    def places(self, value: Any, path: str) -> Iterator[str]:
        """Yield where in a tree of plain values the digest stands, as paths."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from self.places(item, f"{path}.{key}")
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self.places(item, f"{path}[{number}]")
        elif self.is_meant(value):
            yield path

    def index_of(self, manifest: Manifest) -> dict[str, str]:
        """Return unit id -> digest of its record; empty where the list of units is gone."""
        digest = str(manifest.result.get("units", {}).get("index"))
        if digest not in self._indices:
            try:
                self._indices[digest] = parse_unit_index(self.store.get_object(digest))
            except MissingObjectError:
                self._indices[digest] = {}
        return self._indices[digest]

    def in_dataset(self, digest: str) -> list[str]:
        """Return where a data set's own description names the digest."""
        if digest not in self._datasets:
            try:
                described = json.loads(self.store.get_object(digest))
            except MissingObjectError:
                described = {}
            named = {"arrays": described.get("arrays"), "features": described.get("features")}
            self._datasets[digest] = [place.lstrip(".") for place in self.places(named, "")]
        return self._datasets[digest]


def uses_of(store: AnyStore, beginning: str) -> list[dict[str, Any]]:
    """Return every manifest that used what the digest names, and as what.

    Searched are each manifest itself, its data sets with their arrays, its units and the objects these name; manifests
    that were replaced count as well.

    Raises
    ------
    UserError
        If it is no beginning of a digest, or several digests begin so.
    """
    if not ASKED.fullmatch(beginning):
        raise UserError(f"--object {beginning}: 8 to 64 hexadecimal digits of a digest are expected")
    search = _Search(store, beginning)
    manifests = [(each, manifest) for each, manifest in _readable(store)]
    units = {unit_id for _, manifest in manifests for unit_id in search.index_of(manifest)}
    objects = {unit_id: uses for unit_id, uses in _units(search, sorted(units)) if uses}
    used = []
    for stored, manifest in manifests:
        uses = [{"as": "this manifest"}] if search.is_meant(stored.digest) else []
        uses += [{"as": place} for place in search.places(manifest.result, "result")]
        uses += [{"as": place} for place in search.places(manifest.run, "run")]
        uses += _data_uses(search, manifest)
        for unit_id, record in search.index_of(manifest).items():
            if search.is_meant(unit_id) or search.is_meant(record):
                uses.append({"as": "unit", "unit": unit_id})
            uses += [{"as": use, "unit": unit_id} for use in objects.get(unit_id, [])]
        if uses:
            used.append({**describe_manifest(stored), "uses": uses})
    if len(search.found) > 1:
        listed = ", ".join(f"{digest[:16]}..." for digest in sorted(search.found)[:4])
        raise UserError(
            f"--object {beginning}: {len(search.found)} digests begin with this ({listed}); give more of it"
        )
    return sorted(used, key=lambda each: str(each["startedAt"] or ""), reverse=True)


def _readable(store: AnyStore) -> Iterator[tuple[StoredManifest, Manifest]]:
    """Yield the manifests that can be read, the replaced ones too."""
    for chain in kept_manifests(store):
        for each in chain:
            try:
                yield each, parse_manifest(each.data)
            except VerificationError:
                continue  # history shows it as damaged


def _units(search: _Search, unit_ids: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield as what each unit's record names the digest."""
    for unit_id, record, _ in search.store.get_units(unit_ids):
        kind = str(record.get("kind", "unit"))
        yield unit_id, [f"{kind}{place}" for place in search.places(record.get("objects"), "")]


def _data_uses(search: _Search, manifest: Manifest) -> list[dict[str, Any]]:
    uses = []
    for dataset in manifest.run.get("datasets", []):
        uses += [{"as": f"data {dataset['label']}, {place}"} for place in search.in_dataset(str(dataset["object"]))]
    return uses
