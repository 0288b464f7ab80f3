"""The Gerber statistic: co-movement counted only where both returns are large."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Float

__all__ = ["estimate_gerber"]

_CHUNK = 1 << 17  # values of the signs in work at once


def estimate_gerber(returns: Float, deviation: Float, threshold: float) -> Float:
    """Return the Gerber covariance: s_i g_ij s_j with g the Gerber statistic of 2022.

    A return counts as up where r >= c s, as down where r <= -c s (raw returns, not centred), else as
    neutral; g_ij = (UU + DD - UD - DU) / (T - NN), the balance of joint moves over the rows on which at
    least one of the two assets moved. Small fluctuations and the size of outliers drop out.

    This is the third published variant, the one that is positive semidefinite. It always is: the balance
    of joint moves is M'M with M of -1, 0, 1; 1 / (T - NN) is the sum over k of (NN / T)^k / T with NN a matrix of
    inner products; powers, sums and products entry by entry of such matrices stay so (Schur).

    Parameters
    ----------
    returns : (B, L, N) float64, simple daily returns as fractions, no NaN.
    deviation : (B, N) float64, sample standard deviations (ddof 1), daily (skfolio: ddof 0).
    threshold : c, in standard deviations; 0 counts every return that is not 0.

    Returns
    -------
    (B, N, N) float64, daily. The variance is s_i^2 where the asset moved at all, 0 for a constant asset;
        an asset that never passed its threshold keeps its variance and has covariance 0.

    Source: Gerber, Markowitz, Ernst, Miao, Javid, Sargen (2022), "The Gerber statistic: a robust co-movement
    measure for portfolio optimization", Journal of Portfolio Management 48; Flint and Polakow (2023),
    "Deconstructing the Gerber statistic", tell the variants apart. Checked in tests/unit/test_solve_gerber.py
    and against skfolio in tests/reference/test_peers_moments.py.
    """
    batch, rows, assets = returns.shape
    matrix = np.empty((batch, assets, assets))
    bar = threshold * deviation
    step = max(1, _CHUNK // (rows * assets))
    for start in range(0, batch, step):
        part = slice(start, start + step)
        chunk, limit = returns[part], bar[part, None, :]
        up = (chunk >= limit) & (chunk > 0)
        down = (chunk <= -limit) & (chunk < 0)
        # counts are whole numbers far under 2^24: exact in float32
        sign = up.astype(np.float32)
        sign -= down
        moved = np.abs(sign)
        balance = np.matmul(np.swapaxes(sign, 1, 2), sign)
        both = np.matmul(np.swapaxes(moved, 1, 2), moved)
        count = np.einsum("bii->bi", both)
        either = count[:, :, None] + count[:, None, :] - both
        np.divide(balance, np.maximum(either, 1.0), out=matrix[part], dtype=np.float64)
    np.einsum("bii->bi", matrix)[:] = 1.0
    matrix *= deviation[:, :, None]
    matrix *= deviation[:, None, :]
    return matrix
