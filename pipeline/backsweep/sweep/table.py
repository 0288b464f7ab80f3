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

    @classmethod
    def joined(cls, tables: Sequence[TrialTable]) -> TrialTable:
        """Return one table of the rows of several, in their order."""
        joined = cls([trial for table in tables for trial in table.trials])
        joined.status = [status for table in tables for status in table.status]
        joined.error = [error for table in tables for error in table.error]
        joined.returns = [digest for table in tables for digest in table.returns]
        joined.failed_windows = np.concatenate([table.failed_windows for table in tables])
        joined.metrics = {name: np.concatenate([table.metrics[name] for table in tables]) for name in tables[0].metrics}
        joined.slices = np.concatenate([table.slices for table in tables])
        joined.failed = sum(table.failed for table in tables)
        return joined

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
