"""Constraints of the document as arrays, and betas by a plain regression."""

from __future__ import annotations

import numpy as np

from backsweep.solve.limits import build_constraints, market_betas


def test_betas_are_the_slopes_of_a_regression_on_the_market() -> None:
    generator = np.random.default_rng(5)
    returns = generator.normal(size=(3, 40, 4))
    market = returns.mean(axis=2) + 0.1 * generator.normal(size=(3, 40))
    betas = market_betas(returns, market)
    for window in range(3):
        for asset in range(4):
            slope = np.polyfit(market[window], returns[window, :, asset], 1)[0]
            np.testing.assert_allclose(betas[window, asset], slope, rtol=1e-10)


def test_a_market_that_stood_still_has_no_betas() -> None:
    assert (market_betas(np.ones((1, 5, 2)), np.zeros((1, 5))) == 0).all()


def test_a_group_holds_those_of_its_assets_that_take_part() -> None:
    document = {
        "minWeight": -0.1,
        "maxWeight": 0.5,
        "gross": 1.4,
        "groupCaps": [
            {"name": "oil", "assets": ["CVX", "XOM", "OTHER"], "max": 0.3},
            {"name": "x", "assets": ["KO"], "min": 0.1},
        ],
        "turnoverLimit": 0.2,
        "beta": {"tolerance": 0.05},
    }
    found = build_constraints(document, ["KO", "XOM", "CVX"])
    np.testing.assert_array_equal(found.groups, [[0, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(found.group_upper, [0.3, np.inf])
    np.testing.assert_array_equal(found.group_lower, [-np.inf, 0.1])
    assert (found.lower == -0.1).all()
    assert (found.upper == 0.5).all()
    assert (found.net, found.gross, found.turnover_limit, found.beta_tolerance) == (1.0, 1.4, 0.2, 0.05)


def test_without_a_word_the_portfolio_is_long_only_and_fully_invested() -> None:
    found = build_constraints({}, ["A", "B"])
    assert (found.lower == 0).all()
    assert (found.upper == 1).all()
    assert found.net == 1.0
    assert found.gross is None
