"""Factorisation, solve and inverse of random matrices, in tiles of any size, wherever the tiles are kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.arrays import Float, read_only
from backsweep.executors.disk_tiles import LEAST_TILES, DiskTiles
from backsweep.linalg.cholesky import factorise, solve
from backsweep.linalg.inverse import invert
from backsweep.linalg.matrices import ArrayMatrix, ArrayResult
from backsweep.linalg.tiles import SerialTiles, TileExecutor, Tiling

EPS = np.finfo(np.float64).eps


@st.composite
def positive_definite(draw: st.DrawFn) -> Float:
    """Return Q diag(s) Q' with singular values over up to ten decades, its rows scaled by up to four more."""
    order = draw(st.integers(1, 20))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    decades = draw(st.floats(0, 10))
    basis, _ = np.linalg.qr(generator.standard_normal((order, order)))
    matrix = basis * 10.0 ** generator.uniform(-decades, 0, order) @ basis.T
    scale = 10.0 ** generator.uniform(-draw(st.floats(0, 4)), 0, order)
    matrix = scale[:, None] * matrix * scale
    return np.asarray(read_only(0.5 * (matrix + matrix.T)))


MATRICES = positive_definite()
TILES = st.integers(1, 24)


def inverse_of(matrix: Float, tile: int, executor: TileExecutor | None = None) -> Float:
    result = ArrayResult(len(matrix))
    invert(ArrayMatrix(matrix), result, executor or SerialTiles(), tile)
    return result.array


def balanced(matrix: Float) -> tuple[Float, Float]:
    """Return the matrix with a diagonal of ones, and what scaled it: Cholesky's error knows no other scale."""
    scale = 1.0 / np.sqrt(np.diagonal(matrix))
    return scale[:, None] * matrix * scale, scale


@given(MATRICES, TILES)
def test_a_matrix_times_its_inverse_is_one_and_the_inverse_is_exactly_symmetric(matrix: Float, tile: int) -> None:
    inverse = inverse_of(matrix, tile)
    plain, scale = balanced(matrix)
    product = plain @ (inverse / scale[:, None] / scale)
    np.testing.assert_array_equal(inverse, inverse.T)
    assert np.abs(product - np.eye(len(matrix))).max() <= 10 * len(matrix) * EPS * np.linalg.cond(plain)


@given(MATRICES, TILES)
def test_the_inverse_is_that_of_numpy_as_far_as_the_condition_lets_either_know(matrix: Float, tile: int) -> None:
    plain, _ = balanced(matrix)
    reference = np.linalg.inv(plain)
    bound = 10 * len(matrix) * EPS * np.linalg.cond(plain) * np.abs(reference).max()
    assert np.abs(inverse_of(plain, tile) - reference).max() <= bound


@given(MATRICES, TILES)
def test_the_factor_is_that_of_numpy_and_its_pivots_are_the_squares_of_its_diagonal(matrix: Float, tile: int) -> None:
    plain, _ = balanced(matrix)
    reference = np.square(np.diagonal(np.linalg.cholesky(plain)))
    pivots = factorise(ArrayMatrix(plain), SerialTiles(), tile).pivots
    np.testing.assert_allclose(pivots, reference, atol=10 * len(matrix) * EPS * np.linalg.cond(plain))


@given(MATRICES, TILES, st.integers(1, 3))
def test_a_solve_is_backward_stable_and_reports_so(matrix: Float, tile: int, columns: int) -> None:
    right = np.random.default_rng(len(matrix)).standard_normal((len(matrix), columns))
    solved = solve(ArrayMatrix(matrix), right, SerialTiles(), tile)
    assert solved.residual <= 10 * len(matrix) * EPS
    norm = np.abs(matrix).sum(axis=1).max()
    left_over = np.abs(matrix @ solved.solution - right).max(axis=0)
    assert (left_over <= 20 * len(matrix) * EPS * (norm * np.abs(solved.solution).max(axis=0) + 1)).all()


@given(MATRICES, TILES)
def test_the_condition_estimate_is_a_lower_bound_within_a_factor_of_ten(matrix: Float, tile: int) -> None:
    plain, _ = balanced(matrix)
    exact = np.linalg.norm(plain, 1) * np.linalg.norm(inverse_of(plain, tile), 1)
    estimate = factorise(ArrayMatrix(plain), SerialTiles(), tile).condition()
    slack = 100 * len(matrix) * EPS * np.linalg.cond(plain)
    assert exact / 10 <= estimate <= exact * (1 + slack)


@settings(max_examples=30)
@given(MATRICES, TILES, st.integers(LEAST_TILES, 12))
def test_tiles_on_disk_give_the_bytes_of_tiles_in_memory_and_stay_in_their_bounds(
    matrix: Float, tile: int, kept: int
) -> None:
    tiling = Tiling(len(matrix), tile)
    with tempfile.TemporaryDirectory() as folder:
        with DiskTiles(Path(folder), kept * tiling.tile_bytes, tiling.tile_bytes) as executor:
            found = inverse_of(matrix, tile, executor)
            # a vector of pivots takes a whole slot
            assert executor.scratch_bytes <= tiling.stored_bytes() + tiling.count * tiling.tile_bytes
        assert list(Path(folder).iterdir()) == []
    assert found.tobytes() == inverse_of(matrix, tile).tobytes()


@given(MATRICES, TILES)
def test_no_more_tiles_are_kept_than_the_formula_says_and_none_at_the_end(matrix: Float, tile: int) -> None:
    executor = SerialTiles()
    inverse_of(matrix, tile, executor)
    assert executor.peak_bytes <= Tiling(len(matrix), tile).stored_bytes()
    assert executor.kept_bytes == 0
    solve(ArrayMatrix(matrix), np.ones(len(matrix)), executor, tile)
    assert executor.kept_bytes == 0
