"""Norms of matrices that are only ever applied to vectors, and how far a computed inverse is from one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backsweep.arrays import Float
from backsweep.linalg.matrices import MatrixSource
from backsweep.linalg.tiles import Tiling

__all__ = ["PROBES", "draw_probes", "estimate_one_norm", "multiply"]

PROBES = 16
_SEED = 20260101
_ROUNDS = 5  # as LAPACK's dlacn2: it nearly always stops after two


def estimate_one_norm(apply: Callable[[Float], Float], order: int) -> float:
    """Return a lower bound of the 1-norm of a symmetric matrix, nearly always within a factor of 3, mostly exact.

    It costs four or five products, where the norm itself would need every column.

    Parameters
    ----------
    apply : takes a vector (N,) without NaN and returns the matrix times it.
    order : N.

    Source : Higham 1988, ACM TOMS 14, algorithm 2.4 (LAPACK dlacon) for a symmetric matrix. Checked in
    tests/unit/test_linalg_inverse.py against exact norms.
    """
    vector = np.full(order, 1.0 / order)
    image = apply(vector)
    if order == 1:
        return float(np.abs(image[0]))
    estimate = float(np.abs(image).sum())
    signs = np.where(image >= 0, 1.0, -1.0)
    slope = apply(signs)
    last = -1
    for _ in range(_ROUNDS):
        column = int(np.argmax(np.abs(slope)))
        if column == last:
            break
        last = column
        unit = np.zeros(order)
        unit[column] = 1.0
        image = apply(unit)
        found = float(np.abs(image).sum())
        fresh = np.where(image >= 0, 1.0, -1.0)
        if found <= estimate or np.array_equal(fresh, signs):
            estimate = max(estimate, found)
            break
        estimate, signs = found, fresh
        slope = apply(signs)
    # a vector of alternating, growing entries finds what cancels in all of the above
    steps = np.arange(order) / (order - 1)
    alternating = np.where(np.arange(order) % 2 == 0, 1.0, -1.0) * (1.0 + steps)
    return max(estimate, 2.0 * float(np.abs(apply(alternating)).sum()) / (3.0 * order))


def draw_probes(order: int) -> Float:
    """Return (N, PROBES) signs from a fixed seed.

    For such a V the mean of |R v|^2 is |R|_F^2 (Hutchinson 1990), so a residual matrix R need never be formed.
    """
    signs: Float = 2.0 * np.random.default_rng(_SEED).integers(0, 2, (order, PROBES)).astype(np.float64) - 1.0
    return signs


def multiply(source: MatrixSource, vectors: Float, tiling: Tiling) -> Float:
    """Return the source times (N, M) vectors without NaN, reading one tile after the other."""
    product = np.zeros_like(vectors)
    for row in range(tiling.count):
        for column in range(tiling.count):
            block = source.read(tiling.span(row), tiling.span(column))
            product[tiling.span(row)] += block @ vectors[tiling.span(column)]
    return product
