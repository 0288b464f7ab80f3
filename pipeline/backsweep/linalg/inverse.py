"""The inverse of a symmetric positive definite matrix, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.linalg.chains import submit_chain
from backsweep.linalg.cholesky import Triangle, submit_factor
from backsweep.linalg.kernels import (
    INVERSE_BELOW,
    INVERSE_DIAGONAL,
    PRODUCT_BELOW,
    PRODUCT_DIAGONAL,
    read_pivots,
)
from backsweep.linalg.matrices import MatrixSink, MatrixSource
from backsweep.linalg.norms import PROBES, draw_probes, multiply
from backsweep.linalg.tiles import DEFAULT_TILE, Handle, TileExecutor, Tiling

__all__ = ["Inverted", "invert"]


@dataclass(frozen=True, slots=True)
class Inverted:
    """What is known of a computed inverse X of A.

    Parameters
    ----------
    order, tile : rows of the matrix, rows of a tile.
    condition : |A|_1 |X|_1, from every value of both.
    residual : |A X - 1|_F / sqrt(N), the length of a typical column of A X - 1, estimated from 16 random sign
        vectors (its relative error is about a third at most).
    smallest_pivot, smallest_pivot_row : of the factorisation; the row counted from 0. It is the variance that is
        left of that asset when all before it are known.
    """

    order: int
    tile: int
    condition: float
    residual: float
    smallest_pivot: float
    smallest_pivot_row: int

    @property
    def digits(self) -> float:
        """Decimal digits of the inverse that rounding leaves, in the worst direction."""
        return max(0.0, -float(np.log10(np.finfo(np.float64).eps * self.condition)))


def invert(source: MatrixSource, sink: MatrixSink, executor: TileExecutor, tile: int = DEFAULT_TILE) -> Inverted:
    """Write the inverse of a symmetric positive definite matrix and say how good it is.

    Three passes over the lower triangle: A = LL', W = L^-1, X = W'W. Each replaces the tiles of the one before as
    it goes, so an executor keeps `Tiling.stored_bytes` at most; this process reads and writes two tiles at a time.

    Parameters
    ----------
    source : (N, N), finite; a_ij and a_ji may differ by rounding. Read twice.
    sink : (N, N); every block is written once, and the result is exactly symmetric.

    Raises
    ------
    DataError : not symmetric, or not finite (no NaN).
    NumericError : not positive definite; names the pivot. The sink may hold a part of the result then.

    Source : Agullo, Bouwmeester, Dongarra, Kurzak, Langou, Rosenberg 2010, "Towards an efficient tile matrix
    inversion of symmetric positive definite matrices on multicore architectures", algorithms 1 to 3, with the loops
    turned so that every tile is written once. Checked against numpy in tests/property/test_linalg_properties.py.
    """
    tiling = Tiling(source.order, tile)
    triangle, norm = submit_factor(source, tiling, executor)
    asked = [executor.submit(read_pivots, triangle[index, index]) for index in range(tiling.count)]
    _submit_triangular_inverse(triangle, tiling, executor)
    pivots = np.concatenate([executor.get(part) for part in asked])
    for part in asked:
        executor.release(part)
    report = _Report(tiling)
    for row in range(tiling.count):
        for column, block in enumerate(_submit_product_row(triangle, row, tiling, executor)):
            _deliver(executor.get(block), row, column, sink, report)
            executor.release(block)
        for column in range(row + 1):
            executor.release(triangle.pop((row, column)))
    smallest = int(np.argmin(pivots))
    return Inverted(
        order=tiling.order,
        tile=min(tile, tiling.order),
        condition=norm * report.norm,
        residual=report.residual(source),
        smallest_pivot=float(pivots[smallest]),
        smallest_pivot_row=smallest,
    )


def _submit_triangular_inverse(triangle: Triangle, tiling: Tiling, executor: TileExecutor) -> None:
    """Replace L by W = L^-1, column after column: column j of W needs the columns from j on of L."""
    for column in range(tiling.count):
        fresh = [submit_chain(executor, INVERSE_DIAGONAL, (triangle[column, column],), ())]
        for row in range(column + 1, tiling.count):
            pairs = [(triangle[row, k], fresh[k - column]) for k in range(column + 1, row)]
            heads, tails = (triangle[row, column], fresh[0]), (triangle[row, row],)
            fresh.append(submit_chain(executor, INVERSE_BELOW, heads, pairs, tails))
        for row, tile in enumerate(fresh, column):
            executor.release(triangle[row, column])
            triangle[row, column] = tile


def _submit_product_row(triangle: Triangle, row: int, tiling: Tiling, executor: TileExecutor) -> list[Handle]:
    """Submit row i of X = W'W up to its diagonal: it needs the rows from i on of W."""
    below = range(row + 1, tiling.count)
    parts = []
    for column in range(row):
        pairs = [(triangle[k, row], triangle[k, column]) for k in below]
        heads = (triangle[row, row], triangle[row, column])
        parts.append(submit_chain(executor, PRODUCT_BELOW, heads, pairs))
    own = [(triangle[k, row],) for k in below]
    parts.append(submit_chain(executor, PRODUCT_DIAGONAL, (triangle[row, row],), own))
    return parts


def _deliver(block: Float, row: int, column: int, sink: MatrixSink, report: _Report) -> None:
    """Write a block of the lower triangle and its mirror image."""
    rows, columns = report.tiling.span(row), report.tiling.span(column)
    sink.write(rows, columns, block)
    report.add(rows, columns, block)
    if row != column:
        mirror = np.ascontiguousarray(block.T)
        sink.write(columns, rows, mirror)
        report.add(columns, rows, mirror)


class _Report:
    """Sums over the blocks of an inverse as they pass."""

    def __init__(self, tiling: Tiling) -> None:
        self.tiling = tiling
        self._sums = np.zeros(tiling.order)
        self._probes = draw_probes(tiling.order)
        self._images = np.zeros_like(self._probes)

    def add(self, rows: slice, columns: slice, block: Float) -> None:
        """Take note of a block."""
        self._sums[columns] += np.abs(block).sum(axis=0)
        self._images[rows] += block @ self._probes[columns]

    @property
    def norm(self) -> float:
        """1-norm of the blocks together."""
        return float(self._sums.max())

    def residual(self, source: MatrixSource) -> float:
        """|A X - 1|_F / sqrt(N), estimated."""
        left_over = multiply(source, self._images, self.tiling) - self._probes
        return float(np.linalg.norm(left_over) / np.sqrt(PROBES * self.tiling.order))
