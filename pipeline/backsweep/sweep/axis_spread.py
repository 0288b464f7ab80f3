"""How far the objective spreads over each value of each axis: what mattered, and what made no difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backsweep.arrays import Float
from backsweep.plan.labels import label_of
from backsweep.sweep.table import TrialTable

__all__ = ["axis_spread"]

MOST_VALUES = 24
"""An axis with more values is a range, whose values have too few trials each to say anything."""


def axis_spread(table: TrialTable, rows: Sequence[int], metric: str, axes: Sequence[str]) -> list[dict[str, Any]]:
    """Return trials, lowest, median and highest objective of each value, in the order of the document.

    Parameters
    ----------
    rows : of the trials that competed; those that failed, were ruined or have no value are left out.
    axes : those to tell of; one with a single value, or more than `MOST_VALUES`, is left out.
    """
    column = np.asarray(table.metrics[metric], dtype=np.float64)
    valued = sorted(row for row in rows if table.status[row] == "ok" and np.isfinite(column[row]))
    told: list[dict[str, Any]] = []
    for axis in axes:
        groups: dict[str, list[int]] = {}
        for row in valued:
            groups.setdefault(label_of(table.trials[row].values.get(axis)), []).append(row)
        if 1 < len(groups) <= MOST_VALUES:
            told += [_described(axis, value, column[members]) for value, members in groups.items()]
    return told


def _described(axis: str, value: str, found: Float) -> dict[str, Any]:
    return {
        "axis": axis,
        "value": value,
        "trials": len(found),
        "lowest": float(found.min()),
        "median": float(np.median(found)),
        "highest": float(found.max()),
    }
