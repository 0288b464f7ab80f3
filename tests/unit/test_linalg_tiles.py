"""Known answers, refusals and reports of the tiled algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from backsweep.errors import DataError, InvariantError, NumericError, UserError
from backsweep.executors.disk_tiles import DiskTiles
from backsweep.linalg import chains
from backsweep.linalg.cholesky import factorise, solve
from backsweep.linalg.inverse import Inverted, invert
from backsweep.linalg.matrices import ArrayMatrix, ArrayResult
from backsweep.linalg.norms import estimate_one_norm
from backsweep.linalg.tiles import SerialTiles, Tiling

if TYPE_CHECKING:
    from pathlib import Path

    from backsweep.arrays import Float


def covariance(order: int, seed: int = 0) -> Float:
    returns = np.random.default_rng(seed).standard_normal((2 * order, order))
    return returns.T @ returns / (2 * order)


def report_of(matrix: Float, tile: int) -> tuple[Inverted, Float]:
    result = ArrayResult(len(matrix))
    return invert(ArrayMatrix(matrix), result, SerialTiles(), tile), result.array


def test_the_inverse_of_the_second_difference_matrix_is_the_brownian_bridge() -> None:
    order = 11
    matrix = 2 * np.eye(order) - np.eye(order, k=1) - np.eye(order, k=-1)
    rows = np.arange(1, order + 1)
    known = np.minimum(rows[:, None], rows) * (order + 1 - np.maximum(rows[:, None], rows)) / (order + 1)
    report, inverse = report_of(matrix, 3)
    np.testing.assert_allclose(inverse, known, rtol=1e-13)
    assert report.condition == pytest.approx(4 * known.sum(axis=0).max(), rel=1e-13)
    assert report.smallest_pivot == pytest.approx((order + 1) / order, rel=1e-13)  # pivots are (k + 1) / k
    assert report.smallest_pivot_row == order - 1


def test_the_residual_reported_is_that_of_the_inverse_within_the_error_of_its_estimate() -> None:
    matrix = covariance(150)
    report, inverse = report_of(matrix, 64)
    exact = np.linalg.norm(matrix @ inverse - np.eye(150)) / np.sqrt(150)
    assert exact / 2 < report.residual < 2 * exact
    assert report.condition == pytest.approx(np.linalg.cond(matrix, 1), rel=1e-9)
    assert report.digits == pytest.approx(-np.log10(2.0**-52 * report.condition))


def test_a_residual_grows_with_what_is_wrong() -> None:
    class Drifting(ArrayMatrix):
        """Another matrix on the second reading: the inverse of the first is wrong for it."""

        reads = 0

        def read(self, rows: slice, columns: slice) -> Float:
            self.reads += 1
            return super().read(rows, columns) * (1.0 if self.reads <= 2 else 1.001)

    matrix = covariance(20)
    report = invert(Drifting(matrix), ArrayResult(20), SerialTiles(), 20)
    assert report.residual == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("tile", [1, 4, 7, 8, 30])
def test_the_pivot_that_is_not_positive_is_named_with_its_row_in_the_whole_matrix(tile: int) -> None:
    matrix = covariance(30)
    row = 17
    matrix[row, row] = 0.01
    left = matrix[row, row] - matrix[row, :row] @ np.linalg.solve(matrix[:row, :row], matrix[row, :row])
    for work in (report_of, lambda given, size: factorise(ArrayMatrix(given), SerialTiles(), size)):
        with pytest.raises(NumericError, match=rf"not positive definite: pivot 17 \(counted from 0\) is {left:.4g}"):
            work(matrix, tile)


def test_a_matrix_of_zeros_and_one_of_negative_numbers_have_no_positive_first_pivot() -> None:
    for matrix, value in ((np.zeros((3, 3)), "0"), (-np.eye(3), "-1")):
        with pytest.raises(NumericError, match=rf"pivot 0 \(counted from 0\) is {value},"):
            report_of(matrix, 2)


def test_two_values_that_should_be_one_are_named() -> None:
    matrix = covariance(10)
    matrix[7, 2] += 1e-6
    with pytest.raises(DataError, match=r"not symmetric: row 7, column 2 holds .* row 2, column 7 holds"):
        report_of(matrix, 4)


def test_rounding_between_the_two_triangles_is_averaged() -> None:
    matrix = covariance(10)
    other = matrix.copy()
    other[8, 1] *= 1 + 1e-12
    other[3, 2] *= 1 + 1e-12
    average = 0.5 * (other + other.T)
    assert report_of(other, 4)[1].tobytes() == report_of(average, 4)[1].tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("row", "column"), [(2, 9), (9, 2), (5, 5)])
def test_a_value_that_is_not_finite_is_named(value: float, row: int, column: int) -> None:
    matrix = covariance(10)
    matrix[row, column] = value
    with pytest.raises(DataError, match=rf"holds {value} in row {row}, column {column}"):
        report_of(matrix, 4)


def test_shapes_that_cannot_be_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 3\); it must be square"):
        ArrayMatrix(np.zeros((2, 3)))
    with pytest.raises(UserError, match="0 rows"):
        report_of(np.zeros((0, 0)), 4)
    with pytest.raises(UserError, match="a tile of 0 rows"):
        report_of(np.eye(3), 0)
    with pytest.raises(DataError, match=r"the right side has shape \(4,\)"):
        solve(ArrayMatrix(np.eye(3)), np.ones(4), SerialTiles(), 2)
    with pytest.raises(DataError, match="1 values that are not finite"):
        solve(ArrayMatrix(np.eye(3)), np.array([1.0, np.nan, 1.0]), SerialTiles(), 2)


def test_how_a_chain_is_cut_into_tasks_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = covariance(90)
    found = []
    for products in (1, 3, 100):
        monkeypatch.setattr(chains, "PRODUCTS_A_TASK", products)
        found.append(report_of(matrix, 10)[1].tobytes())
    assert found[0] == found[1] == found[2]


def test_the_same_matrix_gives_the_same_report_twice() -> None:
    assert report_of(covariance(50), 16)[0] == report_of(covariance(50), 16)[0]


def test_a_solve_keeps_the_shape_of_its_right_side_and_of_a_right_side_of_zeros() -> None:
    matrix = covariance(12)
    for right in (np.ones(12), np.ones((12, 2)), np.zeros(12)):
        solved = solve(ArrayMatrix(matrix), right, SerialTiles(), 5)
        np.testing.assert_allclose(solved.solution, np.linalg.solve(matrix, right), rtol=1e-12, atol=1e-14)
        assert solved.solution.shape == right.shape
        assert solved.residual < 1e-15
    assert solved.condition == pytest.approx(np.linalg.cond(matrix, 1), rel=0.5)


def test_the_norm_estimate_is_exact_for_a_diagonal_and_finds_what_cancels() -> None:
    diagonal = np.array([1.0, 5.0, 2.0])
    assert estimate_one_norm(lambda vector: diagonal * vector, 3) == 5.0
    assert estimate_one_norm(lambda vector: -7.0 * vector, 1) == 7.0
    alternating = np.where(np.arange(20) % 2 == 0, 1.0, -1.0)
    matrix = np.outer(alternating, alternating)  # the first vector tried, all ones, is mapped to zero
    assert estimate_one_norm(lambda vector: matrix @ vector, 20) == pytest.approx(20.0)


def test_the_norm_estimate_tries_alternating_signs_where_the_ascent_stops_early() -> None:
    rows = [[2, 0, 0, 0, -1, -2], [0, 0, 0, 0, -2, 1], [0, 0, 0, -1, 0, -1], [0, 0, -1, -2, 0, 0]]
    rows += [[-1, -2, 0, 0, 2, -2], [-2, 1, -1, 0, -2, 2]]
    matrix = np.array(rows, dtype=np.float64)
    trial = np.array([1.0, -1.2, 1.4, -1.6, 1.8, -2.0])
    expected = 2 * np.abs(matrix @ trial).sum() / 18  # the ascent ends at a column of norm 3; the norm is 8
    assert estimate_one_norm(lambda vector: matrix @ vector, 6) == pytest.approx(expected)
    assert expected > 3


def test_tiles_on_disk_need_memory_for_four_and_a_folder_that_can_be_written_to(tmp_path: Path) -> None:
    tiling = Tiling(100, 16)
    with pytest.raises(UserError, match="is too little: give at least"):
        DiskTiles(tmp_path, 3 * tiling.tile_bytes, tiling.tile_bytes)
    with pytest.raises(UserError, match="no scratch file can be made in"):
        DiskTiles(tmp_path / "none", 4 * tiling.tile_bytes, tiling.tile_bytes)


def test_a_kernel_cannot_write_to_a_tile_that_others_read() -> None:
    executor = SerialTiles()
    handle = executor.put(np.ones((2, 2)))

    def write(tile: Float) -> Float:
        tile[0, 0] = 2.0
        raise InvariantError("written")

    with pytest.raises(ValueError, match="read-only"):
        executor.submit(write, handle)
