"""The probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

All 12,870 ways of giving 8 of 16 slices to selection and 8 to judgement are tried. Sums over slices
add up, so no series is needed; half of the slices make 256 subset sums, and a combination is one of
the first half's plus one of the second half's. Every sum is made by the same additions in whatever
column a trial stands, so equal trials tie exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.errors import InvariantError

__all__ = ["Overfitting", "overfitting"]

COLUMN_CHUNK = 2048
"""Trials whose subset sums are held at once: 16 MB."""

BLOCK_ELEMENTS = 1 << 15
"""Combinations times trials evaluated at once: a quarter of a megabyte an array."""


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What cross-validation says of choosing by Sharpe ratio among these trials.

    Parameters
    ----------
    probability : PBO, share of combinations whose in-sample leader ranks in the lower half (or at the
        median) out of sample; NaN where no trial has a Sharpe ratio or there are fewer than two.
    trials, combinations : how many were compared, and in how many ways.
    logit_mean, logit_median, logit_deviation : of ln(w / (1 - w)), w the leader's relative rank out of
        sample (0 worst, 1 best); 0 is the median trial.
    degradation_slope, degradation_intercept : regression of the leader's Sharpe ratio a row out of
        sample on the one in sample.
    loss_probability : share of combinations whose leader has a negative Sharpe ratio out of sample.
    """

    probability: float
    trials: int
    combinations: int
    logit_mean: float
    logit_median: float
    logit_deviation: float
    degradation_slope: float
    degradation_intercept: float
    loss_probability: float


@dataclass(slots=True)
class _Leaders:
    """The in-sample leader of every combination, and how its out-of-sample score ranks."""

    score: Float
    judged: Float
    below: Integer
    level: Integer


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Subset sums of a chunk of trials: (256, M) each for sum and sum of squares, by half."""

    sums: tuple[Float, Float]
    squares: tuple[Float, Float]
    suspects: Integer
    rows: float


def overfitting(statistics: Float) -> Overfitting:
    """Return how often the best trial of one half of the time fails in the other half.

    Trials are ranked by Sharpe ratio whatever the sweep's objective: it is the one metric that adds up
    over slices. A trial without variance in a half ranks last there and never leads; ties share their
    mean rank; of equal leaders the first counts.

    Parameters
    ----------
    statistics : (M, 16, 3) float64, rows, sum and sum of squares of excess returns of each slice
        (`measure.slice_statistics`), all slices of the same number of rows, no NaN; competing base trials only.

    Returns
    -------
    Overfitting. Memory is bounded whatever M is.

    Raises
    ------
    InvariantError : another number of slices, or slices of different lengths.

    Source : Bailey, Borwein, Lopez de Prado and Zhu (2017), "The probability of backtest overfitting",
        Journal of Computational Finance 20(4), section 2.2; checked against a loop over all combinations in
        tests/unit/test_aggregate_overfitting.py and on matrices built to be overfit in tests/golden/test_luck.py.
    """
    if statistics.shape[1:] != (16, 3) or (statistics[:, :, 0] != statistics[:1, :1, 0]).any():
        raise InvariantError(f"slice statistics of shape {statistics.shape} are not 16 slices of one length")
    blocks = _combinations()
    count = sum(2 * len(columns) for _, columns in blocks)
    leaders = _Leaders(np.full(count, -np.inf), np.full(count, -np.inf), np.zeros(count, int), np.zeros(count, int))
    chunks = range(0, len(statistics), COLUMN_CHUNK)
    alone = len(chunks) == 1
    for start in chunks:
        for part, chosen, judged in _scores(_subset_sums(statistics[start : start + COLUMN_CHUNK]), blocks):
            _lead(leaders, part, chosen, judged)
            if alone:
                _rank(leaders, part, judged)
    for start in () if alone else chunks:
        for part, _, judged in _scores(_subset_sums(statistics[start : start + COLUMN_CHUNK]), blocks):
            _rank(leaders, part, judged)
    rows = 8.0 * float(statistics[0, 0, 0]) if len(statistics) else 0.0
    return _conclude(leaders, len(statistics), rows)


def _combinations() -> list[tuple[int, Integer]]:
    """Return, for each subset of the first 8 slices without slice 7, the subsets of the last 8 to go with it."""
    subsets = np.arange(256)
    size = np.array([int(subset).bit_count() for subset in subsets])
    return [(first, subsets[size == 8 - size[first]]) for first in range(128)]


def _subset_sums(statistics: Float) -> _Chunk:
    """Return the sums over all subsets of each half of the slices."""
    tables = []
    for field in (1, 2):
        for half in (0, 8):
            table = np.zeros((256, len(statistics)))
            for index in range(8):
                size = 1 << index
                np.add(table[:size], statistics[:, half + index, field], out=table[size : 2 * size])
            tables.append(table)
    rows = float(statistics[0, 0, 0])
    within = _flat(statistics[:, :, 1], statistics[:, :, 2], rows).any(axis=1)
    return _Chunk((tables[0], tables[1]), (tables[2], tables[3]), np.flatnonzero(within), 8.0 * rows)


def _flat(sums: Float, squares: Float, rows: float) -> Boolean:
    """Return where the variance is rounding: of the sums (1e-12) or of returns, known to 1e-16."""
    flat: Boolean = squares - sums * sums / rows <= np.maximum(1e-12 * squares, 1e-28 * rows)
    return flat


def _score(chunk: _Chunk, first: int, second: Integer) -> Float:
    """Return sum |sum| / sum of squares, which orders as the Sharpe ratio does; -inf without variance."""
    sums = chunk.sums[0][first] + chunk.sums[1][second]
    squares = chunk.squares[0][first] + chunk.squares[1][second]
    score: Float = np.abs(sums)
    score *= sums
    with np.errstate(invalid="ignore"):
        score /= squares
    if len(chunk.suspects):
        suspects = chunk.suspects
        flat = _flat(sums[:, suspects], squares[:, suspects], chunk.rows)
        score[:, suspects] = np.where(flat, -np.inf, score[:, suspects])
    return score


def _scores(chunk: _Chunk, blocks: list[tuple[int, Integer]]) -> Iterator[tuple[slice, Float, Float]]:
    """Yield which combinations, their scores in sample and out of sample; each block serves both ways."""
    size = max(1, BLOCK_ELEMENTS // chunk.sums[0].shape[1])
    position = 0
    for first, columns in blocks:
        for start in range(0, len(columns), size):
            second = columns[start : start + size]
            here = _score(chunk, first, second)
            there = _score(chunk, 255 - first, 255 - second)
            for chosen, judged in ((here, there), (there, here)):
                yield slice(position, position + len(second)), chosen, judged
                position += len(second)


def _lead(leaders: _Leaders, part: slice, chosen: Float, judged: Float) -> None:
    """Keep the better of the leaders so far and this chunk's."""
    best = chosen.argmax(axis=1)
    row = np.arange(len(best))
    better = chosen[row, best] > leaders.score[part]
    leaders.judged[part] = np.where(better, judged[row, best], leaders.judged[part])
    leaders.score[part] = np.where(better, chosen[row, best], leaders.score[part])


