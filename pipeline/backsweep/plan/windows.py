"""Where the walk-forward stands: first test row, training and test rows of each window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Dates, Returns, Windows
from backsweep.errors import DataError

__all__ = ["PEER_RUN", "RUN", "WalkForward", "aligned_runs", "make_windows", "ranked_rows"]

RUN = 512  # windows a unit holds; part of every unit's identity
SHORTEST_RUN = 64
PEER_RUN = 32  # a peer solves window by window, a thousand times slower: units that fit a block
FEWEST_RANKED_ROWS = 32  # the overfitting statistics cut them into 16 slices of at least 2


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Rows of the walk-forward; `test`, `step` and `purge` are rows of the simulation's calendar."""

    test: int
    step: int
    purge: int
    anchored: bool
    keep_partial: bool


def make_windows(returns: Returns, lookback: int, longest_lookback: int, walk: WalkForward) -> Windows:
    """Return the windows of one lookback; the test rows are those of the longest one.

    The first test row is the first that has `longest_lookback` estimator rows, less `purge` rows, before it: with
    one calendar row `longest_lookback + purge`. Training ends `purge` rows before the first test row. Anchored
    windows start training where the first of them starts and grow.

    Raises
    ------
    DataError
        If not even one window fits.
    """
    rows = len(returns.dates)
    estimator = returns.estimation_rows
    if len(estimator) < longest_lookback:
        message = (
            f"data: {len(estimator)} rows of returns are too short for a lookback of {longest_lookback} rows; "
            f"give more data or a shorter lookback"
        )
        raise DataError(message)
    first = int(estimator[longest_lookback - 1]) + 1 + walk.purge
    needed = 1 if walk.keep_partial else walk.test
    test_start = np.arange(first, rows - needed + 1, walk.step, dtype=np.int64)
    if len(test_start) == 0:
        message = (
            f"data: {rows} rows leave no window of {walk.test} test rows after a lookback of {longest_lookback} "
            f"and a purge of {walk.purge} rows; give more data or shorter windows"
        )
        raise DataError(message)
    test_stop = np.minimum(test_start + walk.step, rows)
    train_stop = np.searchsorted(estimator, test_start - walk.purge, side="left").astype(np.int64)
    train_start = train_stop - lookback
    if walk.anchored:
        train_start = np.full_like(train_start, train_start[0])
    return Windows(train_start, train_stop, test_start, test_stop)


def aligned_runs(count: int, longest: int = RUN) -> Iterator[tuple[int, int]]:
    """Yield the half-open runs of windows that are solved, cached and named together.

    Runs of `longest`; the tail of 512 in runs of 256, 128 and 64 and a last one of fewer than 64. Every run but
    the last stays the same when windows are added until its neighbours merge: a month more of data leaves them valid.
    """
    start = 0
    length = longest
    while start < count:
        while length > SHORTEST_RUN and start + length > count:
            length //= 2
        stop = min(start + length, count)
        yield start, stop
        start = stop


def ranked_rows(dates: Dates, holdout: int | str | None) -> int:
    """Return how many of the test rows `dates` rank: those before the holdout.

    Parameters
    ----------
    dates : (T,) datetime64[D] of the test rows.
    holdout : a number of last rows, or the first date (ISO) held out; None ranks all.

    Raises
    ------
    DataError
        If fewer than `FEWEST_RANKED_ROWS` are left to rank by.
    """
    if holdout is None:
        return _enough(len(dates), len(dates), "data: the walk-forward has")
    if isinstance(holdout, int):
        ranked = len(dates) - holdout
    else:
        ranked = int(np.searchsorted(dates, np.datetime64(holdout, "D")))
    return _enough(ranked, len(dates), f"spec.validation.holdout: {holdout} leaves")


def _enough(ranked: int, rows: int, what: str) -> int:
    if ranked < FEWEST_RANKED_ROWS:
        message = (
            f"{what} {max(ranked, 0)} of {rows} test rows to rank by; at least {FEWEST_RANKED_ROWS} are needed "
            f"(16 slices of 2 rows): give more data, shorter lookbacks or hold out less"
        )
        raise DataError(message)
    return ranked
