"""One table as moves between prices, sampled on any rows: the same for prices and for returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Dates, Float, Integer
from backsweep.data.calendars import is_weekend

__all__ = ["Track", "price_track", "return_track", "sample"]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Where each asset is priced, and how far it moved since it was priced last.

    Row 0 is the base: it is priced but earns nothing.

    Parameters
    ----------
    dates : (R,) datetime64[D]; a table of returns has no date for its base, which stands one day
        before its first row.
    priced : (R, N) bool.
    moves : (R - 1, N) float64, simple returns from the last priced row to this one; NaN on a row
        that is not priced and on an asset's first price.
    prices : (R, N) float64, NaN where there is none; None for a table of returns.
    """

    dates: Dates
    priced: Boolean
    moves: Float
    prices: Float | None


def price_track(dates: Dates, prices: Float) -> Track:
    """Return the track of prices (R, N): each move is p / (last p) - 1."""
    priced = ~np.isnan(prices)
    row = np.where(priced, np.arange(len(prices))[:, None], 0)
    last = np.take_along_axis(prices, np.maximum.accumulate(row, axis=0), axis=0)
    with np.errstate(over="ignore"):
        moves = prices[1:] / last[:-1] - 1.0
    return Track(dates, priced, moves, prices)


def return_track(dates: Dates, returns: Float, rests: Boolean) -> Track:
    """Return the track of returns (T, N).

    A column's first return implies a price on the row before it, where the asset lists: the last
    weekday before it for a column that `rests` (N,) on weekends. A return that follows a gap is the
    whole move since the last return before it.
    """
    known = ~np.isnan(returns)
    priced = np.concatenate([np.zeros((1, returns.shape[1]), dtype=bool), known])
    base = dates[:1] - np.timedelta64(1, "D")
    dates = np.concatenate([base, dates])
    last_weekday = np.maximum.accumulate(np.where(is_weekend(dates), 0, np.arange(len(dates))))
    before_first = np.argmax(known, axis=0)
    columns = np.flatnonzero(known.any(axis=0))
    priced[np.where(rests, last_weekday[before_first], before_first)[columns], columns] = True
    return Track(dates, priced, returns, None)


def sample(track: Track, rows: Integer) -> Track:
    """Return the track seen only on `rows` (strictly increasing): a move spans the rows left out."""
    if len(rows) == len(track.dates):
        return track
    if track.prices is not None:
        return price_track(track.dates[rows], track.prices[rows])
    priced = track.priced[rows]
    return Track(track.dates[rows], priced, _compound(track, rows, priced), None)


def _compound(track: Track, rows: Integer, priced: Boolean) -> Float:
    """Multiply moves up from each kept price to the next kept price of the same asset."""
    growth = np.where(np.isnan(track.moves), 1.0, 1.0 + track.moves)
    between = np.multiply.reduceat(growth[: rows[-1]], rows[:-1], axis=0)
    moves = np.full(between.shape, np.nan)
    carried = np.ones(between.shape[1])
    seen = priced[0].copy()
    for step, factor in enumerate(between):
        carried *= factor
        here = priced[step + 1]
        moves[step] = np.where(here & seen, carried - 1.0, np.nan)
        carried[here] = 1.0
        seen |= here
    return moves
