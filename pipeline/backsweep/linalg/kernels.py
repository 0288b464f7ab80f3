"""What is done to tiles: chains of products that start, go on and end with a triangular operation.

Every result tile of a Cholesky factorisation, of a triangular inverse, of the product of a triangle with itself and
of a substitution is one such chain. A task is a link of a chain: at most a few products, so that it has few inputs.
How a chain is cut into links changes no byte, because products are added to the accumulator one by one.

Tiles are in C order. LAPACK reads the transposed of that: a lower triangle here is an upper one to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import NumericError

__all__ = [
    "BACKWARD",
    "FACTOR_BELOW",
    "FACTOR_DIAGONAL",
    "FORWARD",
    "INVERSE_BELOW",
    "INVERSE_DIAGONAL",
    "PRODUCT_BELOW",
    "PRODUCT_DIAGONAL",
    "Recipe",
    "link",
    "read_pivots",
]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kind of chain.

    Parameters
    ----------
    start : makes the accumulator of the first `heads` tiles.
    add : adds a product of `width` tiles to the accumulator, in place.
    finish : makes the result of the accumulator, `tails` more tiles and the tile's first row in the matrix.
    """

    start: Callable[..., Float]
    add: Callable[..., None]
    finish: Callable[..., Float]
    heads: int
    tails: int
    width: int


def link(*tiles: Float, recipe: Recipe, begins: bool, ends: bool, first: int) -> Float:
    """Do one link of a chain: heads (or the accumulator), tails if it ends here, then the factors of products."""
    heads = recipe.heads if begins else 1
    tails = recipe.tails if ends else 0
    total = recipe.start(*tiles[:heads]) if begins else _copy(tiles[0])
    factors = tiles[heads + tails :]
    for index in range(0, len(factors), recipe.width):
        recipe.add(total, *factors[index : index + recipe.width])
    return recipe.finish(total, *tiles[heads : heads + tails], first) if ends else total


def read_pivots(factor: Float) -> Float:
    """Return the pivots of a factorised diagonal tile: the squares of its diagonal."""
    pivots: Float = np.square(np.diagonal(factor))
    return pivots


def _copy(tile: Float) -> Float:
    """Return a copy that can be written to."""
    return np.array(tile, dtype=np.float64, order="C")


def _multiply(total: Float, left: Float, right: Float, sign: float, transposed: str) -> None:
    """Add sign x left x right to `total`, one of them transposed as said (`left`, `right`, `none`)."""
    from scipy.linalg.blas import dgemm

    dgemm(
        sign,
        right.T,
        left.T,
        1.0,
        total.T,
        trans_a=transposed == "right",
        trans_b=transposed == "left",
        overwrite_c=True,
    )


def _square(total: Float, factor: Float, sign: float, *, transposed_first: bool) -> None:
    """Add sign x F F' (or F'F) to the lower triangle of `total`."""
    from scipy.linalg.blas import dsyrk

    dsyrk(sign, factor.T, 1.0, total.T, trans=not transposed_first, lower=False, overwrite_c=True)


def _subtract_square(total: Float, row: Float) -> None:
    """Take row row' off the lower triangle."""
    _square(total, row, -1.0, transposed_first=False)


def _subtract_outer(total: Float, left: Float, right: Float) -> None:
    """Take left right' off."""
    _multiply(total, left, right, -1.0, "right")


def _add_product(total: Float, left: Float, right: Float) -> None:
    """Add left right."""
    _multiply(total, left, right, 1.0, "none")


def _subtract_product(total: Float, left: Float, right: Float) -> None:
    """Take left right off."""
    _multiply(total, left, right, -1.0, "none")


def _add_inner(total: Float, left: Float, right: Float) -> None:
    """Add left' right."""
    _multiply(total, left, right, 1.0, "left")


def _subtract_inner(total: Float, left: Float, right: Float) -> None:
    """Take left' right off."""
    _multiply(total, left, right, -1.0, "left")


def _add_square(total: Float, column: Float) -> None:
    """Add column' column to the lower triangle."""
    _square(total, column, 1.0, transposed_first=True)


def _factor(total: Float, first: int) -> Float:
    """Return the Cholesky factor of the lower triangle, or name the pivot that is not positive."""
    from scipy.linalg.lapack import dpotrf

    factor, fault = dpotrf(total.T, lower=False, clean=True, overwrite_a=True)
    if fault > 0 or not np.isfinite(factor.diagonal()).all():
        index = fault - 1 if fault > 0 else int(np.flatnonzero(~np.isfinite(factor.diagonal()))[0])
        raise NumericError(
            f"the matrix is not positive definite: pivot {first + index} (counted from 0) is "
            f"{float(factor[index, index]):.6g}, it must be above 0; shrink the matrix, or drop that row and column"
        )
    result: Float = factor.T
    return result


