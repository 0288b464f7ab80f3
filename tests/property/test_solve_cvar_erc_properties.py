"""What must hold for min_cvar, risk_parity and the recipes on any returns: budget, bounds, scale, order, gap."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backsweep.arrays import Float
from backsweep.solve import barbell, equal_weight, inverse_volatility, min_cvar, risk_parity
from backsweep.solve.cvar_program import tail_mean
from backsweep.solve.problem import Problem

QUICK = settings(
    deadline=None, max_examples=40, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@st.composite
def returns(draw: st.DrawFn, least_assets: int = 1, rounding: bool = True) -> Float:
    """(B, L, N) returns: heavy tails, a common factor, copies of assets, constant assets, rounded values."""
    windows = draw(st.integers(1, 4))
    rows = draw(st.integers(3, 90))
    assets = draw(st.integers(least_assets, 9))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = generator.standard_t(3, (windows, rows, assets)) * 0.01
    values += generator.standard_t(3, (windows, rows, 1)) * draw(st.sampled_from([0.0, 0.01]))
    values = np.maximum(values, -1.0)
    if rounding and draw(st.booleans()):
        values = np.round(values, 2)
    if rounding and draw(st.booleans()):
        values[:, :, draw(st.integers(0, assets - 1))] = draw(st.sampled_from([0.0, 0.001, -0.001]))
    if rounding and assets > 1 and draw(st.booleans()):
        values[:, :, 0] = values[:, :, assets - 1]
    return values


def covariances(values: Float) -> Float:
    """Sample covariances (B, N, N), never without variance."""
    centred = values - values.mean(axis=1, keepdims=True)
    matrix = centred.transpose(0, 2, 1) @ centred / (values.shape[1] - 1)
    return np.asarray(matrix + 1e-6 * np.eye(values.shape[2]))


def cvar(values: Float, weights: Float, confidence: float) -> Float:
    tail_rows = (1.0 - confidence) * values.shape[1]
    return tail_mean(-np.matmul(values, weights[:, :, None])[:, :, 0], tail_rows)


@QUICK
@given(returns(), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_min_cvar_keeps_budget_and_bounds_and_closes_its_gap(values: Float, confidence: float) -> None:
    solution = min_cvar.solve(Problem(returns=values, parameters={"confidence": confidence}))
    assert not solution.failures
    assert (solution.certificate <= 1e-10).all()
    assert (solution.weights >= 0.0).all()
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, atol=1e-9)


@QUICK
@given(returns(), st.sampled_from([1e-4, 0.37, 64.0]))
def test_min_cvar_does_not_depend_on_the_unit_of_returns(values: Float, unit: float) -> None:
    plain = min_cvar.solve(Problem(returns=values)).weights
    scaled = min_cvar.solve(Problem(returns=values * unit)).weights
    np.testing.assert_allclose(scaled, plain, atol=1e-7)


@QUICK
@given(returns(), st.randoms(use_true_random=False))
def test_min_cvar_does_not_depend_on_the_order_of_assets_or_rows(values: Float, random: object) -> None:
    generator = np.random.default_rng(random.randint(0, 2**32))  # type: ignore[attr-defined]  # a random.Random
    assets, rows = generator.permutation(values.shape[2]), generator.permutation(values.shape[1])
    plain = min_cvar.solve(Problem(returns=values)).weights
    shuffled = min_cvar.solve(Problem(returns=values[:, rows][:, :, assets])).weights
    np.testing.assert_allclose(shuffled, plain[:, assets], atol=1e-7)


@QUICK
@given(returns(least_assets=2))
def test_no_single_asset_nor_equal_weights_has_less_cvar(values: Float) -> None:
    best = cvar(values, min_cvar.solve(Problem(returns=values)).weights, 0.95)
    windows, _, assets = values.shape
    for weights in [*np.eye(assets), np.full(assets, 1 / assets)]:
        assert (best <= cvar(values, np.tile(weights, (windows, 1)), 0.95) + 1e-12).all()


@QUICK
@given(returns(least_assets=2))
def test_of_two_equal_optima_the_shorter_is_taken(values: Float) -> None:
    # a copy of every asset: the shortest optimum splits each in halves, any other split is longer
    doubled = np.concatenate([values, values], axis=2)
    weights = min_cvar.solve(Problem(returns=doubled)).weights
    half = values.shape[2]
    np.testing.assert_allclose(weights[:, :half], weights[:, half:], atol=1e-7)


@QUICK
@given(returns(), st.sampled_from([1e-8, 1.0, 1e6]))
def test_risk_parity_equalises_contributions_in_any_unit(values: Float, unit: float) -> None:
    covariance = covariances(values) * unit
    solution = risk_parity.solve(Problem(covariance=covariance))
    assert not solution.failures
    assert (solution.weights > 0.0).all()
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, rtol=1e-12)
    part = solution.weights * (covariance @ solution.weights[:, :, None])[:, :, 0]
    np.testing.assert_allclose(part, part.mean(axis=1, keepdims=True) + 0 * part, rtol=1e-9)


@QUICK
@given(returns(least_assets=2), st.randoms(use_true_random=False))
def test_risk_parity_and_inverse_volatility_follow_the_order_of_assets(values: Float, random: object) -> None:
    generator = np.random.default_rng(random.randint(0, 2**32))  # type: ignore[attr-defined]  # a random.Random
    order = generator.permutation(values.shape[2])
    covariance = covariances(values)
    shuffled = covariance[:, order][:, :, order]
    for solve in (risk_parity.solve, inverse_volatility.solve):
        plain, moved = solve(Problem(covariance=covariance)), solve(Problem(covariance=shuffled))
        np.testing.assert_allclose(moved.weights, plain.weights[:, order], rtol=1e-8)


@QUICK
@given(returns(), st.sampled_from(barbell.SCORES), st.integers(1, 12), st.floats(0.0, 1.0))
def test_a_barbell_spends_its_budget_whatever_its_parameters(
    values: Float, score: str, sleeve: int, core_weight: float
) -> None:
    parameters = {"score": score, "sleeve": sleeve, "coreWeight": core_weight}
    solution = barbell.solve(Problem(returns=values, parameters=parameters), equal_weight.solve)
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, rtol=1e-12)
    held = min(sleeve, values.shape[2])
    floor = core_weight / values.shape[2]
    assert ((solution.weights > floor + (1 - core_weight) / held / 2).sum(axis=1) <= held).all()
