"""A finished sweep again, from its manifest alone: its plan, its table, its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backsweep.errors import UserError
from backsweep.flow.prepare import plan_trials
from backsweep.report.tables import columns_of_bytes
from backsweep.search.rounds import proposed_points
from backsweep.stores.layout import manifest_place
from backsweep.stores.manifest import Manifest, parse_manifest
from backsweep.stores.opening import AnyStore, open_store
from backsweep.sweep.datasets import Dataset, open_dataset
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.table import TrialTable
from backsweep_api.documents import document_from_tree
from backsweep_api.spec.document import API_VERSION, KIND, BacktestSweep
from backsweep_api.trials import Trial, distinct_trials, trials_at

__all__ = [
    "Reopened",
    "find_manifest",
    "is_address",
    "names_manifest",
    "newest_run",
    "open_manifest",
    "read_stored",
    "refuse_bucket",
    "reopen",
    "reopen_from",
    "store_of",
]

BUCKETS = "s3://"


@dataclass(frozen=True, slots=True, eq=False)
class Reopened:
    """A finished sweep."""

    manifest: Manifest
    document: BacktestSweep
    store: AnyStore
    datasets: Sequence[Dataset]
    series: SweepSeries


def reopen(place: str | Path, endpoint_url: str | None = None, region: str | None = None) -> Reopened:
    """Open the finished sweep at `place`, as `open_manifest` does; the trials table is filled from the store.

    Raises
    ------
    UserError
        If there is no manifest, or its store is gone or lacks what it names.
    """
    store, data = open_manifest(place, endpoint_url, region)
    return reopen_from(store, parse_manifest(data))


def open_manifest(
    place: str | Path, endpoint_url: str | None = None, region: str | None = None
) -> tuple[AnyStore, bytes]:
    """Return the store of the finished sweep at `place`, and its manifest.

    Parameters
    ----------
    place : a run folder, a manifest, or a manifest's address in a bucket. Of the first two the manifest says where the
        store is; what stands in a bucket is read where it stands.
    endpoint_url, region : of that bucket.

    Raises
    ------
    UserError
        If there is no manifest, or it is damaged; or a manifest on this machine is given an endpoint or region.
    """
    if is_address(place):
        return read_stored(str(place), endpoint_url, region)
    refuse_bucket(place, endpoint_url, region)
    data = find_manifest(place).read_bytes()
    return store_of(parse_manifest(data)), data


def is_address(place: str | Path) -> bool:
    """Whether `place` is an address in a bucket."""
    return str(place).startswith(BUCKETS)


def refuse_bucket(place: str | Path, endpoint_url: str | None, region: str | None) -> None:
    """Refuse what says where a bucket is, given with what names its store itself.

    Raises
    ------
    UserError
    """
    if endpoint_url is not None or region is not None:
        raise UserError(f"{place}: what is on this machine names its store itself; leave endpoint and region out")


def names_manifest(place: str) -> bool:
    """Whether `open_manifest` is meant by `place`: an address in a bucket, or what is there on this machine."""
    return is_address(place) or Path(place.removeprefix("file://")).exists()


def reopen_from(store: AnyStore, manifest: Manifest) -> Reopened:
    """Open the sweep of a manifest, all that it names read from `store`.

    Raises
    ------
    UserError
        If the store lacks what the manifest names.
    """
    tree = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": manifest.run["name"]},
        "spec": manifest.result["document"],
    }
    document = document_from_tree(tree)
    datasets = [open_dataset(store, described["object"]) for described in manifest.run["datasets"]]
    engines = manifest.result.get("engines", {})
    plan = plan_trials(
        _trials(manifest, document, store), document, manifest.result["strategy"], datasets, store, engines
    )
    table = TrialTable(plan.trials)
    rows: dict[str, list[int]] = {}
    for row, identity in enumerate(plan.simulation_ids):
        rows.setdefault(identity, []).append(row)
    for identity, record, _ in store.get_units(list(rows)):
        for row in rows.pop(identity):
            table.fill(row, record)
    if rows:
        message = (
            f"{manifest.run['name']}: the store {store.uri} has no unit {next(iter(rows))}, or it was computed in "
            f"another numeric environment; run the sweep again"
        )
        raise UserError(message)
    stored = columns_of_bytes(store.get_object(manifest.result["objects"]["trials"]), ["dsr"])
    table.metrics.update(stored)  # the one metric that belongs to the sweep and not to the trial's own unit
    return Reopened(manifest, document, store, datasets, SweepSeries(plan, store, table))


def _trials(manifest: Manifest, document: BacktestSweep, store: AnyStore) -> list[Trial]:
    """Return a sweep's trials: of a search at the points it proposed, else those the document asks for."""
    proposals = manifest.result["objects"].get("proposals")
    if proposals is None:
        return list(distinct_trials(document))
    return list(trials_at(document, proposed_points(store.get_object(proposals))))


def store_of(manifest: Manifest) -> AnyStore:
    """Open the store a manifest was committed to."""
    return open_store(manifest.run["store"], manifest.run.get("storeEndpoint"), manifest.run.get("storeRegion"))


def find_manifest(place: str | Path) -> Path:
    """Return the path of the manifest at `place`: a run folder, or the file itself.

    Raises
    ------
    UserError
    """
    path = Path(str(place).removeprefix("file://"))
    path = path / "manifest.json" if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{place}: there is no manifest.json; give a run folder or a manifest")
    return path


def read_stored(uri: str, endpoint_url: str | None, region: str | None) -> tuple[AnyStore, bytes]:
    """Return the store in which the manifest at `uri` stands, and the manifest; status.manifest.uri is such a uri.

    Raises
    ------
    UserError
        If it is no manifest's address, or nothing stands there.
    """
    found = manifest_place(uri)
    if found is None:
        raise UserError(
            f"{uri}: it is no manifest's address; write s3://STORE/sweeps/NAMESPACE/NAME/DIGEST/manifest.json"
        )
    store = open_store(found[0], endpoint_url, region)
    stored = store.get_manifest(found[1])
    if stored is None:
        raise UserError(f"{uri}: there is no manifest; backsweep history --store {store.uri} lists those there are")
    return store, stored.data


def newest_run(runs: Path) -> Path:
    """Return the run folder in `runs` that was written last.

    Raises
    ------
    UserError
        If there is none.
    """
    found = [manifest.parent for manifest in runs.glob("*/manifest.json")]
    if not found:
        raise UserError(f"{runs}: there is no run in it; run a sweep first, or give --run DIR")
    return max(found, key=lambda folder: (folder / "manifest.json").stat().st_mtime)
