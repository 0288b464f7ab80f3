"""Hansen's test of superior predictive ability (SPA): is the best trial's lead over a benchmark more than luck.

The bootstrap draws are shared by all trials and are kept as counts: a trial's bootstrapped mean is one
product of a (draws, T) matrix of counts with its series. `superior_ability_part` maps a chunk of trials to
maxima, so the series stay where they are stored; `superior_ability` reduces the parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backsweep.arrays import Float
from backsweep.errors import InvariantError

__all__ = [
    "SPA_CHUNK",
    "SPA_DRAWS",
    "SuperiorAbility",
    "SuperiorAbilityPart",
    "bootstrap_counts",
    "superior_ability",
    "superior_ability_part",
]

SPA_DRAWS = 1000

SPA_CHUNK = 64
"""Trials a part is made of, in trial order: a product's bytes depend on its shape, so it is fixed."""

DRAW_CHUNK = 64
"""Draws whose indices are made at once: 4 MB an array at 8,000 rows."""

Counts = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SuperiorAbilityPart:
    """What the test needs of a chunk of trials.

    Parameters
    ----------
    statistic : largest studentised mean lead over the benchmark; -inf when no trial differs from it.
    maxima : (3, draws) float64, largest bootstrapped one under the lower, consistent and upper null.
    trials : how many differ from the benchmark.
    """

    statistic: float
    maxima: Float
    trials: int


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """Result of the test; each p-value is NaN when no trial differs from the benchmark.

    Parameters
    ----------
    statistic : max(0, largest studentised mean lead).
    p_lower, p_consistent, p_upper : p-values; the consistent one is Hansen's, the others bound it.
    trials, draws, mean_block : what it rests on.
    """

    statistic: float
    p_lower: float
    p_consistent: float
    p_upper: float
    trials: int
    draws: int
    mean_block: float


