"""The trials table in memory: all that a sweep keeps of a trial once its block is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.measure.metrics import METRIC_NAMES
from backsweep.measure.slices import SLICES
from backsweep_api.trials import AXES, Trial

__all__ = ["TrialTable"]


class TrialTable:
    """One row a trial, in the plan's order; rows are filled in as simulations finish.

    Attributes
    ----------
    status : "ok", "ruined", "failed", or "" while not computed.
    metrics : name -> (M,) float64, NaN where undefined; `dsr` is added when the trials are compared.
    slices : (M, 16, 3) float64.
    returns : digest of each trial's net returns; "" where it has none.
    failed : how many of the finished trials failed.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        count = len(trials)
        self.trials = trials
        self.status = [""] * count
        self.error: list[str | None] = [None] * count
        self.returns = [""] * count
        self.failed_windows: Integer = np.zeros(count, dtype=np.int64)
        self.metrics: dict[str, Float] = {name: np.full(count, np.nan) for name in METRIC_NAMES}
        self.slices: Float = np.zeros((count, SLICES, 3))
        self.failed = 0

    def __len__(self) -> int:
        return len(self.trials)

    def fill(self, row: int, record: Mapping[str, Any]) -> None:
        """Fill in a row from its simulation's unit record."""
        self.status[row] = record["status"]
        self.failed += record["status"] == "failed"
        self.error[row] = record.get("error")
        self.failed_windows[row] = record["failedWindows"]
        if "metrics" not in record:
            return
        self.returns[row] = record["objects"]["returns"]
        for name, value in record["metrics"].items():
            self.metrics[name][row] = np.nan if value is None else value
        self.slices[row] = record["slices"]

    @property
    def finished(self) -> Boolean:
        """(M,) whether each trial has a result, be it a failure."""
        return np.array([bool(status) for status in self.status])

    def columns(self) -> dict[str, Sequence[Any] | Float | Integer]:
        """Return the columns of trials.parquet, in the order of the contract."""
        used = [axis for axis in AXES if any(axis in trial.values for trial in self.trials)]
        used += sorted({axis for trial in self.trials for axis in trial.values} - set(AXES))
        return {
            "trial": [trial.id for trial in self.trials],
            "solve": [trial.solve for trial in self.trials],
            **{axis: [trial.values.get(axis) for trial in self.trials] for axis in used},
            "status": self.status,
            "error": self.error,
            "failed_windows": self.failed_windows,
            **self.metrics,
        }
