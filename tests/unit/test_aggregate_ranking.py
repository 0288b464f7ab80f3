"""The order of trials, and how it holds under other scenarios."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from backsweep.aggregate.ranking import competing, rank_trials
from backsweep.aggregate.sensitivity import sensitivity
from backsweep.errors import InvariantError

NAN = math.nan


def test_valued_then_null_then_ruined_then_failed_and_equals_by_trial_id() -> None:
    trials = ["e", "d", "c", "b", "a", "f"]
    status = ["ok", "ruined", "ok", "ok", "failed", "ok"]
    values = np.array([1.0, 9.0, NAN, 1.0, 8.0, 2.0])
    found = rank_trials(values, "maximize", trials, status, np.ones(6, dtype=bool))
    assert [trials[row] for row in found.order] == ["f", "b", "e", "c", "d", "a"]
    assert found.rank.tolist() == [3, 5, 4, 2, 6, 1]
    assert found.winner == 5


def test_what_a_ruined_trial_made_before_its_ruin_does_not_order_it() -> None:
    found = rank_trials(np.array([5.0, 7.0]), "maximize", ["a", "b"], ["ruined"] * 2, np.ones(2, dtype=bool))
    assert found.order.tolist() == [0, 1]


def test_to_minimize_puts_the_smallest_first_and_null_still_last() -> None:
    found = rank_trials(np.array([NAN, -3.0, 2.0]), "minimize", list("abc"), ["ok"] * 3, np.ones(3, dtype=bool))
    assert found.order.tolist() == [1, 2, 0]


def test_yardsticks_and_other_scenarios_never_rank() -> None:
    profiles = ["hrp", "market", "benchmark", "hrp"]
    able = competing(profiles, np.array([True, True, True, False]))
    assert able.tolist() == [True, False, False, False]
    found = rank_trials(np.array([0.1, 5.0, 6.0, 7.0]), "maximize", list("abcd"), ["ok"] * 4, able)
    assert (found.order.tolist(), found.rank.tolist(), found.winner) == ([0], [1, 0, 0, 0], 0)


@pytest.mark.parametrize(("value", "status"), [(NAN, "ok"), (3.0, "ruined"), (3.0, "failed")])
def test_a_tournament_without_a_finished_value_has_no_winner(value: float, status: str) -> None:
    found = rank_trials(np.array([value]), "maximize", ["a"], [status], np.ones(1, dtype=bool))
    assert found.winner is None
    assert found.order.tolist() == [0]


def test_the_order_is_the_same_whatever_order_the_trials_come_in() -> None:
    generator = np.random.default_rng(0)
    values = generator.integers(0, 9, 60).astype(float)
    trials = [f"{number:016x}" for number in generator.permutation(60)]
    reference = None
    for seed in range(3):
        shuffle = np.random.default_rng(seed).permutation(60)
        names = [trials[row] for row in shuffle]
        found = rank_trials(values[shuffle], "maximize", names, ["ok"] * 60, np.ones(60, dtype=bool))
        order = [names[row] for row in found.order]
        reference = reference or order
        assert order == reference


def test_an_unknown_goal_and_lists_of_different_lengths_are_bugs() -> None:
    with pytest.raises(InvariantError, match="'most'"):
        rank_trials(np.zeros(1), "most", ["a"], ["ok"], np.ones(1, dtype=bool))
    with pytest.raises(InvariantError, match="differ in number"):
        rank_trials(np.zeros(2), "maximize", ["a"], ["ok"], np.ones(1, dtype=bool))


def test_each_scenario_shows_the_winner_there_its_own_leader_and_how_the_order_holds() -> None:
    choice = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    scenario = np.repeat([0, 1, 2], 3)
    values = np.array([3.0, 2.0, 1.0, 0.5, 0.7, 0.6, NAN, 4.0, 4.0])
    base, costly, other = sensitivity(values, "maximize", list("abcdefgih"), choice, scenario, winner=0)
    assert (base.winner_rank, base.leader) == (1, 0)
    assert base.rank_correlation == pytest.approx(1.0)
    assert (costly.winner_value, costly.winner_rank, costly.leader, costly.leader_value) == (0.5, 3, 4, 0.7)
    expected = pd.Series([3.0, 2.0, 1.0]).corr(pd.Series([0.5, 0.7, 0.6]), method="spearman")
    assert costly.rank_correlation == pytest.approx(expected)
    assert (other.trials, other.winner_rank, other.leader) == (2, 0, 8)
    assert math.isnan(other.winner_value)
    assert math.isnan(other.rank_correlation)  # all equal: no order to compare


def test_ties_share_their_mean_rank_in_the_correlation() -> None:
    generator = np.random.default_rng(1)
    values = generator.integers(0, 5, 80).astype(float)
    found = sensitivity(
        values, "minimize", [str(row) for row in range(80)], np.tile(np.arange(40), 2), np.repeat([0, 1], 40), winner=3
    )
    expected = pd.Series(values[:40]).corr(pd.Series(values[40:]), method="spearman")
    assert found[1].rank_correlation == pytest.approx(expected)


def test_a_scenario_in_which_nothing_has_a_value_has_no_leader() -> None:
    values = np.array([1.0, NAN])
    found = sensitivity(values, "maximize", ["a", "b"], np.array([0, 0]), np.array([0, 1]), winner=0)[1]
    assert (found.trials, found.leader, found.winner_rank) == (0, -1, 0)
    assert math.isnan(found.leader_value)
