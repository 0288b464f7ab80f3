"""The manifest: the one small JSON that names everything a finished sweep consists of, by digest.

    schema        which form this is
    resultDigest  hash of `result`
    result        deterministic; among the rest (document, seeds, numeric environment):
        objects   name -> digest of what the sweep leaves (trials table, returns, data sets, ...)
        units     {count, index}: how many units, and the digest of the object that lists them
    run           how it came about: timings, versions, host, `parent` (digest of the manifest replaced, whose
                  bytes are kept as an object under that digest: the chain can be walked to its beginning)

The list of units is an object of its own, because a manifest stays small whatever the sweep's size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backsweep.errors import ManifestConflictError, MissingObjectError, VerificationError
from backsweep.ports import ManifestKey, Store
from backsweep.stores.layout import DIGEST
from backsweep_api.canonical import canonical_json, canonical_value, digest

__all__ = [
    "SCHEMA",
    "Committed",
    "Manifest",
    "build_manifest",
    "build_unit_index",
    "commit",
    "earlier_manifests",
    "parent_of",
    "parse_manifest",
    "parse_unit_index",
    "result_digest",
]

SCHEMA = "backsweep.dev/manifest/v1"
UNIT_INDEX = "backsweep.dev/units/v1"
MOST_COMMIT_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, read: `stated_digest` is what it says of itself, not checked."""

    stated_digest: str
    result: dict[str, Any]
    run: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Committed:
    """How a commit ended: `written` is False where a manifest with the same result stood there already."""

    data: bytes
    result_digest: str
    written: bool


def result_digest(result: Mapping[str, Any]) -> str:
    """Return the hash that says whether two runs came to the same result."""
    return digest(result)


def build_manifest(result: Mapping[str, Any], run: Mapping[str, Any]) -> bytes:
    """Return the manifest's bytes, indented for people; the same parts give the same bytes."""
    parts = {"schema": SCHEMA, "resultDigest": result_digest(result), "result": result, "run": run}
    text = json.dumps(canonical_value(parts), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that stands in `data`.

    Raises
    ------
    VerificationError : it is not JSON, or not a manifest of this schema.
    """
    parts = _parse(data, "manifest", SCHEMA)
    stated, result, run = (parts.get(name) for name in ("resultDigest", "result", "run"))
    if not (isinstance(stated, str) and isinstance(result, dict) and isinstance(run, dict)):
        raise VerificationError("the manifest has no resultDigest, result and run; it was not written by backsweep")
    return Manifest(stated, result, run)


def build_unit_index(digests: Mapping[str, str]) -> bytes:
    """Return the object that lists units: each id with the digest of its record, sorted by id."""
    return canonical_json({"schema": UNIT_INDEX, "units": digests})


def parse_unit_index(data: bytes) -> dict[str, str]:
    """Return unit id -> digest of its record.

    Raises
    ------
    VerificationError : the bytes are not a list of units.
    """
    units = _parse(data, "list of units", UNIT_INDEX).get("units")
    if not isinstance(units, dict) or not all(isinstance(value, str) for value in units.values()):
        raise VerificationError("the list of units maps no unit ids to digests; it was not written by backsweep")
    return units


def commit(store: Store, key: ManifestKey, result: Mapping[str, Any], run: Mapping[str, Any]) -> Committed:
    """Make this the sweep's manifest, in one conditional write.

    A manifest with the same result is left as it is: the sweep was finished before. Another one is
    kept as an object, replaced, and named as `run.parent`, so that manifests form a chain. When another
    run commits in between, its manifest is read and the same question asked again.

    Raises
    ------
    ManifestConflictError : others kept committing in between.
    """
    wanted = result_digest(result)
    for _ in range(MOST_COMMIT_ATTEMPTS):
        found = store.get_manifest(key)
        if found is not None and _same_result(found.data, wanted):
            return Committed(found.data, wanted, written=False)
        # Before it is replaced: a kill in between leaves an object too many, never a chain with a gap.
        parent = {} if found is None else {"parent": store.put_object(found.data)}
        data = build_manifest(result, {**run, **parent})
        try:
            store.commit_manifest(key, data, None if found is None else found.tag)
        except ManifestConflictError:
            continue
        return Committed(data, wanted, written=True)
    raise ManifestConflictError(f"other runs of {key.name} kept committing; run the same command again")


def parent_of(data: bytes) -> str | None:
    """Return the digest of the manifest that a manifest replaced; None for the first one, or where it is damaged."""
    try:
        parent = parse_manifest(data).run.get("parent")
    except VerificationError:
        return None
    return parent if isinstance(parent, str) and DIGEST.fullmatch(parent) else None


def earlier_manifests(data: bytes, read: Callable[[str], bytes]) -> Iterator[bytes]:
    """Yield the manifests that a manifest replaced, the latest first, as far as they are kept.

    Parameters
    ----------
    read : `get_object` of the store.

    Raises
    ------
    CorruptObjectError
    """
    while (parent := parent_of(data)) is not None:
        try:
            data = read(parent)
        except MissingObjectError:
            return
        yield data


def _same_result(data: bytes, wanted: str) -> bool:
    """Whether a stored manifest is whole and has this result; one that is damaged is replaced."""
    try:
        found = parse_manifest(data)
    except VerificationError:
        return False
    return result_digest(found.result) == found.stated_digest == wanted


def _parse(data: bytes, what: str, schema: str) -> dict[str, Any]:
    """Return the JSON object of `schema` in `data`."""
    try:
        parts = json.loads(data)
    except ValueError:
        parts = None
    if not isinstance(parts, dict):
        raise VerificationError(f"the {what} is not a JSON object")
    if parts.get("schema") != schema:
        raise VerificationError(f"the {what} has schema {parts.get('schema')!r}; this version reads {schema!r}")
    return parts
