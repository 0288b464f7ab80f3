"""The `window` rule: buy at a window's decision row, hold to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.simulate.openings import Segments, Targets, bound, drift, heads, settle
from backsweep.simulate.stretches import Pages, Stretch

__all__ = ["Held"]


@dataclass(frozen=True, slots=True)
class Held:
    """Windows held: weights (K, N) opened and ended with, growth (K, S, N) and wealth (K, S) per unit."""

    opening: Float
    closing: Float
    growth: Float
    wealth: Float


def keep_windows(stretch: Stretch, aims: Targets, before: Float) -> Pages:
    """Buy and hold inside each window; see `simulate`."""
    held = _hold(stretch, aims, before)
    count, length = held.wealth.shape
    gross = np.empty((count, length))
    gross[:, 0] = held.wealth[:, 0] - 1.0
    gross[:, 1:] = held.wealth[:, 1:] / held.wealth[:, :-1] - 1.0
    traded = np.zeros((count, length))
    traded[:, 0] = np.abs(held.opening - np.vstack([before, held.closing[:-1]])).sum(axis=1)
    short = np.zeros((count, length))
    shorts = np.minimum(held.opening, 0.0)
    if shorts.any():
        growth, gone = held.growth, stretch.gone(stretch.rows)
        if gone is not None:
            growth = np.where(gone, 0.0, growth)
        short[:, 0] = np.abs(shorts.sum(axis=1))
        short[:, 1:] = np.abs(np.matmul(growth[:, :-1], shorts[:, :, None])[:, :, 0] / held.wealth[:, :-1])
    return Pages(gross, traded, short, held.closing[-1])


def drift_windows(stretch: Stretch, aims: Targets, before: Float) -> Float:
    """Return (K * S, N) drifted weights at each close under `window`."""
    held = _hold(stretch, aims, before)
    weights = held.growth * held.opening[:, None]
    weights /= held.wealth[:, :, None]
    gone = stretch.gone(stretch.rows)
    if gone is not None:
        weights[gone] = 0.0
    return weights.reshape(held.wealth.size, -1)


def _hold(stretch: Stretch, aims: Targets, before: Float) -> Held:
    """Open every window of a stretch and let it drift."""
    opening = aims.weights
    # Rows first in memory: a running product over S is then S products of whole (K, N) planes.
    planes = np.add(stretch.simulation.transpose(1, 0, 2), 1.0, order="C")
    for row in range(1, len(planes)):
        planes[row] *= planes[row - 1]
    cash_growth = np.multiply.accumulate(1.0 + stretch.cash, axis=1)
    gone = stretch.gone(stretch.rows[:, -1])
    segments = Segments(planes[-1], cash_growth[:, -1], stretch.tradable[:, 0], gone)
    _, closing = drift(opening, segments)
    rows = np.flatnonzero(bound(aims, stretch.tradable[:, :1], stretch.gone(stretch.rows[:, :1] - 1)))
    if len(rows):
        drifted = np.vstack([before, closing[:-1]])[rows]
        settled = settle(opening[rows], drifted, segments.take(rows), heads(rows))
        opening = opening.copy()
        opening[rows], closing[rows] = settled.opening, settled.closing
    growth = planes.transpose(1, 0, 2)
    cash = 1.0 - opening.sum(axis=1)
    wealth = np.matmul(growth, opening[:, :, None])[:, :, 0] + cash[:, None] * cash_growth
    return Held(opening, closing, growth, wealth)
