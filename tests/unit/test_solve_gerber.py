from __future__ import annotations

import numpy as np

from backsweep.solve.gerber import estimate_gerber

RETURNS = np.random.default_rng(12).normal(size=(3, 40, 5)) * 0.01
RETURNS += np.random.default_rng(13).normal(size=(3, 40, 1)) * 0.01
DEVIATION = RETURNS.std(axis=1, ddof=1)


def test_the_statistic_is_its_counts_written_out() -> None:
    result = estimate_gerber(RETURNS, DEVIATION, 0.5)
    for window, deviation, matrix in zip(RETURNS, DEVIATION, result, strict=True):
        for i in range(5):
            for j in range(5):
                together = against = neutral = 0
                for row in window:
                    first = int(row[i] >= 0.5 * deviation[i]) - int(row[i] <= -0.5 * deviation[i])
                    second = int(row[j] >= 0.5 * deviation[j]) - int(row[j] <= -0.5 * deviation[j])
                    together += first * second == 1
                    against += first * second == -1
                    neutral += first == second == 0
                expected = (together - against) / (40 - neutral) * deviation[i] * deviation[j]
                np.testing.assert_allclose(matrix[i, j], expected, rtol=1e-13)


def test_opposite_assets_have_correlation_minus_one() -> None:
    returns = np.concatenate((RETURNS[:, :, :1], -RETURNS[:, :, :1]), axis=2)
    matrix = estimate_gerber(returns, returns.std(axis=1, ddof=1), 0.5)
    np.testing.assert_allclose(matrix[:, 0, 1], -matrix[:, 0, 0], rtol=1e-14)


def test_the_size_of_an_outlier_does_not_count() -> None:
    deviation = DEVIATION[:1]
    calm, wild = RETURNS[:1].copy(), RETURNS[:1].copy()
    calm[0, 7], wild[0, 7] = 5 * deviation[0], 5000 * deviation[0]
    np.testing.assert_array_equal(estimate_gerber(calm, deviation, 0.5), estimate_gerber(wild, deviation, 0.5))


def test_an_asset_that_never_passes_its_threshold_keeps_its_variance_alone() -> None:
    matrix = estimate_gerber(RETURNS, DEVIATION * np.array([1, 1, 1, 1, 1e6]), 0.5)
    assert not matrix[:, 4, :4].any()
    np.testing.assert_allclose(matrix[:, 4, 4], (1e6 * DEVIATION[:, 4]) ** 2)


def test_threshold_zero_counts_signs() -> None:
    returns = np.array([[[1.0, 1.0], [1.0, -1.0], [0.0, 1.0], [-1.0, -1.0]]])
    matrix = estimate_gerber(returns, np.ones((1, 2)), 0.0)
    np.testing.assert_allclose(matrix[0, 0, 1], (2 - 1) / 4)


def test_many_assets_on_few_rows_stay_positive_semidefinite() -> None:
    returns = np.random.default_rng(14).standard_t(3, size=(20, 12, 30))
    matrix = estimate_gerber(returns, returns.std(axis=1, ddof=1), 0.9)
    assert np.linalg.eigvalsh(matrix).min() >= -1e-12 * np.einsum("bii->bi", matrix).max()
