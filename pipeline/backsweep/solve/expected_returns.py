"""Expected-return estimators: training returns of a batch of windows -> one expected return an asset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError, NumericError

__all__ = ["ESTIMATORS", "estimate"]

_SINGULAR = 1e9  # a solution of R x = probe longer than this: the correlation is taken for singular
_SMALLEST_EIGENVALUE = 1e-9  # directions of the correlation under it are left out of its inverse then


def estimate(name: str, returns: Float, covariance: Float, parameters: Mapping[str, object]) -> Float:
    """Return each asset's expected simple return a row by one of the three estimators.

    Arithmetic, daily, never annualised: max_sharpe compares them with the riskless return of one row.

    Parameters
    ----------
    name : `mean`, `ewma` (exponential weights that sum to 1) or `bayes_stein` (see `shrink_means`).
    returns : (B, L, N) float64, simple daily returns as fractions, no NaN; a strided view is read in place.
    covariance : (B, N, N) float64, the sample covariance (ddof 1) of the same rows; bayes_stein reads it.
    parameters : `halfLife` (rows, 40) for ewma.

    Returns
    -------
    (B, N) float64.

    Raises
    ------
    NumericError : no rows, or for bayes_stein not more than N + 2 rows.
    InvariantError : an unknown name.

    Source: bayes_stein is Jorion (1986). Checked in tests/unit/test_solve_expected_returns.py and against skfolio
    in tests/reference/test_peers_moments.py.
    """
    if name not in ESTIMATORS:
        raise InvariantError(f"no expected-return estimator is called {name}; there are {', '.join(ESTIMATORS)}")
    if returns.shape[1] < 1:
        raise NumericError("an expected return needs at least 1 training row, this window has none")
    return ESTIMATORS[name](returns, covariance, parameters)


def _estimate_mean(returns: Float, covariance: Float, parameters: Mapping[str, object]) -> Float:
    """Arithmetic mean."""
    rows = returns.shape[1]
    return _weigh(returns, np.full(rows, 1.0 / rows))


def _estimate_ewma(returns: Float, covariance: Float, parameters: Mapping[str, object]) -> Float:
    """Mean with exponential weights; the last row weighs most."""
    half_life = float(str(parameters.get("halfLife", 40)))
    weights = 0.5 ** (np.arange(returns.shape[1] - 1, -1, -1) / half_life)
    return _weigh(returns, weights / weights.sum())


def _weigh(returns: Float, weights: Float) -> Float:
    """Return the weighted sum of each window's rows."""
    total: Float = np.matmul(weights[None, :], returns)[:, 0, :]
    return total


def _estimate_bayes_stein(returns: Float, covariance: Float, parameters: Mapping[str, object]) -> Float:
    """Bayes-Stein means; see `shrink_means`."""
    mean = _estimate_mean(returns, covariance, parameters)
    return shrink_means(mean, covariance, returns.shape[1])


def shrink_means(mean: Float, covariance: Float, rows: int) -> Float:
    """Return Jorion's Bayes-Stein estimate: means drawn towards that of the minimum-variance portfolio.

    With S = (L - 1) / (L - N - 2) times the sample covariance, m0 = 1'S^-1 m / 1'S^-1 1, and
    k = (N + 2) / ((m - m0)'S^-1 (m - m0)), it is (1 - v) m + v m0 with v = k / (k + L): the noisier the means
    against their spread, the more they are taken for equal.

    Parameters
    ----------
    mean : (B, N) float64, sample means.
    covariance : (B, N, N) float64, sample covariance (ddof 1).
    rows : L.

    Returns
    -------
    (B, N) float64. A constant asset's mean is certain: it keeps it, and N counts the others. Where S is
        singular (twins) its inverse is the pseudo-inverse. Equal means stay.

    Raises
    ------
    NumericError : L <= N + 2, where S is not defined.

    Source: Jorion (1986), "Bayes-Stein estimation for portfolio analysis", Journal of Financial and Quantitative
    Analysis 21, pages 279 to 292, equations 14 and 17. skfolio takes the plain mean for m0 by default and no factor
    in S; tests/reference/test_peers_moments.py says how the two agree.
    """
    assets = mean.shape[1]
    if rows <= assets + 2:
        raise NumericError(
            f"bayes_stein needs more training rows than assets + 2: this window has {rows} rows and {assets} assets"
        )
    variance = np.einsum("bii->bi", covariance)
    volatile = variance > 0
    inverse = np.where(volatile, 1.0 / np.sqrt(np.where(volatile, variance, 1.0)), 0.0)
    correlation = covariance * inverse[:, :, None] * inverse[:, None, :]
    np.einsum("bii->bi", correlation)[:] = 1.0  # a constant asset is decoupled, its right-hand sides are 0
    right = np.stack((inverse, mean * inverse), axis=2)
    solved = _solve_correlation(correlation, right)
    count = volatile.sum(axis=1)
    # 1'C^-1 1, 1'C^-1 m and (m - m0)'C^-1 (m - m0)
    ones = np.einsum("bi,bi->b", inverse, solved[:, :, 0])
    target = np.einsum("bi,bi->b", inverse, solved[:, :, 1]) / np.where(ones > 0, ones, 1.0)
    away = (mean - target[:, None]) * inverse
    spread = np.einsum("bi,bi->b", away, solved[:, :, 1] - target[:, None] * solved[:, :, 0])
    spread *= (rows - count - 2.0) / (rows - 1.0)
    share = (count + 2.0) / (count + 2.0 + rows * np.maximum(spread, 0.0))
    return np.where(volatile, mean + share[:, None] * (target[:, None] - mean), mean)


def _solve_correlation(correlation: Float, right: Float) -> Float:
    """Solve R x = right for each window; by the pseudo-inverse where R is singular or nearly so."""
    probe = np.cos(np.arange(1.0, correlation.shape[1] + 1.0))
    both = np.concatenate((right, np.broadcast_to(probe[:, None], (*right.shape[:2], 1))), axis=2)
    try:
        solved: Float = np.linalg.solve(correlation, both).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        solved = np.full_like(both, np.nan)
        for window in range(len(correlation)):
            with suppress(np.linalg.LinAlgError):
                solved[window] = np.linalg.solve(correlation[window], both[window])
    singular = ~(np.abs(solved[:, :, -1]).max(axis=1) < _SINGULAR)
    for window in map(int, np.flatnonzero(singular)):
        inverse = np.linalg.pinv(correlation[window], rcond=_SMALLEST_EIGENVALUE, hermitian=True)
        solved[window] = inverse @ both[window]
    return solved[:, :, :-1]


ESTIMATORS: Mapping[str, Callable[[Float, Float, Mapping[str, object]], Float]] = {
    "mean": _estimate_mean,
    "ewma": _estimate_ewma,
    "bayes_stein": _estimate_bayes_stein,
}
