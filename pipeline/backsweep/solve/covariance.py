"""Covariance estimators: training returns of a batch of windows -> one daily covariance matrix a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError, NumericError
from backsweep.solve.denoising import denoise
from backsweep.solve.gerber import estimate_gerber

__all__ = ["ESTIMATORS", "estimate"]

_CONSTANT = 1e-28  # variance under this share of the squared mean is rounding of a constant return
_LARGE_MEAN = 100.0  # squared mean over variance from which the mean is taken off before squaring
_CHUNK = 1 << 17  # values of a weighted copy of the returns: 1 MB, so that it stays in cache


def estimate(name: str, returns: Float, parameters: Mapping[str, object]) -> Float:
    """Return the covariance of each window's training returns by one of the six estimators.

    Daily, never annualised; every profile is invariant to the factor. Each matrix depends on the rows of
    its own window alone, and is exactly symmetric.

    Parameters
    ----------
    name : `sample` (ddof 1), `ledoit_wolf`, `oas`, `ewma`, `denoised` or `gerber`.
    returns : (B, L, N) float64, simple daily returns as fractions, no NaN; a strided view is read in place.
    parameters : `halfLife` (rows, 40) for ewma, `threshold` (standard deviations, 0.5) for gerber.

    Returns
    -------
    (B, N, N) float64.

    Notes
    -----
    A constant asset has variance 0 and covariance 0 by sample, ewma (when its return is 0), denoised and
    gerber; ledoit_wolf and oas shrink it towards the mean variance. With N >= L sample is singular
    (rank L - 1), ewma has rank L at most, denoised is positive definite, gerber positive semidefinite.

    Raises
    ------
    NumericError : fewer than two rows.
    InvariantError : an unknown name.

    Source: each estimator names its own. Checked in tests/unit/test_solve_covariance.py against slow loops and in
    tests/reference/test_peers_moments.py against scikit-learn and skfolio.
    """
    if name not in ESTIMATORS:
        raise InvariantError(f"no covariance estimator is called {name}; there are {', '.join(ESTIMATORS)}")
    rows = returns.shape[1]
    if rows < 2:
        raise NumericError(f"a covariance needs at least 2 training rows, this window has {rows}")
    matrix = ESTIMATORS[name](returns, parameters)
    matrix += np.swapaxes(matrix, 1, 2).copy()
    matrix *= 0.5
    return matrix


def _estimate_sample(returns: Float, parameters: Mapping[str, object]) -> Float:
    """Sample covariance, ddof 1."""
    scatter, _ = _scatter(returns)
    scatter /= returns.shape[1] - 1
    return scatter


def _scatter(returns: Float) -> tuple[Float, Float]:
    """Return the sums of products of deviations (B, N, N) and the means (B, N).

    X'X - L m m' needs no copy of the overlapping windows. Its relative error is about 1e-16 (1 + m^2 / s^2); where
    that grows (an asset whose mean is ten times its deviation) the window is centred first.
    """
    rows = returns.shape[1]
    mean: Float = np.matmul(np.full((1, rows), 1.0 / rows), returns)[:, 0, :]
    scatter = np.matmul(np.swapaxes(returns, 1, 2), returns)
    square = np.einsum("bii->bi", scatter).copy()
    scatter -= (rows * mean)[:, :, None] * mean[:, None, :]
    variance = np.einsum("bii->bi", scatter)
    for window in np.flatnonzero((square > (1.0 + _LARGE_MEAN) * variance).any(axis=1)):
        centred = returns[window] - returns[window].mean(axis=0)
        scatter[window] = centred.T @ centred
    constant = variance <= _CONSTANT * square
    if constant.any():
        scatter[constant[:, :, None] | constant[:, None, :]] = 0.0
    return scatter, mean


def _estimate_ledoit_wolf(returns: Float, parameters: Mapping[str, object]) -> Float:
    """Ledoit and Wolf (2004), JMVA 88, lemma 3.1 to 3.3: scaled identity, as scikit-learn.

    The sum over i, j, t of (x_ti x_tj)^2 is the sum over t of |x_t|^4.
    """
    scatter, mean = _scatter(returns)
    rows, assets = returns.shape[1:]
    length = np.einsum("bli,bli->bl", returns, returns)
    length -= 2.0 * np.matvec(returns, mean)
    length += np.vecdot(mean, mean)[:, None]
    fourth = np.vecdot(length, length)
    empirical = scatter / rows
    square = np.einsum("bij,bij->b", empirical, empirical)
    level = np.einsum("bii->b", empirical) / assets
    spread = (square - assets * level * level) / assets
    noise = np.minimum((fourth / rows - square) / (assets * rows), spread)
    share = np.divide(noise, spread, out=np.zeros_like(noise), where=(noise > 0) & (spread > 0))
    return _shrink(empirical, level, share)


def _estimate_oas(returns: Float, parameters: Mapping[str, object]) -> Float:
    """Oracle approximating shrinkage: Chen, Wiesel, Eldar, Hero (2010), IEEE TSP 58, equation 23.

    As scikit-learn, which leaves the terms 2 / N of that equation out.
    """
    scatter, _ = _scatter(returns)
    rows, assets = returns.shape[1:]
    empirical = scatter / rows
    level = np.einsum("bii->b", empirical) / assets
    alpha = np.einsum("bij,bij->b", empirical, empirical) / (assets * assets)
    top = alpha + level * level
    bottom = (rows + 1.0) * (alpha - level * level / assets)
    share = np.minimum(np.divide(top, bottom, out=np.ones_like(top), where=bottom > 0), 1.0)
    return _shrink(empirical, level, share)


def _shrink(empirical: Float, level: Float, share: Float) -> Float:
    """Return (1 - share) empirical + share level I, in place."""
    empirical *= (1.0 - share)[:, None, None]
    np.einsum("bii->bi", empirical)[:] += (share * level)[:, None]
    return empirical


def _estimate_ewma(returns: Float, parameters: Mapping[str, object]) -> Float:
    """Zero mean, exponential weights that sum to 1 (RiskMetrics technical document, 1996, section 5.2)."""
    batch, rows, assets = returns.shape
    half_life = float(str(parameters.get("halfLife", 40)))
    weights = 0.5 ** (np.arange(rows - 1, -1, -1) / half_life)
    root = np.sqrt(weights / weights.sum())[:, None]
    matrix = np.empty((batch, assets, assets))
    step = max(1, _CHUNK // (rows * assets))
    for start in range(0, batch, step):
        scaled = returns[start : start + step] * root
        np.matmul(np.swapaxes(scaled, 1, 2), scaled, out=matrix[start : start + step])
    return matrix


def _estimate_denoised(returns: Float, parameters: Mapping[str, object]) -> Float:
    """Sample covariance with its noise eigenvalues made equal; see `denoise`."""
    scatter, _ = _scatter(returns)
    scatter /= returns.shape[1] - 1
    return denoise(scatter, returns.shape[1])


def _estimate_gerber(returns: Float, parameters: Mapping[str, object]) -> Float:
    """Gerber statistic between sample deviations; see `estimate_gerber`."""
    scatter, _ = _scatter(returns)
    variance = np.einsum("bii->bi", scatter) / (returns.shape[1] - 1)
    return estimate_gerber(returns, np.sqrt(variance), float(str(parameters.get("threshold", 0.5))))


ESTIMATORS: Mapping[str, Callable[[Float, Mapping[str, object]], Float]] = {
    "sample": _estimate_sample,
    "ledoit_wolf": _estimate_ledoit_wolf,
    "oas": _estimate_oas,
    "ewma": _estimate_ewma,
    "denoised": _estimate_denoised,
    "gerber": _estimate_gerber,
}