def _rank(leaders: _Leaders, part: slice, judged: Float) -> None:
    """Count this chunk's trials below the leader and level with it, out of sample."""
    mark = leaders.judged[part, None]
    below = np.count_nonzero(judged < mark, axis=1)
    leaders.below[part] += below
    leaders.level[part] += np.count_nonzero(judged <= mark, axis=1) - below


def _row_sharpe(score: Float, rows: float) -> Float:
    """Return the Sharpe ratio a row (ddof 1) that a score stands for."""
    size = np.abs(score)
    result: Float = np.sign(score) * np.sqrt((rows - 1.0) / rows * size / (rows - size))
    return result


def _conclude(leaders: _Leaders, trials: int, rows: float) -> Overfitting:
    """Return the summary over the combinations that have a leader."""
    led = np.isfinite(leaders.score)
    count = int(led.sum())
    if trials < 2 or count == 0:
        nan = float("nan")
        return Overfitting(nan, trials, count, nan, nan, nan, nan, nan, nan)
    place = (leaders.below[led] + (leaders.level[led] + 1) / 2.0) / (trials + 1)
    logit = np.log(place / (1.0 - place))
    both = led & np.isfinite(leaders.judged)
    chosen, judged = _row_sharpe(leaders.score[both], rows), _row_sharpe(leaders.judged[both], rows)
    slope, intercept = _regress(chosen, judged)
    return Overfitting(
        probability=float((logit <= 0.0).mean()),
        trials=trials,
        combinations=count,
        logit_mean=float(logit.mean()),
        logit_median=float(np.median(logit)),
        logit_deviation=float(logit.std(ddof=1)) if count > 1 else float("nan"),
        degradation_slope=slope,
        degradation_intercept=intercept,
        loss_probability=float((judged < 0.0).sum() / count),
    )


def _regress(given: Float, found: Float) -> tuple[float, float]:
    """Return slope and intercept of least squares; NaN where `given` does not vary."""
    if len(given) < 2 or not np.ptp(given) > 0.0:
        return float("nan"), float("nan")
    centred = given - given.mean()
    slope = float(np.vecdot(centred, found) / np.vecdot(centred, centred))
    return slope, float(found.mean()) - slope * float(given.mean())
