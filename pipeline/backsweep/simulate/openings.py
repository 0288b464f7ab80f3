"""Sets positions at the close before a segment where a target cannot simply be taken.

A segment is what lies between two trades: a window under the `window` rule, a row under `daily`. Most
open at their target. The others are *bounded*: an asset cannot be traded, or the window has failed; then the
opening depends on what the segment before ended with. Consecutive bounded segments are a chain, every
chain starts from a segment that opened at its target, and so all chains are walked side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float, Integer

__all__ = ["Segments", "Settled", "Targets"]

# Of a target whose untradable part leaves less than this to the tradable assets, nothing is scaled up:
# what is left is a solver's rounding.
SMALLEST_TRADABLE_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class Targets:
    """What K windows aim at.

    Parameters
    ----------
    weights : (K, N) float64; a row of NaN is a failed window.
    held : (K, N) whether an asset was in this or an earlier window's target, so that it may be held.
    """

    weights: Float
    held: Boolean

    @classmethod
    def of(cls, weights: Float) -> Targets:
        """Return the targets of a whole walk-forward."""
        return cls(weights, np.logical_or.accumulate((weights != 0.0) & ~np.isnan(weights), axis=0))

    def part(self, windows: slice) -> Targets:
        """Return those of some of the windows."""
        return Targets(self.weights[windows], self.held[windows])


@dataclass(frozen=True, slots=True)
class Segments:
    """R segments, and what each asset does from a segment's opening to its end.

    Parameters
    ----------
    growth : (R, N) value at the end of what was worth 1 at the opening.
    cash_growth : (R,) the same for cash.
    tradable : (R, N) whether the asset can be traded at the opening.
    gone : (R, N) whether the asset has become cash (delisted) at the end; None where none has.
    """

    growth: Float
    cash_growth: Float
    tradable: Boolean
    gone: Boolean | None

    def take(self, rows: Integer) -> Segments:
        """Return some of the segments."""
        gone = None if self.gone is None else self.gone[rows]
        return Segments(self.growth[rows], self.cash_growth[rows], self.tradable[rows], gone)


@dataclass(frozen=True, slots=True)
class Settled:
    """R segments' drifted weights before the trade and weights after it; wealth per unit and weights at the end."""

    drifted: Float
    opening: Float
    wealth: Float
    closing: Float


def bound(targets: Targets, tradable: Boolean, gone: Boolean | None) -> Boolean:
    """Return (K, S), True where the positions opened may differ from the target.

    `tradable`, `gone` (K, S, N): whether an asset can be traded, and has become cash, at the close at
    which a segment opens. The answer for one segment does not depend on which others are asked about.
    """
    failed = np.isnan(targets.weights[:, 0])
    every = np.repeat(failed[:, None], tradable.shape[1], axis=1)
    if tradable.all():
        return every
    stuck = ~tradable & targets.held[:, None]
    if gone is not None:
        stuck &= (targets.weights != 0.0)[:, None] | ~gone  # what has become cash is held no more
    return np.asarray(every | stuck.any(axis=2))


def drift(opening: Float, segments: Segments) -> tuple[Float, Float]:
    """Return wealth (R,) per unit and drifted weights (R, N) at the end of each segment."""
    closing = opening * segments.growth
    wealth = closing.sum(axis=1) + (1.0 - opening.sum(axis=1)) * segments.cash_growth
    if segments.gone is not None:
        closing[segments.gone] = 0.0
    closing /= wealth[:, None]
    return wealth, closing


def heads(rows: Integer) -> Boolean:
    """Return which of the increasing `rows` start a chain: the row before is not among them."""
    return np.asarray(np.diff(rows, prepend=-2) != 1)


def settle(targets: Float, drifted: Float, segments: Segments, starts: Boolean) -> Settled:
    """Open and drift bounded segments, all chains side by side.

    `drifted` (R, N) holds what the segment before ended with where a chain `starts`; the rest is filled in.
    """
    count = len(targets)
    place = np.arange(count)
    depth = place - np.maximum.accumulate(np.where(starts, place, 0))
    order = np.argsort(depth, kind="stable")
    stops = np.cumsum(np.bincount(depth)).tolist()
    settled = Settled(drifted, np.empty_like(targets), np.empty(count), np.empty_like(targets))
    for level, stop in enumerate(stops):
        rows = order[stops[level - 1] if level else 0 : stop]
        if level:
            drifted[rows] = settled.closing[rows - 1]
        some = segments.take(rows)
        opening = _allocate(targets[rows], drifted[rows], some.tradable)
        settled.opening[rows] = opening
        settled.wealth[rows], settled.closing[rows] = drift(opening, some)
    return settled


def _allocate(target: Float, drifted: Float, tradable: Boolean) -> Float:
    """Return (R, N) weights after trades in which untradable assets stay; the rules are those of `simulate`."""
    left = 1.0 - np.where(tradable, 0.0, target).sum(axis=1)
    kept = 1.0 - np.where(tradable, 0.0, drifted).sum(axis=1)
    scaled = (left > SMALLEST_TRADABLE_SHARE) & ~(target < 0.0).any(axis=1)
    scale = np.where(scaled, np.maximum(kept, 0.0) / np.where(scaled, left, 1.0), 1.0)
    trades = tradable & ~np.isnan(target[:, :1])
    return np.where(trades, target * scale[:, None], drifted)
