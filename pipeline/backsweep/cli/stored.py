"""Commands on what is stored: verify, gc."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time

__all__ = ["collect", "verify"]


def verify(options: argparse.Namespace) -> int:
    """Re-hash everything a manifest names; exit 0, or 1 with the first difference."""
    from backsweep.flow.finished.checking import check

    data, differences = check(options.manifest, options.endpoint_url, options.region)
    found = next(differences, None)
    if found is not None:
        sys.stderr.write(f"backsweep: VerificationFailed: {found}\n")
        return 1
    manifest = json.loads(data)
    units, trials = manifest["result"]["units"]["count"], manifest["result"]["trials"]["total"]
    sys.stdout.write(f"verified: {trials:,} trials, {units:,} units; result {manifest['resultDigest']}\n")
    return 0


def collect(options: argparse.Namespace) -> int:
    """Delete unreferenced objects older than 7 days."""
    from backsweep.flow.prepare import LOCAL_STORE
    from backsweep.stores.collection import collect as collect_garbage
    from backsweep.stores.opening import open_store

    store = open_store(options.store or LOCAL_STORE, options.endpoint_url, options.region)
    found = collect_garbage(store, time.time(), dry_run=options.dry_run)
    if options.json:
        json.dump(dataclasses.asdict(found), sys.stdout, indent=1)
        sys.stdout.write("\n")
        return 0
    verb = "would delete" if found.dry_run else "deleted"
    sys.stdout.write(
        f"{verb} {found.objects:,} unreferenced objects ({found.object_bytes / 2**20:.1f} MiB) and "
        f"{found.drafts:,} abandoned drafts ({found.draft_bytes / 2**20:.1f} MiB) older than 7 days; "
        f"{found.kept_objects:,} objects stay ({found.kept_bytes / 2**20:.1f} MiB)\n"
    )
    return 0
