"""The procedure: in each window hold the trial that led on the out-of-sample rows before it.

Choosing the winner with hindsight is what makes a tournament look good; this is what somebody who chose
by the tournament as it went would have held. Its own series starts at the first window that has 504
earlier out-of-sample rows (two years of days): before that nothing is held and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from backsweep.aggregate.ranking import signed
from backsweep.arrays import Float, Integer
from backsweep.errors import InvariantError

__all__ = ["MINIMUM_ROWS", "Leaders", "first_window", "leaders", "leading_trials"]

MINIMUM_ROWS = 504

NOBODY = np.iinfo(np.int64).max
"""Position of no trial: after all others, so that it loses every tie."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaders:
    """The best of some trials at each window.

    Parameters
    ----------
    score : (K,) float64, its value so far, signed so that more is better; -inf when none has one.
    position : (K,) int64, its position in the order of trial ids.
    """

    score: Float
    position: Integer


def first_window(test_start: Integer, minimum_rows: int = MINIMUM_ROWS) -> int:
    """Return the first window with enough earlier out-of-sample rows to choose on.

    Parameters
    ----------
    test_start : (K,) int64, first test row of each window (`arrays.Windows`); integers, so no NaN.
    minimum_rows : earlier out-of-sample rows wanted.

    Returns
    -------
    Its index; K when there is none. The earlier rows of window k are `test_start[k] - test_start[0]`: the
    stops to give to `measure.expanding`.

    Source : DESIGN section 7; checked in tests/unit/test_aggregate_procedure.py.
    """
    return int(np.searchsorted(test_start - test_start[0], minimum_rows)) if len(test_start) else 0


def leaders(values: Float, positions: Integer, goal: str) -> Leaders:
    """Return the best of one chunk of trials at each window, so that no sweep holds all values at once.

    Parameters
    ----------
    values : (M, K) float64, the objective on the rows before each window (`measure.expanding`); NaN
        where a trial has none (null, ruined): it cannot be held.
    positions : (M,) int64, the trials' positions in the order of trial ids: of equals the first leads.
    goal : "maximize" or "minimize".

    Returns
    -------
    Leaders.

    Raises
    ------
    InvariantError : another goal, or lengths that differ.

    Source : DESIGN section 7; checked against a loop in tests/unit/test_aggregate_procedure.py.
    """
    if len(positions) != len(values):
        raise InvariantError(f"{len(values)} trials and {len(positions)} positions differ in number")
    order = np.argsort(positions, kind="stable")
    score = signed(values, goal)[order]
    score = np.where(np.isnan(score), -np.inf, score)
    if not len(score):
        return Leaders(np.full(values.shape[1], -np.inf), np.full(values.shape[1], NOBODY))
    best = score.argmax(axis=0)
    top = score[best, np.arange(score.shape[1])]
    return Leaders(top, np.where(top > -np.inf, positions[order][best], NOBODY))


def leading_trials(parts: Iterable[Leaders]) -> Integer:
    """Return the trial to be held in each window; the order of the parts changes nothing.

    Parameters
    ----------
    parts : from `leaders`, of all chunks of trials, at the same windows.

    Returns
    -------
    (K,) int64, positions in the order of trial ids; -1 where all values were NaN and cash is held.

    Raises
    ------
    InvariantError : no parts.

    Source : DESIGN section 7; checked against a loop in tests/unit/test_aggregate_procedure.py.
    """
    best: Leaders | None = None
    for part in parts:
        if best is None:
            best = part
            continue
        ahead = part.score > best.score
        tied = (part.score == best.score) & (part.position < best.position)
        best = Leaders(np.maximum(part.score, best.score), np.where(ahead | tied, part.position, best.position))
    if best is None:
        raise InvariantError("the procedure needs at least one chunk of trials")
    return np.where(best.position == NOBODY, -1, best.position)
