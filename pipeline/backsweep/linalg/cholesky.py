"""Cholesky factorisation of a tiled matrix, and what is solved with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import DataError
from backsweep.linalg.chains import submit_chain
from backsweep.linalg.kernels import BACKWARD, FACTOR_BELOW, FACTOR_DIAGONAL, FORWARD, read_pivots
from backsweep.linalg.matrices import MatrixSource, read_symmetric
from backsweep.linalg.norms import estimate_one_norm, multiply
from backsweep.linalg.tiles import DEFAULT_TILE, Handle, TileExecutor, Tiling

__all__ = ["Factor", "Solved", "factorise", "solve", "submit_factor"]

Triangle = dict[tuple[int, int], Handle]


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The answer to A X = B and how far it can be trusted.

    Parameters
    ----------
    solution : (N, M) float64.
    residual : the largest |A x - b| over |A| |x| + |b|, all in the maximum norm: the relative change of A and b
        under which x is exact. Rounding of a stable method leaves about 1e-16.
    condition : an estimate (a lower bound, mostly exact) of |A|_1 |A^-1|_1: the relative error of x is about
        `condition` x `residual`.
    smallest_pivot, smallest_pivot_row : of the factorisation, the row counted from 0.
    """

    solution: Float
    residual: float
    condition: float
    smallest_pivot: float
    smallest_pivot_row: int


class Factor:
    """The Cholesky factor of a matrix, its tiles kept by an executor until `release`.

    Parameters
    ----------
    norm : 1-norm of the matrix.
    pivots : (N,) float64, all above 0.
    """

    def __init__(self, executor: TileExecutor, tiling: Tiling, lower: Triangle, norm: float, pivots: Float) -> None:
        self._executor = executor
        self._tiling = tiling
        self._lower = lower
        self.norm = norm
        self.pivots = pivots

    def solve(self, right: Float) -> Float:
        """Return X of A X = B for B of shape (N, M) or (N,), no NaN."""
        columns = np.ascontiguousarray(right.reshape(self._tiling.order, -1), dtype=np.float64)
        executor, tiling = self._executor, self._tiling
        rows = [executor.put(columns[tiling.span(row)].copy()) for row in range(tiling.count)]
        for row in range(tiling.count):
            pairs = [(self._lower[row, column], rows[column]) for column in range(row)]
            self._substitute(rows, row, pairs, backward=False)
        for row in reversed(range(tiling.count)):
            pairs = [(self._lower[below, row], rows[below]) for below in range(row + 1, tiling.count)]
            self._substitute(rows, row, pairs, backward=True)
        solution = np.concatenate([executor.get(row) for row in rows])
        for part in rows:
            executor.release(part)
        return solution.reshape(right.shape)

    def condition(self) -> float:
        """Return an estimate of |A|_1 |A^-1|_1, a lower bound that is mostly exact."""
        return self.norm * estimate_one_norm(self.solve, self._tiling.order)

    def release(self) -> None:
        """Let the executor forget the tiles; nothing can be solved after that."""
        for tile in self._lower.values():
            self._executor.release(tile)
        self._lower.clear()

    def _substitute(self, rows: list[Handle], row: int, pairs: list[tuple[Handle, Handle]], *, backward: bool) -> None:
        """Replace one row of tiles of the right side by that of the answer."""
        recipe = BACKWARD if backward else FORWARD
        found = submit_chain(self._executor, recipe, (rows[row],), pairs, (self._lower[row, row],))
        self._executor.release(rows[row])
        rows[row] = found


def submit_factor(source: MatrixSource, tiling: Tiling, executor: TileExecutor) -> tuple[Triangle, float]:
    """Submit the factorisation of a source; return the tiles of the factor and the 1-norm of the source.

    Column after column, left to right: a tile of the factor is written once, when all it needs is there
    (left-looking), and the tile of the matrix it comes from is read just before.

    Raises
    ------
    DataError : not symmetric, or not finite.
    """
    diagonal = np.concatenate(
        [np.diagonal(source.read(tiling.span(index), tiling.span(index))) for index in range(tiling.count)]
    )
    lower: Triangle = {}
    sums = np.zeros(tiling.order)
    for column in range(tiling.count):
        for row in range(column, tiling.count):
            rows, columns = tiling.span(row), tiling.span(column)
            block = read_symmetric(source, rows, columns, diagonal)
            size = np.abs(block)
            sums[columns] += size.sum(axis=0)
            if row != column:
                sums[rows] += size.sum(axis=1)
            given = executor.put(block)
            if row == column:
                own = [(lower[row, before],) for before in range(column)]
                found = submit_chain(executor, FACTOR_DIAGONAL, (given,), own, first=rows.start)
            else:
                pairs = [(lower[row, before], lower[column, before]) for before in range(column)]
                found = submit_chain(executor, FACTOR_BELOW, (given,), pairs, (lower[column, column],))
            executor.release(given)
            lower[row, column] = found
    return lower, float(sums.max())


def factorise(source: MatrixSource, executor: TileExecutor, tile: int = DEFAULT_TILE) -> Factor:
    """Return the Cholesky factor of a symmetric positive definite matrix.

    Parameters
    ----------
    source : (N, N), finite; a_ij and a_ji may differ by rounding.

    Raises
    ------
    DataError : not symmetric, or not finite.
    NumericError : not positive definite; names the pivot.

    Source : Golub, Van Loan 2013, Matrix Computations, section 4.2.6 (block Cholesky); tiles as Agullo et al. 2010,
    "Towards an efficient tile matrix inversion of symmetric positive definite matrices". Checked against numpy in
    tests/property/test_linalg_properties.py.
    """
    tiling = Tiling(source.order, tile)
    lower, norm = submit_factor(source, tiling, executor)
    asked = [executor.submit(read_pivots, lower[index, index]) for index in range(tiling.count)]
    pivots = np.concatenate([executor.get(part) for part in asked])
    for part in asked:
        executor.release(part)
    return Factor(executor, tiling, lower, norm, pivots)


def solve(source: MatrixSource, right: Float, executor: TileExecutor, tile: int = DEFAULT_TILE) -> Solved:
    """Solve A X = B for a symmetric positive definite matrix, once, and say how far X can be trusted.

    Parameters
    ----------
    source : (N, N), finite, symmetric to rounding.
    right : (N, M) or (N,) float64, no NaN.

    Raises
    ------
    DataError : not symmetric, not finite, or a right side of another length.
    NumericError : not positive definite; names the pivot.

    Source : Golub, Van Loan 2013, section 4.2; residual as Rigal, Gaches 1967. Checked against numpy in
    tests/property/test_linalg_properties.py.
    """
    if len(right) != source.order or not np.isfinite(right).all():
        raise DataError(
            f"the right side has shape {right.shape} and {np.count_nonzero(~np.isfinite(right))} values that are not "
            f"finite; it must have {source.order} rows of finite values"
        )
    factor = factorise(source, executor, tile)
    solution = factor.solve(right)
    columns = solution.reshape(source.order, -1)
    given = right.reshape(source.order, -1)
    left_over = np.abs(multiply(source, columns, Tiling(source.order, tile)) - given).max(axis=0)
    # the 1-norm of a symmetric matrix is its maximum norm
    scale = factor.norm * np.abs(columns).max(axis=0) + np.abs(given).max(axis=0)
    residual = np.divide(left_over, scale, out=np.zeros_like(scale), where=scale > 0).max(initial=0.0)
    row = int(np.argmin(factor.pivots))
    solved = Solved(solution, float(residual), factor.condition(), float(factor.pivots[row]), row)
    factor.release()
    return solved
