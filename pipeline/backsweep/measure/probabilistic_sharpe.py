"""The probabilistic Sharpe ratio: how sure one may be that the true Sharpe ratio passes a benchmark."""

from __future__ import annotations

import math

import numpy as np

from backsweep.arrays import Float, Integer

__all__ = ["normal_cdf", "probabilistic_sharpe"]


def normal_cdf(values: Float) -> Float:
    """Return the standard normal distribution function of each value; NumPy has none, and SciPy loads slowly.

    Parameters
    ----------
    values : (M,) or (M, K) float64; NaN stays NaN.

    Returns
    -------
    The same shape, in [0, 1]; the lower tail keeps its relative accuracy.

    Source : Phi(z) = erfc(-z / sqrt 2) / 2, by the C library's erfc; checked against
        `statistics.NormalDist` in tests/unit/test_measure_probabilistic_sharpe.py.
    """
    flat = (-np.asarray(values, dtype=np.float64) / math.sqrt(2.0)).ravel().tolist()
    return np.array([0.5 * math.erfc(value) for value in flat], dtype=np.float64).reshape(np.shape(values))


def probabilistic_sharpe(
    sharpe: Float, rows: Float | Integer | int, skew: Float, kurtosis: Float, benchmark: Float | float = 0.0
) -> Float:
    """Return P(true Sharpe > benchmark), because a short, skewed, fat-tailed record proves less.

    Phi((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2)). With the expected maximum
    of all trials as the benchmark it is the deflated Sharpe ratio (`aggregate.deflated_sharpe`).

    Parameters
    ----------
    sharpe : S = (M,) or (M, K), the Sharpe ratio a row: never annualised.
    rows : number n of returns behind it; broadcasts against S.
    skew, kurtosis : S, population moments, kurtosis plain (3 for a normal).
    benchmark : SR*, the Sharpe ratio a row to be passed.

    Returns
    -------
    S, in [0, 1]; NaN where an input is NaN, where n < 2, or where the moments leave the estimate
    without variance (returns of two values only).

    Source : Bailey and Lopez de Prado (2012), "The Sharpe ratio efficient frontier", Journal of Risk
        15(2), equation 11; its example (SR 0.458, n 24, skew -2.448, kurtosis 10.164: 0.913) is in
        tests/golden/test_luck.py.
    """
    sharpe = np.asarray(sharpe, dtype=np.float64)
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    defined = (variance > 0.0) & (np.asarray(rows) >= 2)
    degrees = np.maximum(np.asarray(rows, dtype=np.float64) - 1.0, 1.0)
    score = (sharpe - benchmark) * np.sqrt(degrees) / np.sqrt(np.where(defined, variance, 1.0))
    return normal_cdf(np.where(defined, score, np.nan))
