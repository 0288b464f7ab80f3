"""How the windows of a unit are batched: those that hold the same assets, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Integer

__all__ = ["Batch", "batches"]

BATCH_VALUES = 4_194_304  # float64 values of the largest array of a batch: 32 MiB


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of a unit that hold the same assets and the same number of training rows.

    Parameters
    ----------
    rows : (B,) int64, positions in the unit.
    assets : (n,) int64, columns of the data set that take part.
    """

    rows: Integer
    assets: Integer


def batches(eligible: Boolean, lengths: Integer, columns: Integer) -> Iterator[Batch]:
    """Yield the batches of a unit in a fixed order: by first window, split to a bounded size.

    Parameters
    ----------
    eligible : (B, n) bool, `eligible_assets` of the unit.
    lengths : (B,) int64, training rows of each window (they differ when anchored).
    columns : (n,) int64, columns of the data set.

    NaN policy: a column with a NaN in a window's training rows is not eligible there.

    Source: definition; checked in tests/unit/test_solve_unit.py.
    """
    groups: dict[tuple[int, bytes], list[int]] = {}
    for row in range(len(eligible)):
        groups.setdefault((int(lengths[row]), eligible[row].tobytes()), []).append(row)
    for (length, _), rows in groups.items():
        assets = columns[eligible[rows[0]]]
        largest = max(len(assets), 1) * max(length, len(assets), 1)
        size = max(1, BATCH_VALUES // largest)
        for start in range(0, len(rows), size):
            yield Batch(np.array(rows[start : start + size], dtype=np.int64), assets)
