"""Hansen's test and its bootstrap against slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backsweep.aggregate.block_length import mean_block_length
from backsweep.aggregate.superior_ability import (
    SuperiorAbility,
    bootstrap_counts,
    superior_ability,
    superior_ability_part,
)
from backsweep.arrays import Float
from backsweep.errors import InvariantError

ROWS, DRAWS, BLOCK = 130, 400, 4.0


def tournament(trials: int, lead: float, seed: int = 0) -> tuple[Float, Float]:
    generator = np.random.default_rng(seed)
    benchmark = generator.standard_normal(ROWS) * 0.01
    return benchmark + generator.standard_normal((trials, ROWS)) * 0.004 + lead, benchmark


def run(series: Float, benchmark: Float, chunk: int = 3) -> SuperiorAbility:
    counts = bootstrap_counts(ROWS, DRAWS, BLOCK, 11)
    parts = [
        superior_ability_part(series[i : i + chunk], benchmark, counts, BLOCK) for i in range(0, len(series), chunk)
    ]
    return superior_ability(parts, BLOCK)


def slow(series: Float, benchmark: Float) -> tuple[float, float, float, float]:
    """Return statistic and lower, consistent, upper p-values, resampling the rows themselves."""
    counts = bootstrap_counts(ROWS, DRAWS, BLOCK, 11).astype(int)
    lead = series - benchmark
    mean, root = lead.mean(axis=1), math.sqrt(ROWS)
    error = np.empty(len(lead))
    for trial, row in enumerate(lead):
        centred = row - mean[trial]
        variance = centred @ centred / ROWS
        for lag in range(1, ROWS):
            kernel = (ROWS - lag) / ROWS * (1 - 1 / BLOCK) ** lag + lag / ROWS * (1 - 1 / BLOCK) ** (ROWS - lag)
            variance += 2 * kernel * (centred[lag:] @ centred[:-lag]) / ROWS
        error[trial] = math.sqrt(variance)
    statistic = max(0.0, (root * mean / error).max())
    kept = mean >= -np.sqrt(error**2 / ROWS * 2 * math.log(math.log(ROWS)))
    nulls = (np.maximum(mean, 0.0), np.where(kept, mean, 0.0), mean)
    reached = np.zeros(3)
    for draw in counts:
        rows = np.repeat(np.arange(ROWS), draw)
        for index, null in enumerate(nulls):
            largest = max(0.0, max(root * (lead[t, rows] - null[t]).mean() / error[t] for t in range(len(lead))))
            reached[index] += largest >= statistic
    lower, consistent, upper = reached / DRAWS
    return statistic, lower, consistent, upper


@pytest.mark.parametrize("lead", [-0.0004, 0.0, 0.0005])
@pytest.mark.parametrize("errors_behind", [1.0, 2.5, 9.0])  # the consistent null leaves those behind 1.8 where they are
def test_statistic_and_p_values_are_those_of_resampling_row_by_row(lead: float, errors_behind: float) -> None:
    series, benchmark = tournament(7, lead, seed=3)
    behind = (series[2:] - benchmark).mean(axis=1) + errors_behind * 0.004 / math.sqrt(ROWS)
    series[2:] -= behind[:, None]
    found = run(series, benchmark)
    assert [found.statistic, found.p_lower, found.p_consistent, found.p_upper] == pytest.approx(
        slow(series, benchmark), rel=1e-9, abs=1e-12
    )
    assert found.p_lower <= found.p_consistent <= found.p_upper


def test_a_clear_lead_is_significant_and_no_lead_is_not() -> None:
    assert run(*tournament(6, 0.002)).p_consistent < 0.01
    series, benchmark = tournament(6, 0.0)
    series -= series.mean(axis=1)[:, None] - benchmark.mean() + 1e-5
    found = run(series, benchmark)
    assert (found.statistic, found.p_consistent) == (0.0, 1.0)


def test_without_any_lead_a_p_value_under_ten_percent_is_as_rare_as_that() -> None:
    found = [run(*tournament(5, 0.0, seed)).p_consistent for seed in range(120)]
    assert 0.02 <= np.mean(np.array(found) < 0.1) <= 0.22
    assert 0.35 <= np.mean(found) <= 0.65


def test_worthless_trials_beside_it_do_not_hide_a_good_one_from_the_consistent_test() -> None:
    series, benchmark = tournament(1, 0.0003, seed=5)
    bad = benchmark + np.random.default_rng(6).standard_normal((60, ROWS)) * 0.03 - 0.03
    alone, crowded = run(series, benchmark), run(np.vstack([series, bad]), benchmark)
    assert crowded.p_consistent < 2 * alone.p_consistent + 0.02
    assert crowded.p_upper > crowded.p_consistent


def test_the_order_of_the_parts_changes_nothing_and_copies_of_the_benchmark_are_left_out() -> None:
    series, benchmark = tournament(6, 0.0004)
    counts = bootstrap_counts(ROWS, DRAWS, BLOCK, 1)
    parts = [superior_ability_part(series[i : i + 2], benchmark, counts, BLOCK) for i in (0, 2, 4)]
    copies = superior_ability_part(np.stack([benchmark, benchmark]), benchmark, counts, BLOCK)
    assert superior_ability(parts, BLOCK) == superior_ability([copies, *parts[::-1]], BLOCK)
    alone = superior_ability([copies], BLOCK)
    assert alone.trials == 0
    assert math.isnan(alone.p_consistent)
    assert math.isnan(alone.statistic)


def test_counts_are_whole_blocks_of_the_asked_mean_length_and_repeat_with_their_seed() -> None:
    counts = bootstrap_counts(500, 300, 6.0, 42)
    assert (counts.sum(axis=1) == 500).all()
    assert (counts == np.round(counts)).all()
    assert counts.min() == 0
    assert np.array_equal(counts, bootstrap_counts(500, 300, 6.0, 42))
    assert not np.array_equal(counts, bootstrap_counts(500, 300, 6.0, 43))
    # Every row is as likely as any other, the first and the last included.
    assert counts.mean(axis=0) == pytest.approx(np.ones(500), abs=0.45)
    assert counts[:, 0].mean() == pytest.approx(1.0, abs=0.25)


def test_one_block_the_length_of_the_series_is_the_series() -> None:
    assert (bootstrap_counts(50, 20, 1e12, 1) == 1.0).all()


@pytest.mark.parametrize("block", [1.0, 3.0, 10.0])
def test_bootstrapped_means_have_the_variance_the_statistic_is_divided_by(block: float) -> None:
    series = np.convolve(np.random.default_rng(4).standard_normal(303), np.ones(4), mode="valid")
    counts = bootstrap_counts(300, 6000, block, 9)
    part = superior_ability_part(series[None], np.zeros(300), counts, block)
    # Under the upper null the maxima of one trial are its studentised, centred, bootstrapped means.
    assert part.maxima[2].std() == pytest.approx(1.0, rel=0.04)
    assert part.maxima[2].mean() == pytest.approx(0.0, abs=0.05)


def test_shapes_and_blocks_that_do_not_fit_are_bugs() -> None:
    series, benchmark = tournament(2, 0.0)
    counts = bootstrap_counts(ROWS, 4, BLOCK, 1)
    with pytest.raises(InvariantError, match="differ in rows"):
        superior_ability_part(series, benchmark[:-1], counts, BLOCK)
    with pytest.raises(InvariantError, match="not possible"):
        bootstrap_counts(10, 10, 0.5, 1)
    with pytest.raises(InvariantError, match="at least one part"):
        superior_ability([], BLOCK)


def test_the_block_length_is_near_the_theoretical_one_of_an_ar1_and_1_without_dependence() -> None:
    generator = np.random.default_rng(12)
    found = []
    for _ in range(20):
        series, shocks = np.zeros(5000), generator.standard_normal(5000)
        for row in range(1, 5000):
            series[row] = 0.5 * series[row - 1] + shocks[row]
        found.append(mean_block_length(series))
    # With autocovariances rho^k: G = 2 rho / (1 - rho)^2, g(0) = (1 + rho) / (1 - rho),
    # and the length is (G / g(0))^(2/3) T^(1/3).
    theory = ((2 * 0.5 / (1 - 0.25)) ** 2 * 5000) ** (1 / 3)
    assert np.median(found) == pytest.approx(theory, rel=0.2)
    assert mean_block_length(generator.standard_normal(5000)) < 4.0
    assert mean_block_length(np.zeros(100)) == 1.0
    assert mean_block_length(np.arange(5.0)) == 1.0
    assert mean_block_length(generator.standard_normal(10_000).cumsum()) == 300.0  # the cap, 3 sqrt T
