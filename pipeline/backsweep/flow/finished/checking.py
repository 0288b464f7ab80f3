"""Verifies a run from outside: the store against the manifest, and the run folder against the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backsweep.data.digests import returns_digest
from backsweep.errors import BacksweepError, VerificationError
from backsweep.flow.finished.reopen import (
    Reopened,
    find_manifest,
    is_address,
    read_stored,
    refuse_bucket,
    reopen_from,
    store_of,
)
from backsweep.report.tables import read_columns
from backsweep.stores.manifest import parse_manifest
from backsweep.stores.opening import AnyStore
from backsweep.stores.verification import verify

__all__ = ["check", "differences"]


def check(place: str, endpoint_url: str | None, region: str | None) -> tuple[bytes, Iterator[str]]:
    """Return the manifest at `place`, and what differs where it stands, or of one on this machine as `differences`.

    Raises
    ------
    UserError
        As `open_manifest`; a damaged manifest is a difference.
    """
    if is_address(place):
        store, data = read_stored(place, endpoint_url, region)
        return data, _stored_differences(store, data)
    refuse_bucket(place, endpoint_url, region)
    path = find_manifest(place)
    return path.read_bytes(), differences(path)


def differences(place: str | Path) -> Iterator[str]:
    """Yield what differs between a manifest, its store and its run folder; nothing when all agrees.

    Re-hashed are the result part, every unit and object it names and the data sets; compared are trials.parquet,
    returns.parquet and weights/ of the run folder, where the manifest stands in one.
    """
    path = find_manifest(place)
    data = path.read_bytes()
    try:
        store = store_of(parse_manifest(data))
    except VerificationError as error:
        yield str(error)
        return
    yield from _stored_differences(store, data, path.parent)


def _stored_differences(store: AnyStore, data: bytes, folder: Path | None = None) -> Iterator[str]:
    """Yield what differs between the manifest in `data` and `store`, and the run folder where one is given."""
    yield from verify(store, data)
    try:
        reopened = reopen_from(store, parse_manifest(data))
    except BacksweepError as error:
        yield str(error)
        return
    yield from _dataset_differences(reopened)
    if folder is not None and (folder / "trials.parquet").is_file():
        yield from _folder_differences(reopened, folder)


def _dataset_differences(reopened: Reopened) -> Iterator[str]:
    stated = [item["digest"] for item in reopened.manifest.result["data"]]
    for dataset, digest in zip(reopened.datasets, stated, strict=True):
        found = returns_digest(dataset.returns)
        if found != digest:
            yield f"result.data {dataset.label}: digest is {digest}, but the stored arrays hash to {found}"


def _folder_differences(reopened: Reopened, folder: Path) -> Iterator[str]:
    series = reopened.series
    stated = reopened.manifest.result["objects"]["trials"]
    found = hashlib.sha256((folder / "trials.parquet").read_bytes()).hexdigest()
    if found != stated:
        yield f"{folder / 'trials.parquet'}: hashes to {found}, but result.objects.trials is {stated}"
    rows = {trial.id: row for row, trial in enumerate(series.table.trials)}
    for trial, values in read_columns(folder / "returns.parquet"):
        if trial not in rows or not np.array_equal(values, series.net(rows[trial])):
            yield f"{folder / 'returns.parquet'}: column {trial} is not the stored series"
    solved = {trial.solve: row for row, trial in enumerate(series.table.trials)}
    for path in sorted((folder / "weights").glob("*.parquet")):
        if path.stem not in solved:
            yield f"{path}: no trial has this solve"
            continue
        columns = [values for _, values in read_columns(path)]
        if not np.array_equal(np.column_stack(columns), series.targets(solved[path.stem]), equal_nan=True):
            yield f"{path}: is not the stored weights"
