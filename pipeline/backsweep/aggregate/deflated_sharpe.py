"""The deflated Sharpe ratio's benchmark: the Sharpe ratio that the best of N worthless trials shows.

DSR is the probabilistic Sharpe ratio against that benchmark, so the two share one formula
(`measure.probabilistic_sharpe`, to which `Deflation.benchmark` is passed).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError

__all__ = [
    "CorrelationSums",
    "Deflation",
    "correlation_sums",
    "deflate",
    "effective_trials",
    "expected_maximum",
    "mean_correlation",
]

EULER_MASCHERONI = 0.5772156649015329

FLAT_RANGE = 1e-14
"""A range of returns that is rounding, not variance: such a series correlates with nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class CorrelationSums:
    """All that the mean correlation of many series needs of a chunk of them.

    Parameters
    ----------
    total : (T,) float64, sum of the series, each centred and scaled to length 1.
    count : series in the sum; flat ones are left out.
    """

    total: Float
    count: int


def correlation_sums(series: Float) -> CorrelationSums:
    """Return the partial sums of a chunk, because |sum of unit vectors|^2 holds every correlation.

    Parameters
    ----------
    series : (M, T) float64, net returns of one chunk of trials, no NaN.

    Returns
    -------
    CorrelationSums; a series without variance is left out.

    Source : identity sum_ij rho_ij = |sum_i z_i|^2; checked against `numpy.corrcoef` in
        tests/unit/test_aggregate_deflated_sharpe.py.
    """
    varied = series.max(axis=1) - series.min(axis=1) > FLAT_RANGE
    centred = series[varied] - series[varied].mean(axis=1)[:, None]
    centred /= np.sqrt(np.vecdot(centred, centred))[:, None]
    return CorrelationSums(centred.sum(axis=0), int(varied.sum()))


def mean_correlation(parts: Iterable[CorrelationSums]) -> float:
    """Return the mean correlation over all pairs of trials, adding the parts in the order given.

    Parameters
    ----------
    parts : the sums of all chunks, in trial order.

    Returns
    -------
    Mean of the correlations off the diagonal; NaN with fewer than two series that vary.

    Source : Bailey and Lopez de Prado (2014), "The deflated Sharpe ratio", Journal of Portfolio
        Management 40(5), appendix A.3; checked in tests/unit/test_aggregate_deflated_sharpe.py.
    """
    total, count = None, 0
    for part in parts:
        total = part.total if total is None else total + part.total
        count += part.count
    if total is None or count < 2:
        return math.nan
    return float((np.vecdot(total, total) - count) / (count * (count - 1)))


def effective_trials(trials: int, correlation: float) -> float:
    """Return how many independent trials the correlated ones amount to: rho + (1 - rho) N.

    Parameters
    ----------
    trials : N, distinct trials.
    correlation : rho, their mean correlation. A negative one counts as 0 (no more than N are
        independent); NaN (a single trial) counts as 0, too.

    Returns
    -------
    From 1 to N.

    Raises
    ------
    InvariantError : N under 1.

    Source : Bailey and Lopez de Prado (2014), appendix A.3, equation 9; checked in
        tests/unit/test_aggregate_deflated_sharpe.py.
    """
    if trials < 1:
        raise InvariantError(f"{trials} trials cannot be deflated: at least 1 is needed")
    rho = 0.0 if math.isnan(correlation) else max(correlation, 0.0)
    return max(1.0, rho + (1.0 - rho) * trials)


def expected_maximum(trials: float, variance: float) -> float:
    """Return the best Sharpe ratio to be expected of N independent trials none of which has any skill.

    sqrt(V) ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e))), g the Euler-Mascheroni constant, z the normal
    quantile; never under 0.

    Parameters
    ----------
    trials : N, may be fractional (effective trials); one trial or fewer expects 0.
    variance : V, of the trials' Sharpe ratios, in the unit squared of the result; NaN counts as 0.

    Returns
    -------
    A Sharpe ratio, a row if V is that of Sharpe ratios a row.

    Source : Bailey and Lopez de Prado (2014), equation 1; checked by simulation and by the paper's example
        in tests/golden/test_luck.py.
    """
    from statistics import NormalDist

    if trials <= 1.0 or not variance > 0.0:
        return 0.0
    quantile = NormalDist().inv_cdf
    ordinary = -quantile(1.0 / trials)
    rare = -quantile(1.0 / (trials * math.e))
    return max(0.0, math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * ordinary + EULER_MASCHERONI * rare))


@dataclass(frozen=True, slots=True)
class Deflation:
    """How many trials stand behind the best one, and what that alone would have shown.

    Parameters
    ----------
    trials : N, distinct trials (of this sweep, or ever run on the data's lineage).
    effective : N discounted for the trials' mean correlation.
    correlation : that mean; NaN where it is not defined.
    variance : of the base trials' Sharpe ratios a row, ddof 1; NaN with fewer than two.
    benchmark : expected maximum Sharpe ratio a row of `effective` trials: the DSR's SR*.
    benchmark_all : the same of all `trials`, as if they were independent.
    """

    trials: int
    effective: float
    correlation: float
    variance: float
    benchmark: float
    benchmark_all: float


def deflate(row_sharpe: Float, correlation: float, trials: int) -> Deflation:
    """Return the benchmarks of the deflated Sharpe ratio, with and without the correlation discount.

    Parameters
    ----------
    row_sharpe : (M,) float64, Sharpe ratio a row of each base trial; NaN (null) ones are left out.
    correlation : `mean_correlation` of the base trials.
    trials : N, the sweep's own count M or the larger one ever run on the data's lineage.

    Returns
    -------
    Deflation.

    Raises
    ------
    InvariantError : N under 1.

    Source : Bailey and Lopez de Prado (2014); the paper's example (annual SR 2.5, T 1250, N 100, variance
        1/2, skew -3, kurtosis 10: 0.900) is in tests/golden/test_luck.py.
    """
    known = row_sharpe[~np.isnan(row_sharpe)]
    variance = float(known.var(ddof=1)) if len(known) > 1 else math.nan
    effective = effective_trials(trials, correlation)
    return Deflation(
        trials=trials,
        effective=effective,
        correlation=correlation,
        variance=variance,
        benchmark=expected_maximum(effective, variance),
        benchmark_all=expected_maximum(float(trials), variance),
    )
