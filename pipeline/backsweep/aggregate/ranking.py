"""Who leads: the order of the competing trials by the sweep's objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.errors import InvariantError

__all__ = ["FAILED", "NEVER_WIN", "RUINED", "Ranking", "competing", "rank_trials", "signed"]

NEVER_WIN = frozenset({"market", "benchmark"})
"""Profiles that are yardsticks: what must be beaten cannot win."""

RUINED = "ruined"
FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The order of a tournament.

    Parameters
    ----------
    order : (C,) int64, the competing trials, best first.
    rank : (M,) int64, 1 for the best; 0 for a trial that does not compete.
    winner : the best trial; None when no competing trial finished with a value.
    """

    order: Integer
    rank: Integer
    winner: int | None


def signed(values: Float, goal: str) -> Float:
    """Return the values so that more is better, because `goal` may be to minimize.

    Parameters
    ----------
    values : (M,) or (M, K) float64; NaN stays NaN.
    goal : "maximize" or "minimize".

    Returns
    -------
    The values, or their negatives.

    Raises
    ------
    InvariantError : another goal.

    Source : DESIGN section 4, `objective.goal`; checked in tests/unit/test_aggregate_ranking.py.
    """
    if goal not in ("maximize", "minimize"):
        raise InvariantError(f"goal {goal!r} is neither maximize nor minimize")
    return -values if goal == "minimize" else values


def competing(profiles: Sequence[str], base: Boolean) -> Boolean:
    """Return which trials compete: those of the base scenario whose profile is not a yardstick.

    Parameters
    ----------
    profiles : M profile names.
    base : (M,) bool, True where every scenario axis has its base value.

    Returns
    -------
    (M,) bool; no NaN is involved: a trial without a value competes and comes last.

    Source : DESIGN section 7; checked in tests/unit/test_aggregate_ranking.py.
    """
    able = np.fromiter((profile not in NEVER_WIN for profile in profiles), dtype=np.bool_, count=len(profiles))
    return able & base


def rank_trials(values: Float, goal: str, trials: Sequence[str], status: Sequence[str], competes: Boolean) -> Ranking:
    """Return the order of the competing trials; whatever has no value comes after all that have one.

    Parameters
    ----------
    values : (M,) float64, the objective's metric; NaN is null.
    goal : "maximize" or "minimize".
    trials : M distinct trial ids; equal values are ordered by id.
    status : M words; "ruined" and "failed" trials come last, in this order, whatever their values;
        before them those whose value is null.
    competes : (M,) bool, from `competing`.

    Returns
    -------
    Ranking.

    Raises
    ------
    InvariantError : another goal, or lengths that differ.

    Source : DESIGN section 7; checked in tests/unit/test_aggregate_ranking.py.
    """
    count = len(values)
    if not count == len(trials) == len(status) == len(competes):
        raise InvariantError(f"{count} values, {len(trials)} trials, {len(status)} states differ in number")
    score = -signed(np.asarray(values, dtype=np.float64), goal)
    words = np.array(status, dtype=np.str_)
    group = np.where(words == FAILED, 3, np.where(words == RUINED, 2, np.isnan(score).astype(np.int64)))
    score = np.where(group > 0, 0.0, score)
    everyone = np.lexsort((np.array(trials, dtype=np.str_), score, group))
    order = everyone[competes[everyone]].astype(np.int64)
    rank = np.zeros(count, dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    won = len(order) > 0 and group[order[0]] == 0
    return Ranking(order, rank, int(order[0]) if won else None)