def _divide_right(total: Float, factor: Float, first: int) -> Float:
    """Return total factor'^-1."""
    from scipy.linalg.blas import dtrsm

    result: Float = dtrsm(1.0, factor.T, total.T, side=0, lower=False, trans_a=True, overwrite_b=True).T
    return result


def _divide_left(total: Float, factor: Float, first: int) -> Float:
    """Return factor^-1 total."""
    from scipy.linalg.blas import dtrsm

    result: Float = dtrsm(1.0, factor.T, total.T, side=1, lower=False, overwrite_b=True).T
    return result


def _divide_left_negated(total: Float, factor: Float, first: int) -> Float:
    """Return -factor^-1 total."""
    from scipy.linalg.blas import dtrsm

    result: Float = dtrsm(-1.0, factor.T, total.T, side=1, lower=False, overwrite_b=True).T
    return result


def _divide_left_transposed(total: Float, factor: Float, first: int) -> Float:
    """Return factor'^-1 total."""
    from scipy.linalg.blas import dtrsm

    result: Float = dtrsm(1.0, factor.T, total.T, side=1, lower=False, trans_a=True, overwrite_b=True).T
    return result


def _invert_triangle(total: Float, first: int) -> Float:
    """Return the inverse of a lower triangle."""
    from scipy.linalg.lapack import dtrtri

    inverse, _ = dtrtri(total.T, lower=False, overwrite_c=True)
    result: Float = inverse.T
    return result


def _times_triangle(left: Float, triangle: Float) -> Float:
    """Return left triangle."""
    from scipy.linalg.blas import dtrmm

    result: Float = dtrmm(1.0, triangle.T, _copy(left).T, side=0, lower=False, overwrite_b=True).T
    return result


def _transposed_triangle_times(triangle: Float, right: Float) -> Float:
    """Return triangle' right."""
    from scipy.linalg.blas import dtrmm

    result: Float = dtrmm(1.0, triangle.T, _copy(right).T, side=1, lower=False, trans_a=True, overwrite_b=True).T
    return result


def _triangle_squared(triangle: Float) -> Float:
    """Return the lower triangle of triangle' triangle."""
    from scipy.linalg.lapack import dlauum

    product, _ = dlauum(_copy(triangle).T, lower=False, overwrite_c=True)
    result: Float = product.T
    return result


def _mirror(total: Float, first: int) -> Float:
    """Copy the lower triangle to the upper one."""
    for row in range(len(total)):
        total[row, row + 1 :] = total[row + 1 :, row]
    return total


def _as_is(total: Float, first: int) -> Float:
    """Return the accumulator."""
    return total


# L_jj from A_jj, rows L_jk;  L_ij from A_ij, L_jj, pairs (L_ik, L_jk)
FACTOR_DIAGONAL = Recipe(_copy, _subtract_square, _factor, heads=1, tails=0, width=1)
FACTOR_BELOW = Recipe(_copy, _subtract_outer, _divide_right, heads=1, tails=1, width=2)
# W = L^-1: W_jj from L_jj;  W_ij = -L_ii^-1 (sum of L_ik W_kj) from (L_ij, W_jj), L_ii, pairs (L_ik, W_kj)
INVERSE_DIAGONAL = Recipe(_copy, _add_product, _invert_triangle, heads=1, tails=0, width=2)
INVERSE_BELOW = Recipe(_times_triangle, _add_product, _divide_left_negated, heads=2, tails=1, width=2)
# X = W'W: X_ii from W_ii, columns W_ki;  X_ij from (W_ii, W_ij), pairs (W_ki, W_kj)
PRODUCT_DIAGONAL = Recipe(_triangle_squared, _add_square, _mirror, heads=1, tails=0, width=1)
PRODUCT_BELOW = Recipe(_transposed_triangle_times, _add_inner, _as_is, heads=2, tails=0, width=2)
# LY = B and L'X = Y, a row of tiles after the other: from B_i, L_ii, pairs (L_ij, Y_j) or (L_ki, X_k)
FORWARD = Recipe(_copy, _subtract_product, _divide_left, heads=1, tails=1, width=2)
BACKWARD = Recipe(_copy, _subtract_inner, _divide_left_transposed, heads=1, tails=1, width=2)
