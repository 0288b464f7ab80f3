"""Published numbers of the tests of luck, and matrices built so that the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backsweep.aggregate.deflated_sharpe import expected_maximum
from backsweep.aggregate.overfitting import overfitting
from backsweep.arrays import Float
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe
from backsweep.measure.slices import slice_statistics


def scalar(value: float) -> Float:
    return np.array([value])


def test_psr_of_the_hedge_fund_example_of_bailey_and_lopez_de_prado_2012() -> None:
    found = probabilistic_sharpe(scalar(0.458), 24, scalar(-2.448), scalar(10.164))
    assert found[0] == pytest.approx(0.913, abs=5e-4)
    # The same record, had its returns been normal, looks better (the paper's 0.982).
    assert probabilistic_sharpe(scalar(0.458), 24, scalar(0.0), scalar(3.0))[0] == pytest.approx(0.982, abs=1e-3)


def test_dsr_of_the_numerical_example_of_bailey_and_lopez_de_prado_2014() -> None:
    benchmark = expected_maximum(100, 0.5 / 250)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic_sharpe(scalar(2.5 / math.sqrt(250)), 1250, scalar(-3.0), scalar(10.0), benchmark)
    assert found[0] == pytest.approx(0.9004, abs=5e-5)
    # The paper: had there been 46 trials, the strategy would pass at 95 %.
    fewer = expected_maximum(46, 0.5 / 250)
    passing = probabilistic_sharpe(scalar(2.5 / math.sqrt(250)), 1250, scalar(-3.0), scalar(10.0), fewer)
    assert passing[0] == pytest.approx(0.9505, abs=5e-5)


def pbo(series: Float) -> float:
    return overfitting(slice_statistics(series, np.zeros(series.shape[1]))).probability


def noise(trials: int, rows: int, seed: int) -> Float:
    return np.random.default_rng(seed).standard_normal((trials, rows)) * 0.01


def test_pbo_of_noise_is_one_half_on_average() -> None:
    found = [pbo(noise(50, 480, seed)) for seed in range(30)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_pbo_of_one_truly_better_trial_is_near_zero() -> None:
    series = noise(50, 1600, 1)
    series[17] += 0.004
    assert pbo(series) < 0.001


def test_pbo_of_a_matrix_built_to_be_overfit_is_near_one() -> None:
    # Every trial earns the same in total, so what it gained in one half it lacks in the other.
    series = noise(50, 1600, 2)
    series -= series.mean(axis=1, keepdims=True)
    assert pbo(series) > 0.95


def test_pbo_of_trials_that_win_one_slice_each_and_lose_everywhere_else_is_one() -> None:
    series = noise(16, 1600, 3) * 0.01
    for trial in range(16):
        series[trial] -= 0.001
        series[trial, 100 * trial : 100 * (trial + 1)] += 0.05
    assert pbo(series) == 1.0
