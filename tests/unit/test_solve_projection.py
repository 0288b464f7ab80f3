from __future__ import annotations

import numpy as np

from backsweep.arrays import Float
from backsweep.solve.problem import Constraints, Problem
from backsweep.solve.projection import project

ASSETS = 6


def limits(cap: float) -> Constraints:
    none = np.zeros(0)
    return Constraints(np.zeros(ASSETS), np.full(ASSETS, cap), 1.0, None, np.zeros((0, ASSETS)), none, none, None, None)


def project_onto_simplex(weights: Float) -> Float:
    """Held, Wolfe and Crowder: subtract a threshold found on the sorted weights."""
    order = np.sort(weights)[::-1]
    thresholds = (np.cumsum(order) - 1.0) / np.arange(1, len(order) + 1)
    threshold = thresholds[np.flatnonzero(order > thresholds)[-1]]
    result: Float = np.maximum(weights - threshold, 0.0)
    return result


def test_projection_onto_the_simplex_is_the_closed_form() -> None:
    weights = np.random.default_rng(7).normal(size=(30, ASSETS))
    solution = project(weights, Problem(constraints=limits(1.0)))
    np.testing.assert_allclose(solution.weights, [project_onto_simplex(row) for row in weights], atol=1e-14)
    assert solution.certificate.max() <= 1e-14


def test_weights_that_satisfy_the_constraints_stay() -> None:
    weights = np.random.default_rng(8).dirichlet(np.full(ASSETS, 5.0), size=10)
    np.testing.assert_allclose(project(weights, Problem(constraints=limits(1.0))).weights, weights, atol=1e-14)


def test_a_cap_moves_the_excess_to_the_others_evenly() -> None:
    weights = np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]])
    solution = project(weights, Problem(constraints=limits(0.4)))
    np.testing.assert_allclose(solution.weights, [[0.4, 0.12, 0.12, 0.12, 0.12, 0.12]], rtol=1e-13)


def test_a_turnover_limit_is_kept_row_by_row() -> None:
    weights = np.eye(ASSETS)[:2]
    previous = np.full((2, ASSETS), 1 / ASSETS)
    turning = Constraints(
        np.zeros(ASSETS), np.ones(ASSETS), 1.0, None, np.zeros((0, ASSETS)), np.zeros(0), np.zeros(0), None, 0.25
    )
    solution = project(weights, Problem(constraints=turning, previous=previous))
    np.testing.assert_allclose(np.abs(solution.weights - previous).sum(axis=1) / 2, 0.25, rtol=1e-12)


def test_a_window_that_failed_already_stays_failed_and_moves_no_other() -> None:
    weights = np.full((3, ASSETS), 1 / ASSETS)
    weights[1] = np.nan
    solution = project(weights, Problem(constraints=limits(0.3)))
    assert np.isnan(solution.weights[1]).all()
    assert np.isnan(solution.certificate[1])
    np.testing.assert_allclose(solution.weights[[0, 2]], 1 / ASSETS, rtol=1e-14)
    assert not solution.failures


def test_infeasible_constraints_are_named_with_the_row_of_the_batch() -> None:
    weights = np.full((2, ASSETS), 1 / ASSETS)
    weights[0] = np.nan
    assert "infeasible" in project(weights, Problem(constraints=limits(0.1))).failures[1]
