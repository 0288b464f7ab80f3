"""Counting trials, and what the best of them shows without skill."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backsweep.aggregate.deflated_sharpe import (
    CorrelationSums,
    correlation_sums,
    deflate,
    effective_trials,
    expected_maximum,
    mean_correlation,
)
from backsweep.arrays import Float
from backsweep.errors import InvariantError


def common_factor(count: int, rows: int = 300) -> Float:
    generator = np.random.default_rng(2)
    return generator.standard_normal(rows) + generator.standard_normal((count, rows)) + 5.0


def test_partial_sums_give_the_mean_of_all_pairwise_correlations() -> None:
    series = common_factor(11)
    matrix = np.atleast_2d(np.corrcoef(series))
    expected = matrix[~np.eye(11, dtype=bool)].mean()
    parts = [correlation_sums(series[:4]), correlation_sums(series[4:5]), correlation_sums(series[5:])]
    assert mean_correlation(parts) == pytest.approx(expected, rel=1e-12)
    assert 0.3 < expected < 0.7


def test_a_flat_series_correlates_with_nothing_and_is_left_out() -> None:
    series = common_factor(4)
    flat = np.vstack([series, np.full((1, 300), 0.01)])
    assert mean_correlation([correlation_sums(flat)]) == pytest.approx(mean_correlation([correlation_sums(series)]))
    assert math.isnan(mean_correlation([correlation_sums(flat[3:])]))
    assert math.isnan(mean_correlation([]))


def test_a_part_carries_sums_and_never_series() -> None:
    part = correlation_sums(common_factor(7))
    assert isinstance(part, CorrelationSums)
    assert part.total.shape == (300,)
    assert part.count == 7


@pytest.mark.parametrize(
    ("trials", "correlation", "expected"),
    [(100, 0.0, 100.0), (100, 1.0, 1.0), (100, 0.9, 10.9), (100, -0.2, 100.0), (1, math.nan, 1.0), (7, math.nan, 7.0)],
)
def test_effective_trials_are_rho_plus_one_minus_rho_times_n(trials: int, correlation: float, expected: float) -> None:
    assert effective_trials(trials, correlation) == pytest.approx(expected)


def test_no_trials_cannot_be_deflated() -> None:
    with pytest.raises(InvariantError, match="0 trials"):
        effective_trials(0, 0.5)


@pytest.mark.parametrize("trials", [5, 20, 100, 1000])
def test_the_expected_maximum_is_that_of_simulated_trials_without_skill(trials: int) -> None:
    drawn = np.random.default_rng(8).standard_normal((4000, trials)).max(axis=1).mean() * 0.03
    assert expected_maximum(trials, 0.03**2) == pytest.approx(drawn, rel=0.04)


def test_the_expected_maximum_is_never_negative_and_grows_with_trials_and_variance() -> None:
    assert expected_maximum(1.0, 1.0) == 0.0
    assert expected_maximum(1.2, 1.0) == 0.0
    assert expected_maximum(50, math.nan) == expected_maximum(50, 0.0) == 0.0
    assert 0 < expected_maximum(10, 1.0) < expected_maximum(1e6, 1.0) < expected_maximum(1e6, 4.0)


def test_deflation_leaves_null_trials_out_and_shows_both_counts() -> None:
    sharpe = np.array([0.05, np.nan, 0.01, 0.03])
    found = deflate(sharpe, 0.5, 40)
    assert found.variance == pytest.approx(np.var([0.05, 0.01, 0.03], ddof=1))
    assert (found.trials, found.effective) == (40, 20.5)
    assert found.benchmark == expected_maximum(20.5, found.variance)
    assert found.benchmark_all == expected_maximum(40, found.variance) > found.benchmark
    assert deflate(sharpe[:1], math.nan, 1).benchmark == 0.0
