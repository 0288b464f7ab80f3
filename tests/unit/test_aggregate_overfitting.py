"""CSCV against a loop over all combinations of slices."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from backsweep.aggregate import overfitting as module
from backsweep.aggregate.overfitting import Overfitting, overfitting
from backsweep.arrays import Float
from backsweep.errors import InvariantError


def sliced(series: Float) -> Float:
    """Return (M, 16, 3) statistics of series whose rows divide by 16."""
    cut = series.reshape(len(series), 16, -1)
    return np.stack([np.full(cut.shape[:2], cut.shape[2]), cut.sum(axis=2), (cut**2).sum(axis=2)], axis=2)


def noise(trials: int, rows: int, seed: int) -> Float:
    return np.random.default_rng(seed).standard_normal((trials, rows)) * 0.01


def slow(series: Float) -> tuple[float, float, float, float]:
    """Return PBO, mean logit, degradation slope and probability of loss from the rows themselves."""
    cut = series.reshape(len(series), 16, -1)
    logits, chosen, judged = [], [], []
    for inside in itertools.combinations(range(16), 8):
        outside = [index for index in range(16) if index not in inside]
        halves = [cut[:, list(half)].reshape(len(series), -1) for half in (inside, outside)]
        here, there = (half.mean(axis=1) / half.std(axis=1, ddof=1) for half in halves)
        leader = int(np.argmax(here))
        below, level = (there < there[leader]).sum(), (there == there[leader]).sum()
        place = (below + (level + 1) / 2) / (len(series) + 1)
        logits.append(math.log(place / (1 - place)))
        chosen.append(here[leader])
        judged.append(there[leader])
    slope = np.polyfit(chosen, judged, 1)[0]
    return float(np.mean(np.array(logits) <= 0)), float(np.mean(logits)), slope, float(np.mean(np.array(judged) < 0))


@pytest.mark.parametrize("trials", [2, 3, 9])
def test_all_combinations_are_judged_as_the_slow_loop_judges_them(trials: int) -> None:
    series = noise(trials, 16 * 4, trials)
    found = overfitting(sliced(series))
    probability, logit, slope, loss = slow(series)
    assert found.combinations == 12_870
    assert found.probability == pytest.approx(probability, abs=1e-12)
    assert found.logit_mean == pytest.approx(logit, abs=1e-10)
    assert found.degradation_slope == pytest.approx(slope, abs=1e-9)
    assert found.loss_probability == pytest.approx(loss, abs=1e-12)


def test_chunks_of_trials_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = sliced(noise(23, 160, 1))
    whole = overfitting(statistics)
    monkeypatch.setattr(module, "COLUMN_CHUNK", 5)
    parts = overfitting(statistics)
    assert (parts.probability, parts.loss_probability) == (whole.probability, whole.loss_probability)
    assert parts.logit_mean == pytest.approx(whole.logit_mean, rel=1e-12)
    assert parts.degradation_slope == pytest.approx(whole.degradation_slope, rel=1e-9)


def test_of_equal_leaders_the_first_counts_in_one_chunk_and_in_many(monkeypatch: pytest.MonkeyPatch) -> None:
    series = noise(2, 320, 9)
    series[:, :160] = series[0, :160]  # level where these slices select, apart where the others judge
    series[:, :160] += 0.03
    series[1, 160:] = -np.abs(series[1, 160:])
    whole = overfitting(sliced(series))
    assert overfitting(sliced(series[::-1])).probability > whole.probability
    monkeypatch.setattr(module, "COLUMN_CHUNK", 1)
    assert overfitting(sliced(series)).probability == whole.probability


def test_equal_trials_tie_exactly_wherever_they_stand() -> None:
    series = noise(1, 320, 3)
    found = overfitting(sliced(np.repeat(series, 37, axis=0)))
    # All level: the leader's mean rank is the median in every combination.
    assert found.probability == 1.0
    assert found.logit_mean == 0.0
    assert found.logit_deviation == 0.0


def test_a_trial_without_variance_never_leads_and_ranks_last() -> None:
    series = noise(3, 320, 4) + 0.002
    with_flat = np.vstack([series, np.full((1, 320), 0.9), np.zeros((1, 320))])
    assert overfitting(sliced(with_flat)).degradation_slope == overfitting(sliced(series)).degradation_slope
    assert overfitting(sliced(with_flat)).probability < overfitting(sliced(series)).probability


def test_a_trial_flat_in_some_slices_only_is_judged_by_the_others() -> None:
    series = noise(3, 320, 5)
    series[0, :160] = 0.0
    found = overfitting(sliced(series))
    assert found.combinations == 12_870
    assert math.isfinite(found.logit_mean)
    series[0, 160:] = noise(1, 160, 6) + 0.05
    # In front wherever it varies at all: of 12,870 combinations only the two with a flat half go against it.
    assert overfitting(sliced(series)).probability == pytest.approx(2 / 12_870)


def test_nothing_to_compare_is_null_and_never_zero() -> None:
    for statistics in (sliced(noise(1, 160, 7)), sliced(np.zeros((4, 160))), np.zeros((0, 16, 3))):
        found = overfitting(statistics)
        assert isinstance(found, Overfitting)
        assert math.isnan(found.probability)
        assert math.isnan(found.degradation_slope)


def test_slices_of_another_number_or_of_different_lengths_are_a_bug() -> None:
    statistics = sliced(noise(2, 160, 8))
    with pytest.raises(InvariantError, match="16 slices"):
        overfitting(statistics[:, :8])
    statistics[1, 3, 0] = 9
    with pytest.raises(InvariantError, match="16 slices"):
        overfitting(statistics)
