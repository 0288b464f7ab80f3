"""What a sweep's runs said and what their workers printed, from its store."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backsweep.cli.documents import read_text

if TYPE_CHECKING:
    from backsweep.ports import ManifestKey
    from backsweep.stores.opening import AnyStore

__all__ = ["logs"]

DOCUMENTS = {".yaml", ".yml"}


def logs(options: argparse.Namespace) -> int:
    """Print the log of a sweep's newest run, or say which logs there are."""
    from backsweep.stores.logs import FLOW, WORKERS, newest_log

    store, key = _sweep_at(options) or _sweep_of(options.run)
    if options.list or options.json:
        names = store.log_names(key)
        if options.json:
            json.dump({"store": store.uri, "name": key.name, "specDigest": key.spec_digest, "logs": names}, sys.stdout)
            sys.stdout.write("\n")
        else:
            sys.stdout.write("".join(f"{name}\n" for name in names))
        return 0
    name = options.log or newest_log(store, key, WORKERS if options.workers else FLOW)
    sys.stdout.write(store.get_log(key, name).decode("utf-8", "replace"))
    return 0


def _sweep_at(options: argparse.Namespace) -> tuple[AnyStore, ManifestKey] | None:
    """Return the store and place of a sweep from the address of its logs or its manifest; None where none is given."""
    from backsweep.flow.finished.reopen import refuse_bucket
    from backsweep.stores.layout import logs_place
    from backsweep.stores.opening import open_store

    found = None if options.run is None else logs_place(options.run)
    if found is not None:
        return open_store(found[0], options.endpoint_url, options.region), found[1]
    refuse_bucket(options.run or "runs", options.endpoint_url, options.region)
    return None


def _sweep_of(place: str | None) -> tuple[AnyStore, ManifestKey]:
    """Return the store and place of a sweep, from a run folder, a manifest, or a document whose run left none."""
    from backsweep.flow.finished.reopen import find_manifest, newest_run, store_of
    from backsweep.flow.prepare import key_of, read_sweep, store_address
    from backsweep.ports import ManifestKey
    from backsweep.stores.manifest import parse_manifest
    from backsweep.stores.opening import open_store

    if place is not None and Path(place).suffix in DOCUMENTS:
        document = read_sweep(read_text(place), [])
        return open_store(*store_address(document.normalised()["spec"])), key_of(document)
    path = find_manifest(newest_run(Path("runs")) if place is None else place)
    manifest = parse_manifest(path.read_bytes())
    return store_of(manifest), ManifestKey("local", manifest.run["name"], manifest.result["specDigest"])
