"""The normal distribution and PSR at their edges."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from backsweep.measure.probabilistic_sharpe import normal_cdf, probabilistic_sharpe


def test_the_normal_distribution_function_is_that_of_the_standard_library_in_both_tails() -> None:
    values = np.array([[-30.0, -8.0, -1.5], [0.0, 2.25, 9.0]])
    expected = [[NormalDist().cdf(value) for value in row] for row in values.tolist()]
    assert normal_cdf(values)[1] == pytest.approx(expected[1], rel=1e-14)
    # Far out, 1 + erf cancels: the tail must still have a value.
    assert normal_cdf(values)[0] == pytest.approx(
        [4.906713927148187e-198, 6.220960574271785e-16, expected[0][2]], rel=1e-12
    )
    assert np.isnan(normal_cdf(np.array([np.nan]))).all()


def test_a_record_proves_more_when_longer_and_less_when_skewed_down_or_fat_tailed() -> None:
    def psr(rows: int, skew: float, kurtosis: float) -> float:
        return float(probabilistic_sharpe(np.array([0.05]), rows, np.array([skew]), np.array([kurtosis]))[0])

    assert psr(500, 0.0, 3.0) > psr(250, 0.0, 3.0) > 0.5
    assert psr(500, 0.0, 3.0) > psr(500, -2.0, 3.0)
    assert psr(500, 0.0, 3.0) > psr(500, 0.0, 12.0)


def test_a_benchmark_equal_to_the_sharpe_ratio_gives_one_half() -> None:
    sharpe = np.array([0.05, -0.02])
    assert probabilistic_sharpe(sharpe, 100, sharpe, sharpe + 3.0, sharpe) == pytest.approx([0.5, 0.5])


def test_null_where_there_is_nothing_to_infer_from() -> None:
    sharpe = np.array([np.nan, 0.1, 1.0])
    rows = np.array([100, 1, 100])
    # Two values that occur equally often: Sharpe 1, skew 0, kurtosis 1, or skew 2, kurtosis 5: variance 0.
    found = probabilistic_sharpe(sharpe, rows, np.array([0.0, 0.0, 2.0]), np.array([3.0, 3.0, 5.0]))
    assert np.isnan(found).all()