def bootstrap_counts(rows: int, draws: int, mean_block: float, seed: int) -> Counts:
    """Return how often each row occurs in each draw of a stationary bootstrap.

    Blocks start anywhere, go round the end, and end after each row with probability 1 / mean_block.

    Parameters
    ----------
    rows : T, of the series and of every draw.
    draws : how many.
    mean_block : expected block length in rows, 1 or more (`mean_block_length`).
    seed : the same seed gives the same counts on every machine with this version of NumPy.

    Returns
    -------
    (draws, T) float32, whole numbers; each row of it sums to T.

    Raises
    ------
    InvariantError : a mean block under 1, or no rows.

    Source : Politis and Romano (1994), "The stationary bootstrap", Journal of the American Statistical
        Association 89(428), section 2; checked in tests/unit/test_aggregate_superior_ability.py.
    """
    if rows < 1 or not mean_block >= 1.0:
        raise InvariantError(f"a bootstrap of {rows} rows in blocks of {mean_block} is not possible")
    generator = np.random.default_rng(seed)
    counts = np.empty((draws, rows), dtype=np.float32)
    for start in range(0, draws, DRAW_CHUNK):
        size = min(DRAW_CHUNK, draws - start)
        begins = generator.random((size, rows)) < 1.0 / mean_block
        begins[:, 0] = True
        flat = np.flatnonzero(begins)
        lengths = np.diff(flat, append=size * rows)
        firsts = generator.integers(rows, size=len(flat))
        offset = flat // rows * rows
        ends = firsts + lengths
        change = np.bincount(offset + firsts, minlength=size * rows)
        change -= np.bincount(offset + ends % rows, minlength=size * rows)
        change = change.reshape(size, rows)
        change[:, 0] += np.bincount(offset[ends >= rows] // rows, minlength=size)
        np.add.accumulate(change, axis=1, out=counts[start : start + size], dtype=np.float32)
    return counts


def superior_ability_part(series: Float, benchmark: Float, counts: Counts, mean_block: float) -> SuperiorAbilityPart:
    """Return the maxima of one chunk of trials, so that a large sweep is mapped where its series are.

    Parameters
    ----------
    series : (M, T) float64, net returns of a chunk of `SPA_CHUNK` base trials in trial order (the last
        chunk may be shorter), no NaN.
    benchmark : (T,) float64, net returns of what must be beaten.
    counts : (draws, T), from `bootstrap_counts`, the same for all chunks.
    mean_block : the one the counts were made with.

    Returns
    -------
    SuperiorAbilityPart. Means are studentised by the variance the stationary bootstrap has in the limit of
    infinitely many draws. The product is taken in float32, of studentised and centred series: an error of
    1e-6 standard errors, where 1,000 draws leave one of 0.01 in a p-value.

    Raises
    ------
    InvariantError : shapes differ.

    Source : Hansen (2005), "A test for superior predictive ability", Journal of Business and Economic
        Statistics 23(4), sections 2.2 and 3.1; checked against a slow loop over resampled rows in
        tests/unit/test_aggregate_superior_ability.py.
    """
    rows = series.shape[1]
    if benchmark.shape != (rows,) or counts.shape[1] != rows:
        raise InvariantError(
            f"series {series.shape}, benchmark {benchmark.shape} and counts {counts.shape} differ in rows"
        )
    lead = series - benchmark
    lead = lead[lead.max(axis=1) - lead.min(axis=1) > 1e-14]
    maxima = np.full((3, len(counts)), -np.inf)
    if not len(lead):
        return SuperiorAbilityPart(-math.inf, maxima, 0)
    mean = lead.mean(axis=1)
    centred = lead - mean[:, None]
    error = np.sqrt(_bootstrap_variance(centred, mean_block) / rows)
    score = mean / error
    centred /= (error * rows)[:, None]
    drawn = (counts @ centred.astype(np.float32).T).astype(np.float64)
    threshold = -math.sqrt(2.0 * math.log(math.log(max(rows, 3))))
    for row, shift in enumerate((np.minimum(score, 0.0), np.where(score < threshold, score, 0.0), 0.0)):
        maxima[row] = (drawn + shift).max(axis=1)
    return SuperiorAbilityPart(float(score.max()), maxima, len(lead))


def superior_ability(parts: Iterable[SuperiorAbilityPart], mean_block: float) -> SuperiorAbility:
    """Reduce the parts of all chunks to p-values; the order of the parts changes nothing.

    The null hypothesis: no trial has a higher expected return than the benchmark. A p-value is the share of
    draws whose maximum reaches the observed one; it is 1 where no trial led.

    Parameters
    ----------
    parts : from `superior_ability_part`, all with the same counts.
    mean_block : the one they were made with, for the record.

    Returns
    -------
    SuperiorAbility.

    Raises
    ------
    InvariantError : no parts.

    Source : Hansen (2005), section 3; checked in tests/unit/test_aggregate_superior_ability.py.
    """
    found = list(parts)
    if not found:
        raise InvariantError("a test of superior ability needs at least one part")
    maxima = np.maximum(np.maximum.reduce([part.maxima for part in found]), 0.0)
    trials = sum(part.trials for part in found)
    statistic = max(0.0, *(part.statistic for part in found)) if trials else math.nan
    lower, consistent, upper = (float((row >= statistic).mean()) if trials else math.nan for row in maxima)
    return SuperiorAbility(statistic, lower, consistent, upper, trials, maxima.shape[1], mean_block)


def _bootstrap_variance(centred: Float, mean_block: float) -> Float:
    """Return the variance of sqrt(T) times the bootstrapped mean, (M,): Hansen (2005), section 3.1.

    gamma_0 + 2 sum kappa_i gamma_i, kappa_i = (1 - i/T)(1 - q)^i + (i/T)(1 - q)^(T - i). As kappa_i is
    kappa_(T - i), that is a sum over circular autocovariances: kernel times periodogram.
    """
    rows = centred.shape[1]
    lags = np.arange(rows)
    stay = 1.0 - 1.0 / mean_block
    kernel = (1.0 - lags / rows) * stay**lags + lags / rows * stay ** (rows - lags)
    weight = np.fft.rfft(kernel).real
    weight[1 : (rows + 1) // 2] *= 2.0
    variance = np.empty(len(centred))
    for index, row in enumerate(centred):
        spectrum = np.fft.rfft(row)
        variance[index] = np.vecdot(weight, spectrum.real**2 + spectrum.imag**2)
    return variance / float(rows) ** 2
