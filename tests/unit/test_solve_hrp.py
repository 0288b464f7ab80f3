"""Hierarchical risk parity against a slow loop, by hand, and where it has no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster import hierarchy

from backsweep.arrays import Float
from backsweep.errors import InvariantError, UserError
from backsweep.solve.hierarchy import cluster_risks, correlation_distances, inverse_risks
from backsweep.solve.hrp import solve
from backsweep.solve.linkage import METHODS
from backsweep.solve.problem import Constraints, Problem


def random_covariances(windows: int, assets: int, rows: int, seed: int) -> Float:
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((windows, assets, assets)) * generator.uniform(0.5, 4, assets)
    returns = 0.01 * generator.standard_normal((windows, rows, assets)) @ mixing
    return np.stack([np.cov(window, rowvar=False) for window in returns])


def slow_weights(covariance: Float, method: str, optimal: bool, risk: str) -> Float:
    """Return one window's weights by the plainest recursion over lists."""
    deviations = np.sqrt(np.diag(covariance))
    distances = np.sqrt(np.clip((1 - covariance / np.outer(deviations, deviations)) / 2, 0, 1))
    above = distances[np.triu_indices(len(deviations), 1)]
    tree = hierarchy.linkage(above, method, optimal_ordering=optimal)

    def risk_of(cluster: list[int]) -> float:
        inverse = 1 / deviations[cluster] ** (2 if risk == "variance" else 1)
        weights = inverse / inverse.sum()
        variance = float(weights @ covariance[np.ix_(cluster, cluster)] @ weights)
        return variance if risk == "variance" else variance**0.5

    weights = np.ones(len(deviations))
    clusters = [[int(leaf) for leaf in hierarchy.leaves_list(tree)]]
    while clusters:
        cluster = clusters.pop()
        if len(cluster) > 1:
            left, right = cluster[: len(cluster) // 2], cluster[len(cluster) // 2 :]
            alpha = 1 - risk_of(left) / (risk_of(left) + risk_of(right))
            weights[left] *= alpha
            weights[right] *= 1 - alpha
            clusters += [left, right]
    return weights


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimal", [False, True])
@pytest.mark.parametrize("risk", ["variance", "std"])
def test_all_windows_at_once_are_the_plain_recursion_on_each(method: str, optimal: bool, risk: str) -> None:
    for assets in (2, 3, 7, 20):
        covariance = random_covariances(6, assets, 60, seed=assets)
        covariance.flags.writeable = False
        parameters = {"linkage": method, "leafOrder": optimal, "risk": risk}
        solution = solve(Problem(covariance=covariance, parameters=parameters))
        expected = [slow_weights(window, method, optimal, risk) for window in covariance]
        np.testing.assert_allclose(solution.weights, expected, rtol=0, atol=1e-14)
        assert np.isnan(solution.certificate).all()
        assert solution.failures == {}


def test_the_defaults_are_single_linkage_plain_order_and_variance() -> None:
    covariance = random_covariances(3, 11, 40, seed=1)
    given = {"linkage": "single", "leafOrder": False, "risk": "variance"}
    plain = solve(Problem(covariance=covariance)).weights
    assert plain.tobytes() == solve(Problem(covariance=covariance, parameters=given)).weights.tobytes()


def test_three_assets_by_hand() -> None:
    # variances 1, 4, 1; 0 and 2 correlate at 0.5: leaves 1, then 0 and 2 (asset ids before cluster ids)
    covariance = np.array([[[1.0, 0.0, 0.5], [0.0, 4.0, 0.0], [0.5, 0.0, 1.0]]])
    pair = 0.25 + 0.25 + 2 * 0.25 * 0.5  # variance of halves of 0 and 2
    alone = pair / (4 + pair)
    expected = [(1 - alone) / 2, alone, (1 - alone) / 2]
    np.testing.assert_allclose(solve(Problem(covariance=covariance)).weights[0], expected, rtol=1e-15)


def test_one_asset_is_held_whole_even_if_it_never_moves() -> None:
    solution = solve(Problem(covariance=np.array([[[0.04]], [[0.0]]])))
    np.testing.assert_array_equal(solution.weights, [[1.0], [1.0]])
    assert solution.failures == {}


def test_identical_assets_are_at_distance_zero_and_share_what_one_would_get() -> None:
    single = random_covariances(5, 3, 50, seed=2)
    doubled = single[:, [0, 1, 2, 2]][:, :, [0, 1, 2, 2]]
    assert (correlation_distances(doubled)[:, 2, 3] == 0).all()
    weights = solve(Problem(covariance=doubled)).weights
    np.testing.assert_allclose(weights[:, 2], weights[:, 3], rtol=1e-14)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)


def test_more_assets_than_rows_has_an_answer() -> None:
    weights = solve(Problem(covariance=random_covariances(4, 30, 10, seed=3))).weights
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-13)


