"""Where matrices come from and go to, block by block, and what is checked of them on the way.

Files are opened by `backsweep.sources.matrices`; arrays by the two classes here.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import DataError

__all__ = ["SYMMETRY", "ArrayMatrix", "ArrayResult", "MatrixSink", "MatrixSource", "read_symmetric"]

SYMMETRY = 1e-10  # differences of a_ij and a_ji up to this share of sqrt(a_ii a_jj) are rounding, and averaged
_STRIP = 128  # rows compared at a time, so that the comparison needs no more memory than a strip


class MatrixSource(Protocol):
    """A square matrix that is read block by block, each block as often as wanted."""

    @property
    def order(self) -> int:
        """Its number of rows, and of columns."""

    def read(self, rows: slice, columns: slice) -> Float:
        """Return a block as a new array in C order."""


class MatrixSink(Protocol):
    """A square matrix that is written block by block, each block once."""

    def write(self, rows: slice, columns: slice, block: Float) -> None:
        """Write a block."""


class ArrayMatrix:
    """An (N, N) array as a source."""

    def __init__(self, array: Float) -> None:
        if array.ndim != 2 or array.shape[0] != array.shape[1]:
            raise DataError(f"the matrix has shape {array.shape}; it must be square")
        self._array = array

    @property
    def order(self) -> int:
        """Its number of rows."""
        return len(self._array)

    def read(self, rows: slice, columns: slice) -> Float:
        """Return a block."""
        return np.array(self._array[rows, columns], dtype=np.float64, order="C")


class ArrayResult:
    """An (N, N) array as a sink."""

    def __init__(self, order: int) -> None:
        self.array: Float = np.empty((order, order))

    def write(self, rows: slice, columns: slice, block: Float) -> None:
        """Write a block."""
        self.array[rows, columns] = block


def read_symmetric(source: MatrixSource, rows: slice, columns: slice, diagonal: Float) -> Float:
    """Return a block of a matrix that must be symmetric, averaged with its mirror image.

    Parameters
    ----------
    diagonal : (N,) float64, the matrix's diagonal, which scales what counts as rounding.

    Returns
    -------
    (rows, columns) float64.

    Raises
    ------
    DataError : a value that is not finite, or two that differ; names row and column, counted from 0.
    """
    block = source.read(rows, columns)
    mirror = block if rows == columns else source.read(columns, rows)
    scale = np.sqrt(np.abs(diagonal))
    for start in range(0, len(block), _STRIP):
        strip = slice(start, min(start + _STRIP, len(block)))
        above = mirror[:, strip].T.copy()
        _check_finite(block[strip], rows.start + start, columns.start)
        _check_finite(above.T, columns.start, rows.start + start)
        apart = np.abs(block[strip] - above)
        allowed = SYMMETRY * scale[rows][strip, None] * scale[columns]
        if (apart > allowed).any():
            row, column = np.argwhere(apart > allowed)[0]
            i, j = rows.start + start + row, columns.start + column
            raise DataError(
                f"the matrix is not symmetric: row {i}, column {j} holds {block[strip][row, column]:.17g}, row {j}, "
                f"column {i} holds {above[row, column]:.17g} (counted from 0); give a symmetric matrix"
            )
        if rows != columns:
            block[strip] = 0.5 * (block[strip] + above)
    return 0.5 * (block + block.T) if rows == columns else block


def _check_finite(block: Float, first_row: int, first_column: int) -> None:
    """Refuse what is not a number, with its place."""
    bad = ~np.isfinite(block)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"the matrix holds {block[row, column]} in row {first_row + row}, column {first_column + column} "
            f"(counted from 0); every value must be finite"
        )
