"""What stands where in a store, as names below its root: the same in a folder and in a bucket.

backsweep-store.json                              says which format this is
objects/sha256/ab/<digest>                        immutable bytes
units/<unit id>.json                              unit records
sweeps/<namespace>/<name>/<specDigest>/           manifest.json, logs/; of a run in a pod its pages for people
lineages/<lineage>/<digest>                       see ledger
tmp/                                              drafts; only garbage collection reads them

Names are checked here, so that nothing outside the store can be named, whatever an id says.
"""

from __future__ import annotations

import hashlib
import json
import re

from backsweep.errors import StoreError
from backsweep.ports import ManifestKey
from backsweep_api.canonical import canonical_json
from backsweep_api.names import sweep_folder

__all__ = [
    "DIGEST",
    "FORMAT_BYTES",
    "FORMAT_NAME",
    "check_format",
    "lineage_name",
    "logs_name",
    "logs_place",
    "manifest_place",
    "object_name",
    "page_name",
    "sweep_name",
    "unit_name",
]

FORMAT = 1
FORMAT_NAME = "backsweep-store.json"
FORMAT_BYTES = canonical_json({"format": FORMAT, "kind": "backsweep-store"})
DIGEST = re.compile(r"[0-9a-f]{64}")
PLACE = re.compile(r"(.+)/sweeps/([^/]+)/([^/]+)/([^/]+)/(manifest\.json|logs/)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PAGE = re.compile(r"[a-z]+\.(html|png)")


def object_name(digest: str) -> str:
    """Return where an object stands."""
    if not DIGEST.fullmatch(digest):
        raise StoreError(f"{digest!r} is not a digest: 64 hexadecimal digits are expected")
    return f"objects/sha256/{digest[:2]}/{digest}"


def unit_name(unit_id: str) -> str:
    """Return where a unit's record stands."""
    if not NAME.fullmatch(unit_id):
        raise StoreError(f"{unit_id!r} cannot be a unit's id; letters, digits, '.', '_' and '-' can")
    return f"units/{unit_id}.json"


def sweep_name(key: ManifestKey) -> str:
    """Return where a sweep's manifest and logs stand."""
    for part in (key.namespace, key.name, key.spec_digest):
        if not NAME.fullmatch(part):
            raise StoreError(f"{part!r} cannot be part of a manifest's place; letters, digits, '.', '_', '-' can")
    return sweep_folder(key.namespace, key.name, key.spec_digest)


def manifest_place(uri: str) -> tuple[str, ManifestKey] | None:
    """Return the store in which a manifest's address lies, and whose manifest it is; None for another address."""
    return logs_place(uri) if uri.endswith("/manifest.json") else None


def logs_place(uri: str) -> tuple[str, ManifestKey] | None:
    """Return the store and the sweep of the address of its logs/, or of its manifest; None for another address."""
    found = PLACE.fullmatch(uri)
    return None if found is None else (found[1], ManifestKey(*found.group(2, 3, 4)))


def logs_name(key: ManifestKey, log: str = "") -> str:
    """Return where a sweep's logs stand, or one of them."""
    if log and not NAME.fullmatch(log):
        raise StoreError(f"{log!r} cannot be a log's name; letters, digits, '.', '_' and '-' can")
    return f"{sweep_name(key)}/logs/{log}"


def page_name(key: ManifestKey, page: str) -> str:
    """Return where one of a sweep's pages for people stands: beside its manifest."""
    if not PAGE.fullmatch(page):
        raise StoreError(f"{page!r} cannot be a page's name; small letters and .html or .png can")
    return f"{sweep_name(key)}/{page}"


def lineage_name(lineage: str) -> str:
    """Return where a lineage's entries stand; a lineage may be called anything, an address say."""
    return f"lineages/{hashlib.sha256(lineage.encode()).hexdigest()}"


def check_format(data: bytes, store: str) -> None:
    """Raise where `data`, what stands in `FORMAT_NAME`, is not of the format this version reads and writes."""
    try:
        found = json.loads(data)["format"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found != FORMAT:
        raise StoreError(
            f"the store {store} has format {found} in {FORMAT_NAME}; this version reads and writes {FORMAT}"
        )
