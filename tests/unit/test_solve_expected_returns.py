from __future__ import annotations

import numpy as np
import pytest

from backsweep.errors import InvariantError, NumericError
from backsweep.solve.expected_returns import estimate, shrink_means

RETURNS = 0.01 * np.random.default_rng(16).normal(size=(4, 50, 6)) + 0.01 * np.random.default_rng(17).normal(
    size=(4, 50, 1)
)
RETURNS += np.linspace(-0.001, 0.003, 6)
COVARIANCE = np.stack([np.cov(window.T) for window in RETURNS])


def test_mean_is_the_arithmetic_mean() -> None:
    np.testing.assert_allclose(estimate("mean", RETURNS, COVARIANCE, {}), RETURNS.mean(axis=1), rtol=1e-12)


def test_ewma_weighs_a_row_half_as_much_as_one_half_life_later() -> None:
    impulse = np.zeros((2, 81, 1))
    impulse[0, 80] = impulse[1, 40] = 1.0
    late, early = estimate("ewma", impulse, np.ones((2, 1, 1)), {})[:, 0]
    np.testing.assert_allclose(late, 2 * early, rtol=1e-13)
    np.testing.assert_allclose(estimate("ewma", np.ones((1, 30, 1)), np.ones((1, 1, 1)), {"halfLife": 3}), 1.0)


def test_bayes_stein_is_jorions_formula_written_out() -> None:
    result = estimate("bayes_stein", RETURNS, COVARIANCE, {})
    for window, covariance, shrunk in zip(RETURNS, COVARIANCE, result, strict=True):
        mean, ones = window.mean(axis=0), np.ones(6)
        inverse = np.linalg.inv(covariance * 49 / (50 - 6 - 2))
        target = ones @ inverse @ mean / (ones @ inverse @ ones)
        certainty = 8 / ((mean - target) @ inverse @ (mean - target))
        share = certainty / (certainty + 50)
        assert 0.05 < share < 0.95
        np.testing.assert_allclose(shrunk, (1 - share) * mean + share * target, rtol=1e-11)


def test_equal_means_stay() -> None:
    mean = np.full((4, 6), 0.001)
    np.testing.assert_allclose(shrink_means(mean, COVARIANCE, 50), mean, rtol=1e-12)


def test_a_constant_asset_keeps_its_mean_and_changes_no_other() -> None:
    returns = np.concatenate((RETURNS, np.full((4, 50, 1), 0.0002)), axis=2)
    covariance = np.zeros((4, 7, 7))
    covariance[:, :6, :6] = COVARIANCE
    result = estimate("bayes_stein", returns, covariance, {})
    np.testing.assert_allclose(result[:, 6], 0.0002, rtol=1e-13)
    np.testing.assert_allclose(result[:, :6], estimate("bayes_stein", RETURNS, COVARIANCE, {}), rtol=1e-12)


def test_twins_are_shrunk_by_the_pseudo_inverse_to_the_same_mean() -> None:
    twice = np.concatenate((RETURNS, RETURNS), axis=2)
    result = estimate("bayes_stein", twice, np.stack([np.cov(window.T) for window in twice]), {})
    np.testing.assert_allclose(result[:, :6], result[:, 6:], rtol=1e-9)
    mean, inverse = twice[0].mean(axis=0), np.linalg.pinv(np.cov(twice[0].T) * 49 / 36, rcond=1e-9)
    target = inverse.sum(axis=0) @ mean / inverse.sum()
    share = 14 / (14 + 50 * (mean - target) @ inverse @ (mean - target))
    np.testing.assert_allclose(result[0], (1 - share) * mean + share * target, rtol=1e-8)
    spread, before = np.ptp(result, axis=1), np.ptp(RETURNS.mean(axis=1), axis=1)
    assert (spread < before).all()


def test_too_few_rows_for_bayes_stein_are_refused() -> None:
    with pytest.raises(NumericError, match="8 rows and 6 assets"):
        estimate("bayes_stein", RETURNS[:, :8], COVARIANCE, {})


def test_no_rows_are_refused() -> None:
    with pytest.raises(NumericError, match="at least 1 training row"):
        estimate("mean", RETURNS[:, :0], COVARIANCE, {})


def test_an_unknown_name_is_a_bug_of_ours() -> None:
    with pytest.raises(InvariantError, match="bayes_stein"):
        estimate("median", RETURNS, COVARIANCE, {})
