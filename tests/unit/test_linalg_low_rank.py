"""Shrunk covariances of more assets than rows, their inverses and their portfolios of least variance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backsweep.arrays import Float, read_only
from backsweep.errors import DataError, NumericError, UserError
from backsweep.linalg.low_rank import SHRINKAGES, DiagonalPlusLowRank, shrink_returns, write_precision
from backsweep.linalg.matrices import ArrayMatrix, ArrayResult
from backsweep.linalg.minimum_variance import minimise_dense, minimise_long_only, minimise_low_rank
from backsweep.linalg.tiles import SerialTiles
from backsweep.solve.covariance import estimate
from backsweep.solve.nonnegative_qp import solve_nonnegative


def draw_returns(rows: int, assets: int, seed: int) -> Float:
    generator = np.random.default_rng(seed)
    factors = 0.01 * generator.standard_normal((rows, 4))
    noise = generator.standard_normal((rows, assets)) * generator.lognormal(np.log(0.01), 0.4, assets)
    returns: Float = factors @ generator.normal(0.3, 0.5, (4, assets)) + noise
    return np.asarray(read_only(returns))


def dense(matrix: DiagonalPlusLowRank) -> Float:
    formed: Float = np.diag(matrix.diagonal) + matrix.factor @ matrix.factor.T
    return formed


SIZES = st.tuples(st.integers(2, 30), st.integers(1, 60), st.integers(0, 10_000))


@given(SIZES, st.sampled_from(SHRINKAGES))
def test_the_shrunk_covariance_is_that_of_the_profiles(sizes: tuple[int, int, int], shrinkage: str) -> None:
    returns = draw_returns(*sizes)
    expected = estimate(shrinkage, returns[None], {})[0]
    if shrinkage == "ledoit_wolf" and sizes[0] == 2 and sizes[1] > 1:
        # two rows mirror each other, which leaves nothing to tell noise from signal by
        with pytest.raises(NumericError, match="there is no diagonal to invert it by"):
            shrink_returns(returns, shrinkage)
        return
    found = dense(shrink_returns(returns, shrinkage))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * expected.max())


@given(SIZES, st.integers(1, 70))
def test_the_precision_in_blocks_is_the_inverse(sizes: tuple[int, int, int], tile: int) -> None:
    matrix = shrink_returns(draw_returns(*sizes), "oas")
    result = ArrayResult(matrix.order)
    write_precision(matrix, result, tile)
    formed = dense(matrix)
    bound = 1e-14 * matrix.order * np.linalg.cond(formed)
    np.testing.assert_array_equal(result.array, result.array.T)
    np.testing.assert_allclose(formed @ result.array, np.eye(matrix.order), atol=bound)
    np.testing.assert_allclose(matrix.precision().multiply(formed), np.eye(matrix.order), atol=bound)
    np.testing.assert_allclose(matrix.multiply(result.array), np.eye(matrix.order), atol=bound)


@given(SIZES)
def test_the_condition_is_estimated_from_below_within_a_factor_of_ten(sizes: tuple[int, int, int]) -> None:
    matrix = shrink_returns(draw_returns(*sizes), "oas")
    exact = np.linalg.cond(dense(matrix), 1)
    assert exact / 10 <= matrix.condition() <= exact * (1 + 1e-6)


@given(SIZES)
def test_least_variance_is_the_same_by_woodbury_by_tiles_and_by_numpy(sizes: tuple[int, int, int]) -> None:
    matrix = shrink_returns(draw_returns(*sizes), "oas")
    formed = dense(matrix)
    reference = np.linalg.solve(formed, np.ones(matrix.order))
    reference /= reference.sum()
    for found in (minimise_low_rank(matrix), minimise_dense(ArrayMatrix(formed), SerialTiles(), 16)):
        np.testing.assert_allclose(found.weights, reference, atol=1e-9)
        assert found.variance == pytest.approx(reference @ formed @ reference, rel=1e-9)
        assert found.certificate <= 1e-10


@given(SIZES)
def test_long_only_least_variance_is_that_of_the_profile_and_optimal(sizes: tuple[int, int, int]) -> None:
    matrix = shrink_returns(draw_returns(*sizes), "oas")
    found = minimise_long_only(matrix)
    formed = dense(matrix)
    scaled, _, settled = solve_nonnegative(formed[None], np.ones((1, matrix.order)))
    assert settled[0]
    np.testing.assert_allclose(found.weights, scaled[0] / scaled[0].sum(), atol=1e-9)
    assert found.weights.min() >= 0
    assert found.weights.sum() == pytest.approx(1.0)
    marginal = formed @ found.weights / found.variance
    assert np.abs(marginal[found.weights > 0] - 1).max() <= 1e-9
    assert marginal.min() >= 1 - 1e-9


def test_a_diagonal_of_its_own_for_each_asset_and_one_factor_have_a_known_inverse() -> None:
    diagonal, loading = np.array([1.0, 2.0, 4.0]), np.array([[1.0], [1.0], [2.0]])
    matrix = DiagonalPlusLowRank(diagonal, loading)
    scaled = loading[:, 0] / diagonal
    known = np.diag(1 / diagonal) - np.outer(scaled, scaled) / (1 + loading[:, 0] @ scaled)  # Sherman, Morrison
    np.testing.assert_allclose(matrix.precision().multiply(np.eye(3)), known, rtol=1e-14)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rows", [2, 10])
def test_one_asset_is_its_own_target_however_its_variance_is_rounded(seed: int, rows: int) -> None:
    returns = draw_returns(rows, 1, 1500 + seed)
    found = dense(shrink_returns(returns, "ledoit_wolf"))
    np.testing.assert_allclose(found, [[returns.var()]], rtol=1e-12)


def test_one_asset_and_two_that_are_the_same() -> None:
    single = shrink_returns(draw_returns(10, 1, 0), "oas")
    assert minimise_low_rank(single).weights == pytest.approx([1.0])
    twin = np.repeat(draw_returns(10, 1, 1), 2, axis=1)
    np.testing.assert_allclose(minimise_long_only(shrink_returns(twin, "oas")).weights, [0.5, 0.5], rtol=1e-12)


@pytest.mark.parametrize("seed", [193, 229])
def test_an_asset_that_was_dropped_too_early_is_taken_back(seed: int) -> None:
    generator = np.random.default_rng(seed)
    matrix = DiagonalPlusLowRank(generator.uniform(0.05, 1, 12), generator.normal(0.5, 1.5, (12, 2)))
    found = minimise_long_only(matrix)
    scaled, _, _ = solve_nonnegative(dense(matrix)[None], np.ones((1, 12)))
    np.testing.assert_allclose(found.weights, scaled[0] / scaled[0].sum(), atol=1e-12)


def test_least_variance_is_refined_once_which_woodbury_alone_needs() -> None:
    refined, alone = 0.0, 0.0
    for seed in range(10):
        factor = np.random.default_rng(seed).normal(0.3, 1.0, (60, 5))
        matrix = DiagonalPlusLowRank(np.full(60, 1e-3), factor)
        refined += minimise_low_rank(matrix).certificate
        alone += np.abs(matrix.multiply(matrix.precision().multiply(np.ones(60))) - 1).max()
    assert refined < 0.7 * alone


def test_the_slow_way_of_pivoting_ends_at_the_same_portfolio(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = shrink_returns(draw_returns(40, 60, 3), "ledoit_wolf")
    fast = minimise_long_only(matrix)
    monkeypatch.setattr("backsweep.linalg.minimum_variance._PATIENCE", -1)
    np.testing.assert_allclose(minimise_long_only(matrix).weights, fast.weights, atol=1e-12)
    monkeypatch.setattr("backsweep.linalg.minimum_variance._ROUNDS", 2)
    with pytest.raises(NumericError, match="settled in 2 exchanges"):
        minimise_long_only(matrix)


def test_a_covariance_too_nearly_singular_has_no_portfolio_instead_of_a_wrong_one() -> None:
    matrix = DiagonalPlusLowRank(np.full(50, 1e-26), draw_returns(5, 50, 0).T)
    with pytest.raises(NumericError, match=r"certificate of .* shrink it more"):
        minimise_low_rank(matrix)


def test_returns_that_cannot_be_shrunk_are_refused_with_what_is_wrong() -> None:
    with pytest.raises(UserError, match="no shrinkage is called 'sample'; there are ledoit_wolf and oas"):
        shrink_returns(draw_returns(5, 5, 0), "sample")
    with pytest.raises(DataError, match=r"shape \(1, 5\); a covariance needs"):
        shrink_returns(np.zeros((1, 5)), "oas")
    bad = draw_returns(5, 5, 0).copy()
    bad[3, 1] = np.nan
    with pytest.raises(DataError, match="nan in row 3, column 1"):
        shrink_returns(bad, "oas")
    with pytest.raises(NumericError, match="give returns that vary"):
        shrink_returns(np.zeros((5, 5)), "ledoit_wolf")


def test_parts_that_do_not_make_a_positive_definite_matrix_are_refused() -> None:
    with pytest.raises(NumericError, match=r"element 1 \(counted from 0\) of the diagonal is 0, it must be above 0"):
        DiagonalPlusLowRank(np.array([1.0, 0.0]), np.ones((2, 1)))
    with pytest.raises(DataError, match="do not fit"):
        DiagonalPlusLowRank(np.ones(3), np.ones((2, 1)))
    with pytest.raises(DataError, match="not finite"):
        DiagonalPlusLowRank(np.ones(2), np.array([[1.0], [np.inf]]))
