"""Sets positions at the close before a segment and lets them drift to its end.

A segment is what lies between two trades: a window under the `window` rule, a row under `daily`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float

__all__ = ["Segments", "Settled"]

# Of a target whose untradable part leaves less than this to the tradable assets, nothing is scaled up:
# what is left is a solver's rounding.
SMALLEST_TRADABLE_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class Segments:
    """J segments in a row, and what each asset does from a segment's opening to its end.

    Parameters
    ----------
    growth : (J, N) value at the end of what was worth 1 at the opening.
    cash_growth : (J,) the same for cash.
    tradable : (J, N) whether the asset can be traded at the opening.
    cash_at_open, cash_at_end : (J, N) whether the asset has become cash (delisted); None where none has.
    """

    growth: Float
    cash_growth: Float
    tradable: Boolean
    cash_at_open: Boolean | None
    cash_at_end: Boolean | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Weights after the trade at each opening; wealth per unit and drifted weights at each end."""

    opening: Float
    wealth: Float
    closing: Float


def bound(targets: Float, segments: Segments, before: Float) -> Boolean:
    """Return (J,), True where the positions opened may differ from the target.

    Those are failed windows (no target: no trade) and segments that open with an asset that cannot
    be traded and is, or may still be, held.
    """
    failed = np.isnan(targets[:, 0])
    if segments.tradable.all():
        return failed
    wanted = (targets != 0.0) & ~failed[:, None]
    held = np.logical_or.accumulate(np.vstack([before != 0.0, wanted]), axis=0)[:-1]
    if segments.cash_at_open is not None:
        held &= ~segments.cash_at_open
    return np.asarray(failed | (~segments.tradable & (held | wanted)).any(axis=1))


def settle(targets: Float, segments: Segments, before: Float, bounded: Boolean) -> Settled:
    """Open and drift all segments at once, then those in `bounded` one after the other."""
    opening = targets.copy() if bounded.any() else targets
    wealth, closing = _drift(opening, segments, slice(None))
    for j in np.flatnonzero(bounded):
        drifted = closing[j - 1] if j else before
        opening[j] = _allocate(targets[j], drifted, segments.tradable[j])
        one = slice(j, j + 1)
        wealth[one], closing[one] = _drift(opening[one], segments, one)
    return Settled(opening, wealth, closing)


def _drift(opening: Float, segments: Segments, part: slice) -> tuple[Float, Float]:
    """Return wealth (J,) and drifted weights (J, N) at the end of the segments of `part`."""
    closing = opening * segments.growth[part]
    wealth = closing.sum(axis=1) + (1.0 - opening.sum(axis=1)) * segments.cash_growth[part]
    if segments.cash_at_end is not None:
        closing[segments.cash_at_end[part]] = 0.0
    closing /= wealth[:, None]
    return wealth, closing


def _allocate(target: Float, drifted: Float, tradable: Boolean) -> Float:
    """Return the weights after one trade in which untradable assets stay; rules in `simulate`."""
    if np.isnan(target[0]):
        return drifted
    scale = 1.0
    left = 1.0 - float(target[~tradable].sum())
    if left > SMALLEST_TRADABLE_SHARE and not (target < 0.0).any():
        scale = max(1.0 - float(drifted[~tradable].sum()), 0.0) / left
    return np.where(tradable, target * scale, drifted)
