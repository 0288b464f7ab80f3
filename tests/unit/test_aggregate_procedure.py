"""Who is held in each window."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backsweep.aggregate.procedure import first_window, leaders, leading_trials
from backsweep.arrays import Float
from backsweep.errors import InvariantError


def slow(values: Float, positions: list[int], goal: str) -> list[int]:
    """Walk over all trials in every window."""
    held = []
    for column in values.T:
        best, who = -math.inf, -1
        for position, value in sorted(zip(positions, column.tolist(), strict=True)):
            score = value if goal == "maximize" else -value
            if score > best:  # never true for NaN; of equals the first stays
                best, who = score, position
        held.append(who)
    return held


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_each_window_holds_the_first_best_trial_however_the_trials_are_packed(goal: str, chunk: int) -> None:
    generator = np.random.default_rng(chunk)
    values = generator.integers(0, 6, (40, 25)).astype(float)
    values[generator.random(values.shape) < 0.3] = np.nan
    values[:, 4] = np.nan
    positions = generator.permutation(40)
    parts = [leaders(values[i : i + chunk], positions[i : i + chunk], goal) for i in range(0, 40, chunk)]
    expected = slow(values, positions.tolist(), goal)
    assert leading_trials(parts).tolist() == expected
    assert leading_trials(parts[::-1]).tolist() == expected
    assert expected[4] == -1


def test_a_chunk_without_trials_leads_nowhere() -> None:
    empty = leaders(np.empty((0, 3)), np.empty(0, dtype=np.int64), "maximize")
    assert leading_trials([empty]).tolist() == [-1, -1, -1]
    one = leaders(np.array([[-5.0, 0.0, np.nan]]), np.array([7]), "maximize")
    assert leading_trials([empty, one]).tolist() == [7, 7, -1]


def test_the_first_window_has_504_earlier_out_of_sample_rows() -> None:
    starts = 252 + 20 * np.arange(60)
    first = first_window(starts)
    assert starts[first] - starts[0] == 520
    assert first_window(starts[:26]) == 26
    assert first_window(starts, 500) == 25
    assert first_window(np.array([], dtype=np.int64)) == 0


def test_no_chunks_and_positions_that_do_not_fit_are_bugs() -> None:
    with pytest.raises(InvariantError, match="at least one chunk"):
        leading_trials([])
    with pytest.raises(InvariantError, match="differ in number"):
        leaders(np.zeros((2, 3)), np.array([1]), "maximize")
