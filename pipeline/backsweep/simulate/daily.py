"""The `daily` rule: back to target at every close."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float, Integer
from backsweep.simulate.openings import Segments, Settled, Targets, bound, heads, settle
from backsweep.simulate.stretches import Pages, Stretch

__all__: list[str] = []


def keep_rows(stretch: Stretch, aims: Targets, before: Float) -> Pages:
    """Trade back to target at every close; see `simulate`."""
    targets = aims.weights
    count, length, _ = stretch.simulation.shape
    column = targets[:, :, None]
    gross = _gross(stretch, targets)
    closing = _drift_rows(stretch, targets, gross, np.arange(length - 1, count * length, length))
    # w - w (1 + r) / (1 + g) = w (g - r) / (1 + g): the trade back to target at the close of a row.
    away = np.subtract(gross[:, :-1, None], stretch.simulation[:, :-1])
    np.abs(away, out=away)
    traded = np.empty((count, length))
    traded[:, 0] = np.abs(targets - np.vstack([before, closing[:-1]])).sum(axis=1)
    traded[:, 1:] = np.matmul(away, np.abs(column))[:, :, 0] / (1.0 + gross[:, :-1])
    short = np.repeat(np.abs(np.minimum(targets, 0.0).sum(axis=1)), length)
    pages = Pages(gross.reshape(-1), traded.reshape(-1), short, closing[-1])
    rows = _bounded_rows(stretch, aims)
    if len(rows) == 0:
        return pages
    return _correct(pages, targets, rows, _settle_rows(stretch, targets, before, gross, rows))


def _correct(pages: Pages, targets: Float, rows: Integer, settled: Settled) -> Pages:
    """Return a daily stretch's pages with its bounded rows, and the trades of the rows after them, put right."""
    pages.gross[rows] = settled.wealth - 1.0
    pages.traded[rows] = np.abs(settled.opening - settled.drifted).sum(axis=1)
    pages.short[rows] = np.abs(np.minimum(settled.opening, 0.0).sum(axis=1))
    count, length = len(pages.gross), len(pages.gross) // len(targets)
    last = np.append(heads(rows)[1:], True)  # a chain's last row: the next one opens at its target
    after = rows[last] + 1
    inside = after < count
    trades = targets[after[inside] // length] - settled.closing[last][inside]
    pages.traded[after[inside]] = np.abs(trades).sum(axis=1)
    closing = pages.closing if inside.all() else settled.closing[-1]
    return Pages(pages.gross, pages.traded, pages.short, closing)


def drift_through_rows(stretch: Stretch, aims: Targets, before: Float) -> Float:
    """Return (K * S, N) drifted weights at each close under `daily`."""
    gross = _gross(stretch, aims.weights)
    closing = _drift_rows(stretch, aims.weights, gross, np.arange(gross.size))
    rows = _bounded_rows(stretch, aims)
    if len(rows):
        closing[rows] = _settle_rows(stretch, aims.weights, before, gross, rows).closing
    return closing


def _gross(stretch: Stretch, targets: Float) -> Float:
    """Return (K, S) what each row earns that opens at its target."""
    cash = 1.0 - targets.sum(axis=1)
    return np.asarray(np.matmul(stretch.simulation, targets[:, :, None])[:, :, 0] + cash[:, None] * stretch.cash)


def _drift_rows(stretch: Stretch, targets: Float, gross: Float, rows: Integer) -> Float:
    """Return (R, N) what rows of a stretch that open at their target end with."""
    length, assets = stretch.simulation.shape[1:]
    closing: Float = targets[rows // length] * (1.0 + stretch.simulation.reshape(-1, assets)[rows])
    closing /= 1.0 + gross.reshape(-1)[rows, None]
    gone = stretch.gone(stretch.start + rows)
    if gone is not None:
        closing[gone] = 0.0
    return closing


def _bounded_rows(stretch: Stretch, aims: Targets) -> Integer:
    """Return the rows of a stretch that may not open at their target."""
    return np.flatnonzero(bound(aims, stretch.tradable, stretch.gone(stretch.rows - 1)))


def _settle_rows(stretch: Stretch, targets: Float, before: Float, gross: Float, rows: Integer) -> Settled:
    """Open and drift the bounded rows of a stretch under `daily`."""
    length, assets = stretch.simulation.shape[1:]
    segments = Segments(
        1.0 + stretch.simulation.reshape(-1, assets)[rows],
        1.0 + stretch.cash.reshape(-1)[rows],
        stretch.tradable.reshape(-1, assets)[rows],
        stretch.gone(stretch.start + rows),
    )
    starts = heads(rows)
    drifted = np.empty((len(rows), assets))
    drifted[starts] = _drift_rows(stretch, targets, gross, np.maximum(rows[starts] - 1, 0))
    if rows[0] == 0:
        drifted[0] = before
    return settle(targets[rows // length], drifted, segments, starts)
