"""Sobol points, scrambled by a seed, in integers only, so that every platform draws the same.

Direction numbers: S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections",
SIAM J. Sci. Comput. 30, 2635-2654 (2008), file new-joe-kuo-6. Scrambling: a random linear matrix scramble and a
digital shift (J. Matousek, "On the L2-discrepancy for anchored boxes", J. Complexity 14, 1998), which keep the
net. tests/unit/test_api_sobol.py compares the unscrambled points with SciPy's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

__all__ = ["DIMENSIONS", "sobol_points"]

BITS = 32
# primitive polynomial as bits, initial direction numbers; the first dimension is van der Corput's
TABLE: tuple[tuple[int, tuple[int, ...]], ...] = (
    (3, (1,)),
    (7, (1, 3)),
    (11, (1, 3, 1)),
    (13, (1, 1, 1)),
    (19, (1, 1, 3, 3)),
    (25, (1, 3, 5, 13)),
    (37, (1, 1, 5, 5, 17)),
    (41, (1, 1, 5, 5, 5)),
    (47, (1, 1, 7, 11, 19)),
    (55, (1, 1, 5, 1, 1)),
    (59, (1, 1, 1, 3, 11)),
    (61, (1, 3, 5, 5, 31)),
    (67, (1, 3, 3, 9, 7, 49)),
    (91, (1, 1, 1, 15, 21, 21)),
    (97, (1, 3, 1, 13, 27, 49)),
    (103, (1, 1, 1, 15, 7, 5)),
    (109, (1, 3, 1, 15, 13, 25)),
    (115, (1, 1, 5, 5, 19, 61)),
    (131, (1, 3, 7, 11, 23, 15, 103)),
    (137, (1, 3, 7, 13, 13, 15, 69)),
    (143, (1, 1, 3, 13, 7, 35, 63)),
    (145, (1, 3, 5, 9, 1, 25, 53)),
    (157, (1, 3, 1, 13, 9, 35, 107)),
    (167, (1, 3, 1, 5, 27, 61, 31)),
    (171, (1, 1, 5, 11, 19, 41, 61)),
    (185, (1, 3, 5, 3, 3, 13, 69)),
    (191, (1, 1, 7, 13, 1, 19, 1)),
    (193, (1, 3, 7, 5, 13, 19, 59)),
    (203, (1, 1, 3, 9, 25, 29, 41)),
    (211, (1, 3, 5, 13, 23, 1, 55)),
    (213, (1, 3, 7, 3, 13, 59, 17)),
)
DIMENSIONS = len(TABLE) + 1


def sobol_points(count: int, dimensions: int, seed: int | None) -> Iterator[tuple[float, ...]]:
    """Yield `count` points of [0, 1)^dimensions; without a seed unscrambled, beginning at the origin."""
    if dimensions > DIMENSIONS:
        raise ValueError(f"{dimensions} dimensions; the table has {DIMENSIONS}")
    columns = [_directions(dimension) for dimension in range(dimensions)]
    state = [0] * dimensions
    if seed is not None:
        columns = [_scrambled(column, seed, dimension) for dimension, column in enumerate(columns)]
        state = [_random_word(seed, dimension, BITS) for dimension in range(dimensions)]
    for index in range(count):
        yield tuple(word / 2**BITS for word in state)
        zero = (~index & (index + 1)).bit_length() - 1  # the lowest zero bit of index: Gray code order
        state = [word ^ column[zero] for word, column in zip(state, columns, strict=True)]


def _directions(dimension: int) -> list[int]:
    """Return the direction numbers of a dimension, as words of 32 bits, most significant first."""
    if dimension == 0:
        return [1 << (BITS - 1 - bit) for bit in range(BITS)]
    polynomial, initial = TABLE[dimension - 1]
    degree = len(initial)
    words = [value << (BITS - 1 - bit) for bit, value in enumerate(initial)]
    for bit in range(degree, BITS):
        word = words[bit - degree] ^ (words[bit - degree] >> degree)
        for power in range(1, degree):
            if polynomial >> (degree - power) & 1:
                word ^= words[bit - power]
        words.append(word)
    return words


def _scrambled(column: list[int], seed: int, dimension: int) -> list[int]:
    """Return the direction numbers multiplied by a random lower triangular matrix of bits."""
    rows = []
    for bit in range(BITS):
        diagonal = 1 << (BITS - 1 - bit)
        above = ~(2 * diagonal - 1) & (2**BITS - 1)  # the bits more significant than the diagonal's
        rows.append(diagonal | (_random_word(seed, dimension, bit) & above))
    scrambled = []
    for word in column:
        bits = 0
        for row in rows:
            bits = bits << 1 | (row & word).bit_count() & 1
        scrambled.append(bits)
    return scrambled


def _random_word(seed: int, dimension: int, row: int) -> int:
    """Return 32 bits that depend on the arguments alone."""
    return int.from_bytes(hashlib.sha256(f"sobol {seed} {dimension} {row}".encode()).digest()[:4], "big")
