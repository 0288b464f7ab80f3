"""Minimum variance portfolios of universes too large for the batched profiles: thousands of assets, one window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.errors import NumericError
from backsweep.linalg.cholesky import solve
from backsweep.linalg.low_rank import DiagonalPlusLowRank
from backsweep.linalg.matrices import MatrixSource
from backsweep.linalg.tiles import DEFAULT_TILE, TileExecutor

__all__ = ["MinimumVariance", "minimise_dense", "minimise_long_only", "minimise_low_rank"]

_CERTIFIED = 1e-10
_ROUNDS = 500
_PATIENCE = 10  # rounds without progress before assets are moved one by one, which always ends


@dataclass(frozen=True, slots=True, eq=False)
class MinimumVariance:
    """The portfolio of least variance.

    Parameters
    ----------
    weights : (N,) float64, sum 1.
    variance : of one row's return.
    certificate : how far the marginal variances of what is held are from equal (and, long only, those of what is
        not held from being above), relative; 0 is the exact optimum.
    """

    weights: Float
    variance: float
    certificate: float


def minimise_dense(source: MatrixSource, executor: TileExecutor, tile: int = DEFAULT_TILE) -> MinimumVariance:
    """Return the fully invested portfolio of least variance, short positions allowed, for a covariance in tiles.

    Parameters
    ----------
    source : (N, N) covariance, finite (no NaN), positive definite.

    Raises
    ------
    DataError : not symmetric, or not finite.
    NumericError : not positive definite, or so nearly singular that no weights pass their certificate.

    Source : Merton 1972, equation 9 with C^-1 1. Checked in tests/unit/test_linalg_low_rank.py against numpy.
    """
    solved = solve(source, np.ones(source.order), executor, tile)
    total = solved.solution.sum()
    if not total > 0 or solved.residual > _CERTIFIED:
        raise NumericError(
            f"the covariance is too nearly singular (condition {solved.condition:.2g}) for a portfolio of least "
            f"variance: its certificate is {solved.residual:.2g}, it must be {_CERTIFIED:g} or less; shrink the matrix"
        )
    return MinimumVariance(solved.solution / total, float(1.0 / total), solved.residual)


def minimise_low_rank(covariance: DiagonalPlusLowRank) -> MinimumVariance:
    """Return the fully invested portfolio of least variance, short positions allowed.

    Parameters
    ----------
    covariance : diag (N,) plus (N, K) factors, no NaN.

    Raises
    ------
    NumericError : the weights miss their certificate of 1e-10.

    Source : Merton 1972, equation 9 with C^-1 1, by Woodbury. Checked in tests/unit/test_linalg_low_rank.py.
    """
    scaled = _solve_ones(covariance)
    return _certified(covariance, scaled, np.ones(covariance.order, np.bool_))


def minimise_long_only(covariance: DiagonalPlusLowRank) -> MinimumVariance:
    """Return the fully invested portfolio of least variance that is short of nothing.

    Block principal pivoting: guess what is held, solve for it alone, then exchange all assets that came out with a
    negative weight, or would lower the variance if they were held; where that stalls, only the last of them.

    Parameters
    ----------
    covariance : diag (N,) plus (N, K) factors, no NaN.

    Raises
    ------
    NumericError : no weights that pass their certificate of 1e-10 after 500 exchanges.

    Source : Portugal, Judice, Vicente 1994, Mathematics of Computation 63, algorithm 3; finite by Murty's rule.
    Checked in tests/unit/test_linalg_low_rank.py against `solve.min_variance`.
    """
    held: Boolean = np.ones(covariance.order, np.bool_)
    best, patience = covariance.order + 1, _PATIENCE
    for _ in range(_ROUNDS):
        part = DiagonalPlusLowRank(covariance.diagonal[held], covariance.factor[held])
        scaled = np.zeros(covariance.order)
        scaled[held] = _solve_ones(part)
        slack = covariance.multiply(scaled) - 1.0
        wrong = (held & (scaled < 0)) | (~held & (slack < -_CERTIFIED))
        count = int(wrong.sum())
        if not count:
            return _certified(covariance, scaled, held)
        if count < best:
            best, patience = count, _PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            wrong[: np.flatnonzero(wrong)[-1]] = False
        held ^= wrong
    raise NumericError(f"no long-only portfolio of least variance settled in {_ROUNDS} exchanges of assets")


def _solve_ones(covariance: DiagonalPlusLowRank) -> Float:
    """Return y of C y = 1, refined once: Woodbury alone loses digits where the low rank outweighs the diagonal."""
    precision = covariance.precision()
    scaled = precision.multiply(np.ones(covariance.order))
    return scaled + precision.multiply(1.0 - covariance.multiply(scaled))


def _certified(covariance: DiagonalPlusLowRank, scaled: Float, held: Boolean) -> MinimumVariance:
    """Return the weights in proportion to `scaled`, or refuse them: C y = 1 on what is held, >= 1 elsewhere."""
    total = float(scaled.sum())
    slack = covariance.multiply(scaled) - 1.0
    certificate = float(np.where(held, np.abs(slack), np.maximum(-slack, 0.0)).max())
    if not total > 0 or certificate > _CERTIFIED:
        raise NumericError(
            f"the portfolio of least variance has a certificate of {certificate:.2g}, it must be {_CERTIFIED:g} or "
            f"less: the covariance is too nearly singular; shrink it more"
        )
    return MinimumVariance(scaled / total, 1.0 / total, certificate)
