"""A resolved data set in the store: one small JSON object that names its arrays by digest.

Workers open it from there, so that the data cross once, and a manifest can trace every returns matrix.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.arrays import FeatureTable, Float, Returns
from backsweep.ports import Store
from backsweep.solve.strategy import StrategyData
from backsweep_api.canonical import canonical_json

__all__ = ["Dataset", "open_dataset", "put_dataset"]

ARRAYS = (
    "dates",
    "simulation",
    "tradable",
    "estimation",
    "estimation_rows",
    "delisted_row",
    "member",
    "benchmark",
    "risk_free",
)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A data set as a sweep uses it.

    Parameters
    ----------
    label : its name in the document: the value of the axis `data`.
    lineage : stable name of where it comes from, the same for later and longer versions of it.
    prices : (T + 1, N) float64; None for data given as returns.
    """

    label: str
    lineage: str
    returns: Returns
    prices: Float | None
    features: Mapping[str, FeatureTable]
    provenance: Mapping[str, Any]

    def content_digest(self) -> str:
        """Return the sha256 hex of all that a strategy may read, wherever it was read from."""
        state = hashlib.sha256(self.returns.digest.encode())
        if self.prices is not None:
            state.update(np.ascontiguousarray(self.prices).tobytes())
        for name, table in sorted(self.features.items()):
            state.update(f"\n{name} {table.sha256}".encode())
        return state.hexdigest()

    @property
    def strategy_data(self) -> StrategyData:
        """What the stages need of it."""
        return StrategyData(self.returns, self.prices, self.features)


def put_dataset(store: Store, dataset: Dataset) -> str:
    """Store the data set's arrays and return the digest of the object that names them."""
    returns = dataset.returns
    arrays = {name: store.put_array(_storable(getattr(returns, name))) for name in ARRAYS}
    if dataset.prices is not None:
        arrays["prices"] = store.put_array(dataset.prices)
    features = {}
    for name, table in dataset.features.items():
        arrays[f"feature dates {name}"] = store.put_array(_storable(table.dates))
        arrays[f"feature values {name}"] = store.put_array(table.values)
        features[name] = {"columns": list(table.columns), "sha256": table.sha256}
    described = {
        "kind": "dataset",
        "label": dataset.label,
        "lineage": dataset.lineage,
        "digest": returns.digest,
        "symbols": list(returns.symbols),
        "periods": returns.periods,
        "arrays": arrays,
        "features": features,
        "provenance": dict(dataset.provenance),
    }
    digest = store.put_object(canonical_json(described))
    # A unit record names the objects, too, so that gc keeps them and verify finds them.
    store.put_unit(digest, {"kind": "dataset", "status": "ok", "objects": {"dataset": digest, **arrays}})
    return digest


def open_dataset(store: Store, digest: str) -> Dataset:
    """Return the data set whose describing object is `digest`.

    Raises
    ------
    MissingObjectError, CorruptObjectError
    """
    described = json.loads(store.get_object(digest))
    arrays = {name: store.open_array(array) for name, array in described["arrays"].items()}
    features = {
        name: FeatureTable(
            dates=arrays[f"feature dates {name}"].view("datetime64[D]"),
            columns=tuple(table["columns"]),
            values=arrays[f"feature values {name}"],
            sha256=table["sha256"],
        )
        for name, table in described["features"].items()
    }
    returns = Returns(
        symbols=tuple(described["symbols"]),
        periods=int(described["periods"]),
        digest=described["digest"],
        **{name: arrays[name] for name in ARRAYS if name != "dates"},
        dates=arrays["dates"].view("datetime64[D]"),
    )
    return Dataset(
        described["label"], described["lineage"], returns, arrays.get("prices"), features, described["provenance"]
    )


def _storable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return dates as int64 days: .npy has no portable name for them."""
    return array.view(np.int64) if array.dtype.kind == "M" else array
