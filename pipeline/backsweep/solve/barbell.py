"""A safe core beside a small sleeve of the assets with the best score."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.solve.heuristic import within_constraints
from backsweep.solve.problem import Kernel, Problem, Solution

__all__ = ["SCORES", "solve"]

SCORES = ("momentum", "sharpe", "low_volatility")


def solve(problem: Problem, core: Kernel) -> Solution:
    """Return coreWeight x the core's weights + (1 - coreWeight) / sleeve in each asset of the sleeve.

    Most of the wealth goes where risk is least by a method that is trusted with it, the rest where the upside
    is; nothing in between. An asset may be in both.

    Parameters
    ----------
    problem : needs `returns` (B, L, N), simple returns as fractions, no NaN, and what the core needs.
        `parameters`: `coreWeight` (0.8), between 0 and 1; `sleeve` (3), the number of assets; `score`
        (momentum): momentum is the compounded return of the training rows, sharpe their mean over their
        standard deviation (ddof 1, no riskless rate), low_volatility the smallest standard deviation.
    core : the core's kernel; it is given the same problem without constraints.

    Returns
    -------
    Solution
        The certificate is the core's, or the larger of it and the projection's when there are constraints. A
        window in which the core failed has failed, with "core: " before its reason.

    Notes
    -----
    Ties go to the earlier column. Degenerate cases: fewer assets than the sleeve: all of them; a constant
    asset has sharpe +inf, 0 or -inf by the sign of its return; one training row has no standard deviation: all
    windows count as constant.

    Raises
    ------
    InvariantError
        When `returns` is missing, or a parameter is not one of the above.

    Source
    ------
    Geman, Geman and Taleb (2015), "Tail risk constraints and maximum entropy", Entropy 17(6), section 1: the
    barbell as the answer to a constraint on the left tail; checked in tests/unit/test_solve_barbell.py.
    """
    if problem.returns is None:
        raise InvariantError("barbell needs the training returns")
    core_weight, sleeve, score = _parameters(problem)
    inner = core(replace(problem, constraints=None))
    points = problem.shared.once(problem.returns, f"score {score}", partial(_score, problem.returns, score))
    best = np.argsort(-points, axis=1, kind="stable")[:, :sleeve]
    weights = core_weight * inner.weights
    share = (1.0 - core_weight) / best.shape[1]
    np.put_along_axis(weights, best, np.take_along_axis(weights, best, axis=1) + share, axis=1)
    failures = {row: f"core: {reason}" for row, reason in inner.failures.items()}
    return within_constraints(Solution(weights, inner.certificate, failures), problem)


def _parameters(problem: Problem) -> tuple[float, int, str]:
    """The weight of the core, the size of the sleeve and the score, checked."""
    core_weight = problem.parameters.get("coreWeight", 0.8)
    sleeve = problem.parameters.get("sleeve", 3)
    score = problem.parameters.get("score", "momentum")
    if not isinstance(core_weight, (int, float)) or not 0.0 <= core_weight <= 1.0:
        raise InvariantError(f"barbell needs a coreWeight between 0 and 1, not {core_weight!r}")
    if not isinstance(sleeve, (int, float)) or int(sleeve) != sleeve or sleeve < 1:
        raise InvariantError(f"barbell needs a sleeve of at least 1 asset, not {sleeve!r}")
    if not isinstance(score, str) or score not in SCORES:
        raise InvariantError(f"barbell knows the scores {', '.join(SCORES)}, not {score!r}")
    return float(core_weight), int(sleeve), score


def _score(returns: Float, score: str) -> Float:
    """Score (B, N) of each asset over its training rows; more is better."""
    if score == "momentum":
        return np.asarray(np.prod(1.0 + returns, axis=1))
    mean = returns.mean(axis=1)
    # a constant column is told by its values: its standard deviation need not round to zero
    constant = (returns == returns[:, :1]).all(axis=1)
    deviation = np.sqrt(np.square(returns - mean[:, None]).sum(axis=1) / max(returns.shape[1] - 1, 1))
    deviation[constant] = 0.0
    if score == "low_volatility":
        return np.asarray(-deviation)
    limit = np.where(mean > 0.0, np.inf, np.where(mean < 0.0, -np.inf, 0.0))
    return np.where(constant, limit, np.divide(mean, deviation, out=np.zeros_like(mean), where=~constant))
