from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backsweep.arrays import Float
from backsweep.solve.polytope import build_polytope, explain_empty
from backsweep.solve.problem import Constraints

ASSETS = 4
LOOSE = Constraints(
    lower=np.full(ASSETS, -0.5),
    upper=np.full(ASSETS, 1.0),
    net=1.0,
    gross=None,
    groups=np.zeros((0, ASSETS)),
    group_lower=np.zeros(0),
    group_upper=np.zeros(0),
    beta_tolerance=None,
    turnover_limit=None,
)
BETA = np.array([0.5, 0.8, 1.2, 1.5])
PREVIOUS = np.array([0.7, 0.3, 0.0, 0.0])


def test_without_absolute_values_the_variables_are_the_weights() -> None:
    polytope = build_polytope(LOOSE, None, None)
    assert polytope.pairs == 0
    np.testing.assert_array_equal(polytope.transform(), np.eye(ASSETS))


def test_a_gross_that_long_only_bounds_imply_adds_no_variables() -> None:
    assert build_polytope(replace(LOOSE, lower=np.zeros(ASSETS), gross=1.0), None, None).pairs == 0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_gross_equal_to_the_net_allows_one_sign_only(sign: float) -> None:
    bounds = np.full(ASSETS, 0.6)
    polytope = build_polytope(replace(LOOSE, lower=-bounds, upper=bounds, net=sign, gross=1.0), None, None)
    assert polytope.pairs == 0
    np.testing.assert_array_equal(polytope.low[:ASSETS], -0.6 * (sign < 0))
    np.testing.assert_array_equal(polytope.high[:ASSETS], 0.6 * (sign > 0))


def test_gross_and_turnover_add_a_pair_each() -> None:
    both = replace(LOOSE, gross=1.5, turnover_limit=0.2)
    assert build_polytope(both, None, None).pairs == 1
    assert build_polytope(both, None, PREVIOUS).pairs == 2


@pytest.mark.parametrize("weights", [[0.7, 0.3, 0.0, 0.0], [0.9, 0.3, 0.0, -0.2], [0.6, 0.6, -0.2, 0.0]])
def test_weights_within_the_limits_have_a_point_in_the_split_polytope(weights: list[float]) -> None:
    limits = replace(LOOSE, gross=1.4, turnover_limit=0.4, beta_tolerance=0.9)
    polytope = build_polytope(limits, BETA, PREVIOUS)
    w = np.array(weights)
    move = w - PREVIOUS
    point = np.concatenate([np.maximum(part, 0.0) for part in (w, -w, move, -move)])
    values = np.concatenate((point, polytope.rows @ point))
    inside = (values >= polytope.low - 1e-12).all() and (values <= polytope.high + 1e-12).all()
    allowed = np.abs(w).sum() <= 1.4 and np.abs(move).sum() <= 0.8 and abs(w @ BETA) <= 0.9
    assert inside == allowed
    np.testing.assert_allclose((polytope.transform() @ point)[:ASSETS], w, atol=1e-15)


@pytest.mark.parametrize(
    ("change", "beta", "previous", "named"),
    [
        ({"upper": np.full(ASSETS, 0.2)}, None, None, "bounds of the 4 assets sum to -2 to 0.8"),
        ({"gross": 0.9}, None, None, "gross 0.9"),
        (
            {"groups": np.ones((1, ASSETS)), "group_lower": np.array([-np.inf]), "group_upper": np.array([0.5])},
            None,
            None,
            "group caps",
        ),
        ({"beta_tolerance": 0.01, "lower": np.zeros(ASSETS)}, BETA, None, "beta within 0.01"),
        ({"turnover_limit": 0.1, "upper": np.full(ASSETS, 0.4)}, None, PREVIOUS, "turnoverLimit 0.1"),
    ],
)
def test_the_constraint_that_empties_the_set_is_named(
    change: dict[str, object], beta: Float | None, previous: Float | None, named: str
) -> None:
    sentence = explain_empty(replace(LOOSE, **change), beta, previous)  # type: ignore[arg-type]
    assert sentence is not None
    assert sentence.startswith("the constraints are infeasible: ")
    assert named in sentence


def test_constraints_that_leave_weights_need_no_explanation() -> None:
    assert explain_empty(replace(LOOSE, gross=1.2, turnover_limit=0.5), None, PREVIOUS) is None