@pytest.mark.parametrize("residue", [0.0, 1e-36])
def test_a_constant_asset_fails_its_own_window_only(residue: float) -> None:
    covariance = random_covariances(3, 4, 50, seed=4)
    sound = solve(Problem(covariance=covariance)).weights
    covariance[1, 2, :] = covariance[1, :, 2] = 0.0
    covariance[1, 2, 2] = residue
    solution = solve(Problem(covariance=covariance))
    assert list(solution.failures) == [1]
    assert "variance is zero" in solution.failures[1]
    assert np.isnan(solution.weights[1]).all()
    np.testing.assert_array_equal(solution.weights[[0, 2]], sound[[0, 2]])


def test_a_perfectly_hedged_half_takes_the_whole_budget() -> None:
    # single linkage joins 62 and 119 degrees, then 180, then 0: the first half of the leaves is 0 and 180 degrees
    angles = np.deg2rad([0.0, 180.0, 62.0, 119.0])
    covariance = np.cos(angles[:, None] - angles)[None]
    for risk in ("variance", "std"):
        solution = solve(Problem(covariance=covariance, parameters={"risk": risk}))
        np.testing.assert_array_equal(solution.weights[0], [0.5, 0.5, 0, 0])


def test_two_halves_without_any_risk_are_a_named_failure() -> None:
    # not positive semidefinite, as a Gerber covariance can be: every pair is a perfect hedge
    covariance = np.stack([np.eye(4), 2 * np.eye(4) - 1])
    solution = solve(Problem(covariance=covariance))
    assert list(solution.failures) == [1]
    assert "both perfectly hedged" in solution.failures[1]
    np.testing.assert_array_equal(solution.weights, [[0.25] * 4, [np.nan] * 4])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"linkage": "median"}, "linkage: 'median' is not known; it must be one of single, average, complete, ward"),
        ({"risk": "cvar"}, "risk: 'cvar' is not known; it must be one of variance, std"),
    ],
)
def test_an_unknown_parameter_is_named(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        solve(Problem(covariance=np.eye(3)[None], parameters=parameters))
    with pytest.raises(InvariantError, match="no covariance"):
        solve(Problem())


def test_constraints_are_met_by_the_nearest_weights() -> None:
    covariance = random_covariances(4, 5, 50, seed=6)
    covariance[3, 0, :] = covariance[3, :, 0] = 0.0
    free = solve(Problem(covariance=covariance)).weights
    capped = Constraints(
        lower=np.zeros(5),
        upper=np.full(5, 0.25),
        net=1.0,
        gross=None,
        groups=np.zeros((0, 5)),
        group_lower=np.zeros(0),
        group_upper=np.zeros(0),
        beta_tolerance=None,
        turnover_limit=None,
    )
    solution = solve(Problem(covariance=covariance, constraints=capped))
    assert list(solution.failures) == [3]
    assert np.isnan(solution.weights[3]).all()
    assert np.nanmax(solution.certificate) < 1e-10
    impossible = solve(Problem(covariance=covariance, constraints=replace(capped, upper=np.full(5, 0.1))))
    assert sorted(impossible.failures) == [0, 1, 2, 3]
    assert "variance is zero" in impossible.failures[3]
    assert "variance" not in impossible.failures[0]
    for row in range(3):
        shift = np.linspace(-1, 1, 2_000_001)[:, None]  # nearest: min(max(w + shift, 0), cap), summing to 1
        sums = np.clip(free[row] + shift, 0, 0.25).sum(axis=1)
        expected = np.clip(free[row] + shift[np.abs(sums - 1).argmin()], 0, 0.25)
        np.testing.assert_allclose(solution.weights[row], expected, rtol=0, atol=2e-6)


def test_a_window_has_the_same_bytes_in_any_company() -> None:
    covariance = random_covariances(9, 20, 60, seed=7)
    parameters = {"linkage": "average", "leafOrder": True}
    together = solve(Problem(covariance=covariance, parameters=parameters)).weights
    alone = [solve(Problem(covariance=covariance[[row]], parameters=parameters)).weights for row in range(9)]
    assert together.tobytes() == np.concatenate(alone).tobytes()


def test_distances_risks_and_cluster_risks_by_hand() -> None:
    covariance = np.array([[[4.0, -2.0, 6.0], [-2.0, 1.0, -1.5], [6.0, -1.5, 9.0]]])
    expected = np.sqrt((1 - np.array([[1, -1, 1], [-1, 1, -0.5], [1, -0.5, 1]])) / 2)
    np.testing.assert_allclose(correlation_distances(covariance)[0], expected, rtol=1e-15)
    np.testing.assert_allclose(inverse_risks(covariance, "variance")[0], [1 / 4, 1, 1 / 9], rtol=1e-15)
    np.testing.assert_allclose(inverse_risks(covariance, "std")[0], [1 / 2, 1, 1 / 3], rtol=1e-15)
    total, square, bound = np.full(2, 2.0), np.array([3.0, 1e-15]), np.full(2, 4.0)
    np.testing.assert_array_equal(cluster_risks(total, square, bound, "variance"), [0.75, 0.0])
    np.testing.assert_array_equal(cluster_risks(total, square, bound, "std"), [0.75**0.5, 0.0])
