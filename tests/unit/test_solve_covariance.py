from __future__ import annotations

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.errors import InvariantError, NumericError
from backsweep.solve.covariance import ESTIMATORS, estimate

HISTORY = 0.01 * np.random.default_rng(9).standard_t(5, size=(160, 6)) + 0.0003
HISTORY += 0.01 * np.random.default_rng(10).standard_t(5, size=(160, 1))


def sliding(history: Float, rows: int, step: int) -> Float:
    """Return the overlapping windows as the caller passes them: a transposed view, nothing copied."""
    return np.swapaxes(np.lib.stride_tricks.sliding_window_view(history, rows, axis=0)[::step], 1, 2)


WINDOWS = sliding(HISTORY, 60, 20)


def test_sample_is_numpys_covariance() -> None:
    expected = np.stack([np.cov(window.T) for window in WINDOWS])
    np.testing.assert_allclose(estimate("sample", WINDOWS, {}), expected, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_view_and_its_copy_and_a_window_alone_agree(name: str) -> None:
    from_view = estimate(name, WINDOWS, {})
    np.testing.assert_allclose(from_view, estimate(name, WINDOWS.copy(), {}), rtol=1e-12, atol=1e-18)
    alone = np.concatenate([estimate(name, window[None], {}) for window in WINDOWS])
    np.testing.assert_allclose(from_view, alone, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_matrix_is_symmetric_positive_semidefinite_and_the_same_bytes_again(name: str) -> None:
    matrix = estimate(name, WINDOWS, {})
    assert (matrix == np.swapaxes(matrix, 1, 2)).all()
    assert np.linalg.eigvalsh(matrix).min() >= -1e-18
    assert matrix.tobytes() == estimate(name, WINDOWS, {}).tobytes()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_scales_with_the_square_of_the_returns(name: str) -> None:
    np.testing.assert_allclose(estimate(name, 4.0 * WINDOWS, {}), 16.0 * estimate(name, WINDOWS, {}), rtol=1e-11)


def test_ewma_is_the_weighted_sum_of_outer_products_written_out() -> None:
    weights = np.array([0.5 ** ((59 - row) / 10) for row in range(60)])
    window = WINDOWS[2]
    expected = sum(w * np.outer(row, row) for w, row in zip(weights / weights.sum(), window, strict=True))
    np.testing.assert_allclose(estimate("ewma", WINDOWS, {"halfLife": 10})[2], expected, rtol=1e-12)


def test_ewma_defaults_to_a_half_life_of_40_rows() -> None:
    assert (estimate("ewma", WINDOWS, {}) == estimate("ewma", WINDOWS, {"halfLife": 40})).all()


def test_ledoit_wolf_is_its_formula_written_out() -> None:
    window = WINDOWS[0] - WINDOWS[0].mean(axis=0)
    rows, assets = window.shape
    empirical = window.T @ window / rows
    level = np.trace(empirical) / assets
    spread = ((empirical - level * np.eye(assets)) ** 2).sum() / assets
    noise = sum(((np.outer(row, row) - empirical) ** 2).sum() for row in window) / rows**2 / assets
    share = min(noise, spread) / spread
    assert 0 < share < 1
    expected = (1 - share) * empirical + share * level * np.eye(assets)
    np.testing.assert_allclose(estimate("ledoit_wolf", WINDOWS, {})[0], expected, rtol=1e-12)


def test_oas_is_scikit_learns_formula_written_out() -> None:
    rows, assets = WINDOWS[0].shape
    empirical = np.cov(WINDOWS[0].T, ddof=0)
    level, alpha = np.trace(empirical) / assets, (empirical**2).mean()
    share = (alpha + level**2) / ((rows + 1) * (alpha - level**2 / assets))
    assert 0 < share < 1
    expected = (1 - share) * empirical + share * level * np.eye(assets)
    np.testing.assert_allclose(estimate("oas", WINDOWS, {})[0], expected, rtol=1e-12)


def test_shrinkage_of_more_assets_than_rows_is_positive_definite() -> None:
    windows = sliding(np.tile(HISTORY, (1, 3)) + 0.001 * np.random.default_rng(11).normal(size=(160, 18)), 10, 50)
    for name in ("ledoit_wolf", "oas", "denoised"):
        assert np.linalg.eigvalsh(estimate(name, windows, {})).min() > 1e-9


def test_one_asset_has_its_variance() -> None:
    for name in ESTIMATORS:
        matrix = estimate(name, WINDOWS[:, :, :1], {})
        assert matrix.shape == (len(WINDOWS), 1, 1)
        np.testing.assert_allclose(matrix[:, 0, 0], WINDOWS[:, :, 0].var(axis=1), rtol=0.6)


@pytest.mark.parametrize("constant", [0.0, 1e-4, 0.37])
@pytest.mark.parametrize("name", ["sample", "denoised", "gerber"])
def test_a_constant_asset_has_exactly_no_variance_and_changes_no_other(name: str, constant: float) -> None:
    history = HISTORY.copy()
    history[:70, 2] = constant
    windows = sliding(history, 60, 50)
    matrix = estimate(name, windows, {})
    assert not matrix[0, 2].any()
    assert matrix[1, 2, 2] > 0
    others = np.delete(np.arange(6), 2)
    without = estimate(name, windows[:1][:, :, others], {})
    np.testing.assert_allclose(matrix[0][np.ix_(others, others)], without[0], rtol=1e-11)


def test_a_mean_far_above_the_deviation_costs_no_digits() -> None:
    shifted = WINDOWS + np.array([0, 0, 0, 0, 0, 100.0])
    np.testing.assert_allclose(estimate("sample", shifted, {}), estimate("sample", WINDOWS, {}), rtol=1e-8, atol=1e-15)


def test_fewer_than_two_rows_are_refused() -> None:
    with pytest.raises(NumericError, match="at least 2 training rows, this window has 1"):
        estimate("sample", WINDOWS[:, :1], {})


def test_an_unknown_name_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError, match="ledoit_wolf"):
        estimate("ledoitwolf", WINDOWS, {})
