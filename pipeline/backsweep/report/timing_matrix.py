"""Where the time went, arranged for people: profiles by estimators, and the work beside solving."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.arrays import Float

__all__ = ["ESTIMATING", "TimeMatrix", "milliseconds_text", "other_work", "seconds_text", "time_matrix"]

ESTIMATING = "covariance itself"
"""The row of the matrix that is no profile: estimating the covariances that all profiles share."""

OTHER_WORK = {
    "expectedReturns": "expected returns",
    "simulate": "simulate",
    "measure": "measure",
    "store": "store",
    "import": "import",
    "residual": "residuals of",
}


@dataclass(frozen=True, slots=True, eq=False)
class TimeMatrix:
    """Milliseconds in all processes, the slowest row first and the slowest column first.

    Parameters
    ----------
    rows : R names of profiles, before them `ESTIMATING` where covariances were estimated.
    columns : C names of estimators.
    milliseconds : (R, C) float64; NaN where a profile did not meet an estimator.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    milliseconds: Float

    @property
    def row_totals(self) -> Float:
        """The (R,) sums over estimators."""
        totals: Float = np.nansum(self.milliseconds, axis=1)
        return totals

    @property
    def column_totals(self) -> Float:
        """The (C,) sums over rows."""
        totals: Float = np.nansum(self.milliseconds, axis=0)
        return totals


def time_matrix(timings: Mapping[str, Any]) -> TimeMatrix:
    """Return the matrix of a run's solving; it has no rows where everything was in the store."""
    cells = {
        (ESTIMATING if cell["stage"] == "covariance" else str(cell["stage"]), str(cell["estimator"])): 1000.0
        * float(cell["seconds"])
        for cell in timings["cells"]
        if cell["stage"] not in OTHER_WORK
    }
    row_sums: dict[str, float] = defaultdict(float)
    column_sums: dict[str, float] = defaultdict(float)
    for (row, column), spent in cells.items():
        row_sums[row] += spent
        column_sums[column] += spent
    rows = sorted(row_sums, key=lambda name: (name != ESTIMATING, -row_sums[name], name))
    columns = sorted(column_sums, key=lambda name: (-column_sums[name], name))
    values = [[cells.get((row, column), np.nan) for column in columns] for row in rows]
    return TimeMatrix(tuple(rows), tuple(columns), np.array(values, dtype=np.float64).reshape(len(rows), len(columns)))


def other_work(timings: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return (what, seconds in all processes) of all work, solving as one entry; empty where nothing was computed."""
    matrix = time_matrix(timings)
    found = [("expected returns", "expectedReturns")]
    work: list[tuple[str, float]] = []
    if len(matrix.rows):
        estimating = sum(
            spent for name, spent in zip(matrix.rows, matrix.row_totals.tolist(), strict=True) if name == ESTIMATING
        )
        if estimating:
            work.append(("covariances", estimating / 1000.0))
        work += [(label, _seconds_of(timings, stage)) for label, stage in found if _seconds_of(timings, stage)]
        work.append(("solve profiles", (float(matrix.row_totals.sum()) - estimating) / 1000.0))
    for cell in timings["cells"]:
        if cell["stage"] in OTHER_WORK and cell["stage"] != "expectedReturns":
            work.append((f"{OTHER_WORK[cell['stage']]} {cell['estimator']}", float(cell["seconds"])))
    return work


def milliseconds_text(spent: float) -> str:
    """Return milliseconds with two or three figures, as there is room for in a cell."""
    if spent < 1.0:
        return f"{spent:.2f}"
    return f"{spent:.1f}" if spent < 10.0 else f"{spent:,.0f}"


def seconds_text(spent: float) -> str:
    """Return seconds for people: ``4.40 s``, ``76 ms``, ``12 min``."""
    if spent < 0.9995:
        return f"{milliseconds_text(1000.0 * spent)} ms"
    if spent < 120.0:
        return f"{spent:.2f} s" if spent < 10.0 else f"{spent:.1f} s"
    return f"{spent / 60.0:,.0f} min"


def _seconds_of(timings: Mapping[str, Any], stage: str) -> float:
    return sum(float(cell["seconds"]) for cell in timings["cells"] if cell["stage"] == stage)
