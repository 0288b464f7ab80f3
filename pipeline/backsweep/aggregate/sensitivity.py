"""What if: how the order of the trials changes under each scenario that never ranks against the base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backsweep.aggregate.ranking import signed
from backsweep.arrays import Float, Integer

__all__ = ["ScenarioResult", "rank_correlation", "sensitivity"]


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario, compared with the base.

    Parameters
    ----------
    scenario : its number; 0 is the base.
    trials : competing trials with a value in it.
    winner_value, winner_rank : of the base scenario's winner in this one; NaN and 0 without a value.
    leader : row of the trial that leads in this one; -1 when none has a value.
    leader_value : that trial's value; NaN without one.
    rank_correlation : Spearman's, with the base, over the choices that have a value in both; NaN with
        fewer than two, or when all are equal.
    """

    scenario: int
    trials: int
    winner_value: float
    winner_rank: int
    leader: int
    leader_value: float
    rank_correlation: float


def sensitivity(
    values: Float, goal: str, trials: Sequence[str], choice: Integer, scenario: Integer, winner: int
) -> list[ScenarioResult]:
    """Return how the winner and the order fare in every scenario: a winner at one cost level is no winner.

    Parameters
    ----------
    values : (M,) float64, the objective's metric; NaN where null, ruined, failed or not competing.
    goal : "maximize" or "minimize".
    trials : M trial ids; equal values are ordered by id.
    choice : (M,) int64, the point of the choice axes: trials that differ in scenario alone share it.
    scenario : (M,) int64, the point of the scenario axes, 0 the base; each (choice, scenario) once.
    winner : row of the base scenario's winner.

    Returns
    -------
    One result a scenario, the base first.

    Raises
    ------
    InvariantError : another goal.

    Source : DESIGN section 7; Spearman (1904) with mean ranks for ties, checked against pandas in
        tests/unit/test_aggregate_ranking.py.
    """
    score = signed(np.asarray(values, dtype=np.float64), goal)
    ids = np.array(trials, dtype=np.str_)
    base = {int(choice[row]): score[row] for row in np.flatnonzero((scenario == 0) & ~np.isnan(score))}
    results = []
    for number in np.unique(scenario).tolist():
        rows = np.flatnonzero((scenario == number) & ~np.isnan(score))
        order = rows[np.lexsort((ids[rows], -score[rows]))]
        place = np.flatnonzero(choice[order] == choice[winner])
        shared = np.array([row for row in rows.tolist() if int(choice[row]) in base], dtype=np.int64)
        reference = np.array([base[int(choice[row])] for row in shared.tolist()])
        results.append(
            ScenarioResult(
                scenario=number,
                trials=len(rows),
                winner_value=float(values[order[place[0]]]) if len(place) else float("nan"),
                winner_rank=int(place[0]) + 1 if len(place) else 0,
                leader=int(order[0]) if len(order) else -1,
                leader_value=float(values[order[0]]) if len(order) else float("nan"),
                rank_correlation=rank_correlation(score[shared], reference),
            )
        )
    return results


def _mean_ranks(values: Float) -> Float:
    """Return ranks from 1, equal values sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Float = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def rank_correlation(first: Float, second: Float) -> float:
    """Return Spearman's rank correlation of two sets of values.

    Parameters
    ----------
    first, second : (C,) float64, no NaN; equal values share their mean rank.

    Returns
    -------
    NaN with fewer than two values, or where all values of one are equal.

    Source : Spearman (1904); checked in tests/unit/test_aggregate_ranking.py.
    """
    if len(first) < 2:
        return float("nan")
    one, two = _mean_ranks(first), _mean_ranks(second)
    one, two = one - one.mean(), two - two.mean()
    scale = np.sqrt(np.vecdot(one, one) * np.vecdot(two, two))
    return float(np.vecdot(one, two) / scale) if scale > 0.0 else float("nan")
