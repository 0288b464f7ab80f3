"""Covariance matrices that are a diagonal plus a low rank, inverted without being formed.

With T rows of N returns and T < N, a shrunk covariance is D + U U' where U has T columns. Its inverse is
D^-1 - V'V with V = C^-1 U' D^-1 and C C' = 1 + U' D^-1 U, a matrix of T rows (Woodbury). Everything below needs
memory for a few T x N arrays and time N T^2; the N x N matrix is written only where somebody asks for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import DataError, NumericError, UserError
from backsweep.linalg.matrices import MatrixSink
from backsweep.linalg.norms import estimate_one_norm
from backsweep.linalg.tiles import DEFAULT_TILE, Tiling

__all__ = ["SHRINKAGES", "DiagonalPlusLowRank", "shrink_returns", "write_precision"]

SHRINKAGES = ("ledoit_wolf", "oas")

_ROUNDING = 1e-14  # what differs from 0 by less of its own scale is 0: a share of the target, a spread


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalPlusLowRank:
    """The matrix diag(d) + U U', and what it and its inverse do to vectors.

    Parameters
    ----------
    diagonal : (N,) float64, d, all above 0.
    factor : (N, K) float64, U.
    """

    diagonal: Float
    factor: Float

    def __post_init__(self) -> None:
        if self.factor.ndim != 2 or self.diagonal.shape != self.factor.shape[:1]:
            raise DataError(
                f"a diagonal of shape {self.diagonal.shape} and a factor of shape {self.factor.shape} do not fit; "
                f"give (N,) and (N, K)"
            )
        if not (np.isfinite(self.diagonal).all() and np.isfinite(self.factor).all()):
            raise DataError("the diagonal or the factor holds values that are not finite; every value must be finite")
        row = int(np.argmin(self.diagonal))
        if self.diagonal[row] <= 0:
            raise NumericError(
                f"the matrix is not positive definite: element {row} (counted from 0) of the diagonal is "
                f"{self.diagonal[row]:.6g}, it must be above 0; shrink the matrix more"
            )

    @property
    def order(self) -> int:
        """N."""
        return len(self.diagonal)

    def multiply(self, right: Float) -> Float:
        """Return the matrix times (N, M) or (N,) values without NaN."""
        scaled: Float = (self.diagonal * right.T).T + self.factor @ (self.factor.T @ right)
        return scaled

    def precision(self) -> Precision:
        """Return the inverse, as a diagonal less a low rank.

        Source : Woodbury 1950; Golub, Van Loan 2013, section 2.1.4. Checked in tests/unit/test_linalg_low_rank.py.
        """
        from scipy.linalg.blas import dtrsm
        from scipy.linalg.lapack import dpotrf

        inverse = 1.0 / self.diagonal
        scaled = np.ascontiguousarray(self.factor.T * inverse)
        core = scaled @ self.factor
        core[np.diag_indices_from(core)] += 1.0
        triangle, fault = dpotrf(core.T, lower=False, overwrite_a=True)
        if fault:
            raise NumericError("the low rank part is too large for its diagonal: nothing of it would be left")
        half: Float = dtrsm(1.0, triangle, scaled.T, side=1, lower=False, overwrite_b=True).T
        return Precision(inverse, half)

    def condition(self) -> float:
        """Return an estimate (a lower bound, mostly exact) of the product of the 1-norms of it and its inverse."""
        precision = self.precision()
        return estimate_one_norm(self.multiply, self.order) * estimate_one_norm(precision.multiply, self.order)


@dataclass(frozen=True, slots=True, eq=False)
class Precision:
    """The matrix diag(p) - V'V.

    Parameters
    ----------
    diagonal : (N,) float64, p.
    half : (K, N) float64, V.
    """

    diagonal: Float
    half: Float

    def multiply(self, right: Float) -> Float:
        """Return the precision matrix times (N, M) or (N,) values without NaN."""
        product: Float = (self.diagonal * right.T).T - self.half.T @ (self.half @ right)
        return product

    def block(self, rows: slice, columns: slice) -> Float:
        """Return a block of the precision matrix."""
        block: Float = -(self.half[:, rows].T @ self.half[:, columns])
        shared = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
        block[shared - rows.start, shared - columns.start] += self.diagonal[shared]
        return block


def shrink_returns(returns: Float, shrinkage: str) -> DiagonalPlusLowRank:
    """Return the shrunk covariance of returns without forming it; the same numbers as the estimators of `solve`.

    All that shrinkage needs to know of the N x N sample covariance (its trace, its Frobenius norm, the lengths of
    rows) is in the T x T matrix of inner products of the rows.

    Parameters
    ----------
    returns : (T, N) float64, simple returns as fractions, no NaN.
    shrinkage : `ledoit_wolf` or `oas`, towards a multiple of the identity.

    Raises
    ------
    DataError : fewer than two rows, or a value that is not finite.
    NumericError : returns that never change, or shrinkage of 0 (then nothing of full rank is left).
    UserError : another shrinkage.

    Source : Ledoit, Wolf 2004, JMVA 88, lemmas 3.1 to 3.3; Chen, Wiesel, Eldar, Hero 2010, IEEE TSP 58, equation 23
    as scikit-learn has it. Checked against `solve.covariance` in tests/unit/test_linalg_low_rank.py.
    """
    if shrinkage not in SHRINKAGES:
        raise UserError(f"no shrinkage is called {shrinkage!r}; there are {' and '.join(SHRINKAGES)}")
    if returns.ndim != 2 or len(returns) < 2:
        raise DataError(f"the returns have shape {returns.shape}; a covariance needs (T, N) with at least 2 rows")
    if not np.isfinite(returns).all():
        row, column = np.argwhere(~np.isfinite(returns))[0]
        raise DataError(f"the returns hold {returns[row, column]} in row {row}, column {column}; all must be finite")
    rows, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    inner = centred @ centred.T
    level = float(np.trace(inner)) / (rows * assets)
    square = float(np.vdot(inner, inner)) / (rows * rows)
    if shrinkage == "ledoit_wolf":
        length = np.diagonal(inner)
        spread = (square - assets * level * level) / assets
        noise = min((float(length @ length) / rows - square) / (assets * rows), spread)
        # without spread (one asset, say) the covariance is the target already
        share = max(noise, 0.0) / spread if spread > _ROUNDING * level * level else 1.0
    else:
        alpha = square / (assets * assets)
        bottom = (rows + 1.0) * (alpha - level * level / assets)
        share = min((alpha + level * level) / bottom, 1.0) if bottom > 0 else 1.0
    if share <= _ROUNDING or not level > 0:
        raise NumericError(
            f"the covariance of these returns is {share:.3g} of {level:.3g} times the identity and the rest sample, so "
            f"there is no diagonal to invert it by; give returns that vary, and more rows"
        )
    centred *= np.sqrt((1.0 - share) / rows)
    return DiagonalPlusLowRank(np.full(assets, share * level), centred.T)


def write_precision(matrix: DiagonalPlusLowRank, sink: MatrixSink, tile: int = DEFAULT_TILE) -> None:
    """Write the whole precision matrix (N, N), a block at a time; no NaN, exactly symmetric.

    Source : as `DiagonalPlusLowRank.precision`. Checked against numpy in tests/unit/test_linalg_low_rank.py.
    """
    tiling = Tiling(matrix.order, tile)
    precision = matrix.precision()
    for row in range(tiling.count):
        for column in range(row + 1):
            rows, columns = tiling.span(row), tiling.span(column)
            block = precision.block(rows, columns)
            if row == column:
                block = 0.5 * (block + block.T)
            sink.write(rows, columns, block)
            if row != column:
                sink.write(columns, rows, np.ascontiguousarray(block.T))
