from __future__ import annotations

import numpy as np

from backsweep.solve import quadratic
from backsweep.solve.quadratic import Programme, solve_programme


def programme(gain: list[float], rows: list[list[float]], low: list[float], high: list[float]) -> Programme:
    return Programme(np.eye(len(gain)), np.array(gain), np.array(rows), np.array(low), np.array(high))


def test_an_equality_and_a_bound_have_their_closed_form() -> None:
    # nearest point to (2, 0, 0) on the simplex is a corner
    answer = solve_programme(programme([2.0, 0.0, 0.0], [[1.0, 1.0, 1.0]], [0, 0, 0, 1], [np.inf] * 3 + [1]))
    np.testing.assert_allclose(answer.point, [1.0, 0.0, 0.0], atol=1e-15)
    assert answer.residual <= 1e-14


def test_rows_that_contradict_each_other_are_infeasible() -> None:
    answer = solve_programme(programme([0.0, 0.0], [[1.0, 1.0]], [0, 0, 3], [1, 1, 3]))
    assert answer.infeasible
    assert answer.residual == np.inf


def test_two_equalities_that_say_the_same_are_accepted() -> None:
    answer = solve_programme(programme([0.3, 0.1], [[1.0, 1.0], [2.0, 2.0]], [0, 0, 1, 2], [1, 1, 1, 2]))
    np.testing.assert_allclose(answer.point, [0.6, 0.4], rtol=1e-12)
    assert answer.residual <= 1e-10


def test_a_wrong_point_has_a_large_residual() -> None:
    problem = programme([0.0, 0.0], [[1.0, 1.0]], [0, 0, 1], [1, 1, 1])
    right = quadratic._residual(problem, np.array([0.5, 0.5]), np.array([0.0, 0.0, -0.5]))
    not_optimal = quadratic._residual(problem, np.array([0.6, 0.4]), np.array([0.0, 0.0, -0.5]))
    not_feasible = quadratic._residual(problem, np.array([0.4, 0.4]), np.array([0.0, 0.0, -0.4]))
    wrong_sign = quadratic._residual(problem, np.array([1.0, 0.0]), np.array([-0.5, 0.5, -0.5]))
    assert right <= 1e-16
    assert min(not_optimal, not_feasible, wrong_sign) >= 0.05


def test_polishing_makes_a_rough_answer_exact() -> None:
    problem = programme([0.3, 0.1, -5.0], [[1.0, 1.0, 1.0]], [0, 0, 0, 1], [1, 1, 1, 1])
    rough = np.array([0.6 + 1e-6, 0.4 - 2e-6, 1e-6]), np.array([0.0, 0.0, -4.7, -0.3])
    point, multipliers = quadratic._polish(problem, *rough)
    np.testing.assert_allclose(point, [0.6, 0.4, 0.0], atol=1e-14)
    assert quadratic._residual(problem, point, multipliers) <= 1e-14
