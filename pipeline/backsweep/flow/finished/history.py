"""Where results come from: the manifests of a store with those they replaced, and which of them used what.

A manifest that is replaced is kept under its digest, and the one that replaces it names it as its parent. So every
result that was ever committed can be listed, compared, and traced to the bytes it was made of.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from dataclasses import dataclass
from typing import Any

from backsweep.errors import UserError, VerificationError
from backsweep.flow.finished.reopen import names_manifest, open_manifest
from backsweep.ports import ManifestKey
from backsweep.stores.manifest import Manifest, earlier_manifests, parent_of, parse_manifest
from backsweep.stores.opening import AnyStore

__all__ = ["StoredManifest", "describe_manifest", "find_stored", "history", "kept_manifests", "sweep_at"]

BEGINNING = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest in a store.

    Parameters
    ----------
    digest : sha256 of its bytes.
    stands : whether it is its sweep's manifest now; otherwise it was replaced.
    """

    digest: str
    key: ManifestKey
    data: bytes
    stands: bool


def kept_manifests(store: AnyStore, name: str | None = None) -> list[list[StoredManifest]]:
    """Return the chain of each sweep of the store (of this name), what stands first, then what it replaced.

    Raises
    ------
    CorruptObjectError
    """
    chains = []
    for key, data in store.manifests():
        if name is None or key.name == name:
            chain = [StoredManifest(hashlib.sha256(data).hexdigest(), key, data, stands=True)]
            earlier = earlier_manifests(data, store.get_object)
            chain += [StoredManifest(hashlib.sha256(each).hexdigest(), key, each, stands=False) for each in earlier]
            chains.append(chain)
    return chains


def history(store: AnyStore, name: str | None = None) -> list[dict[str, Any]]:
    """Return what was committed to the store, the newest first; a chain's own order is kept whatever clocks said.

    Parameters
    ----------
    name : of a sweep, whatever its document was then; None for all sweeps.

    Raises
    ------
    UserError
        If the store has no manifest of this name.
    """
    chains = kept_manifests(store, name)
    if name is not None and not chains:
        raise UserError(f"{name}: there is no such run folder, and no sweep of this name in the store {store.uri}")
    described = [[{**describe_manifest(each), "parentKept": True} for each in chain] for chain in chains]
    for chain in described:
        chain[-1]["parentKept"] = chain[-1]["parent"] is None
    return list(heapq.merge(*described, key=lambda each: str(each["startedAt"] or ""), reverse=True))


def describe_manifest(stored: StoredManifest) -> dict[str, Any]:
    """Return a manifest in a few plain values; one that is damaged has a `problem` and no result."""
    place = {
        "manifest": stored.digest,
        "namespace": stored.key.namespace,
        "name": stored.key.name,
        "specDigest": stored.key.spec_digest,
        "stands": stored.stands,
        "parent": parent_of(stored.data),
    }
    try:
        manifest = parse_manifest(stored.data)
    except VerificationError as error:
        return {**place, "startedAt": None, "problem": str(error)}
    return {**place, "problem": None, **_facts(manifest)}


def find_stored(store: AnyStore, beginning: str) -> StoredManifest:
    """Return the manifest whose digest begins so.

    Raises
    ------
    UserError
        If there is none, or more than one.
    """
    found = {
        each.digest: each
        for chain in kept_manifests(store)
        for each in chain
        if BEGINNING.fullmatch(beginning) and each.digest.startswith(beginning)
    }
    if len(found) != 1:
        several = f"the digests of {len(found)} manifests in the store {store.uri} begin with this; give more of it"
        none = f"there is no such run folder, and no sweep of this name or manifest of this digest in {store.uri}"
        raise UserError(f"{beginning}: {several if found else none}")
    return next(iter(found.values()))


def sweep_at(place: str, endpoint_url: str | None = None, region: str | None = None) -> tuple[AnyStore, str] | None:
    """Return store and name of the finished sweep at `place`, as `open_manifest` does; None where none is named."""
    if not names_manifest(place):
        return None
    store, data = open_manifest(place, endpoint_url, region)
    return store, str(parse_manifest(data).run["name"])


def _facts(manifest: Manifest) -> dict[str, Any]:
    result, run = manifest.result, manifest.run
    labels = [str(each.get("label")) for each in run.get("datasets", [])]
    metric = result.get("document", {}).get("objective", {}).get("metric", "sharpe")
    best = result.get("best")
    return {
        "startedAt": run.get("startedAt"),
        "resultDigest": manifest.stated_digest,
        "data": [{"label": label, **content} for label, content in zip(labels, result.get("data", []), strict=False)],
        "trials": result.get("trials"),
        "best": None if best is None else {"trial": best["trial"], "metric": metric, "value": best["metrics"][metric]},
        "wallSeconds": round(sum(run.get("timings", {}).values()), 3),
    }
