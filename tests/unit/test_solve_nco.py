"""Nested clustered optimisation against its stages solved one cluster at a time by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from backsweep.arrays import Boolean, Float
from backsweep.errors import UserError
from backsweep.solve import nco
from backsweep.solve.clusters import shared_clusters
from backsweep.solve.linkage import METHODS
from backsweep.solve.nco import solve
from backsweep.solve.nonnegative_qp import solve_nonnegative
from backsweep.solve.problem import Problem, Shared


def random_covariances(windows: int, assets: int, rows: int, seed: int) -> Float:
    """Return sample covariances of assets that load on three factors, some of them steeply."""
    generator = np.random.default_rng(seed)
    factors = generator.standard_normal((windows, rows, 3))
    loadings = np.eye(3)[generator.integers(0, 3, assets)].T * generator.uniform(0.5, 3, assets)
    returns = factors @ loadings + generator.standard_normal((windows, rows, assets))
    return np.stack([np.cov(window, rowvar=False) for window in 0.01 * returns])


def least_variance(covariance: Float) -> Float:
    """Return the long-only weights of least variance: the best of all sets of assets held."""
    best, best_variance = np.zeros(len(covariance)), np.inf
    for size in range(1, len(covariance) + 1):
        for held in itertools.combinations(range(len(covariance)), size):
            part = np.linalg.solve(covariance[np.ix_(held, held)], np.ones(size))
            part /= part.sum()
            variance = float(part @ covariance[np.ix_(held, held)] @ part)
            if (part >= 0).all() and variance < best_variance:
                best, best_variance = np.zeros(len(covariance)), variance
                best[list(held)] = part
    return best


def slow_weights(covariance: Float, method: str) -> Float:
    found = shared_clusters(covariance[None], Shared(), method)
    within = np.zeros((len(covariance), int(found.count[0])))
    for cluster in range(int(found.count[0])):
        held = np.flatnonzero(found.labels[0] == cluster)
        within[held, cluster] = least_variance(covariance[np.ix_(held, held)])
    weights: Float = within @ least_variance(within.T @ covariance @ within)
    return weights


@pytest.mark.parametrize("method", METHODS)
def test_all_windows_at_once_are_the_stages_one_by_one(method: str) -> None:
    for assets in (2, 3, 9):
        covariance = random_covariances(6, assets, 60, seed=assets)
        covariance.flags.writeable = False
        solution = solve(Problem(covariance=covariance, parameters={"linkage": method}))
        expected = [slow_weights(window, method) for window in covariance]
        np.testing.assert_allclose(solution.weights, expected, rtol=0, atol=1e-12)
        assert solution.certificate.max() < 1e-12
        assert solution.failures == {}
    assert (solution.weights == 0).any()  # the bounds matter


def test_the_default_is_ward() -> None:
    covariance = random_covariances(3, 12, 60, seed=2)
    plain = solve(Problem(covariance=covariance)).weights
    given = solve(Problem(covariance=covariance, parameters={"linkage": "ward"})).weights
    assert plain.tobytes() == given.tobytes()


def test_the_scale_of_one_cluster_neither_blurs_another_nor_hides_its_residual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scale = np.where(np.arange(9) < 4, 1e-7, 1.0)
    covariance = random_covariances(4, 9, 60, seed=3) * scale[:, None] * scale
    linears: list[Float] = []

    def record(matrix: Float, linear: Float) -> tuple[Float, Float, Boolean]:
        linears.append(linear)
        return solve_nonnegative(matrix, linear)

    monkeypatch.setattr(nco, "solve_nonnegative", record)
    solution = solve(Problem(covariance=covariance))
    expected = [slow_weights(window, "ward") for window in covariance]
    np.testing.assert_allclose(solution.weights, expected, rtol=1e-9, atol=1e-14)
    # the residual is relative to the largest linear / sigma: it must be the same in each cluster
    labels = shared_clusters(covariance, Shared(), "ward").labels
    per_risk = linears[0] / np.sqrt(np.einsum("bii->bi", covariance))
    for row, label in itertools.product(range(4), range(2)):
        assert per_risk[row, labels[row] == label].max() == pytest.approx(1, rel=1e-12)


def test_one_asset_is_held_whole_and_copies_share() -> None:
    np.testing.assert_array_equal(solve(Problem(covariance=np.array([[[0.0]], [[4.0]]]))).weights, [[1], [1]])
    single = random_covariances(3, 5, 60, seed=4)
    doubled = single[:, [0, 1, 2, 3, 4, 4]][:, :, [0, 1, 2, 3, 4, 4]]
    solution = solve(Problem(covariance=doubled))
    assert solution.failures == {}
    np.testing.assert_allclose(solution.weights[:, 4], solution.weights[:, 5], rtol=1e-6, atol=1e-12)


def test_more_assets_than_rows_has_an_answer_or_says_why_not() -> None:
    solution = solve(Problem(covariance=random_covariances(6, 30, 12, seed=5)))
    for row, weights in enumerate(solution.weights):
        if row in solution.failures:
            assert "no certified solution" in solution.failures[row]
        else:
            assert weights.sum() == pytest.approx(1, abs=1e-12)
            assert weights.min() >= 0


def test_what_has_no_answer_is_named_and_spares_the_others() -> None:
    covariance = np.stack([np.eye(5), 2 * np.eye(5) - 1, np.diag([1.0, 1, 0, 1, 1])])
    solution = solve(Problem(covariance=covariance))
    assert sorted(solution.failures) == [1, 2]
    assert "no certified solution" in solution.failures[1]
    assert "variance is zero" in solution.failures[2]
    np.testing.assert_allclose(solution.weights[0], 0.2)
    with pytest.raises(UserError, match="linkage: 'median' is not known"):
        solve(Problem(covariance=covariance, parameters={"linkage": "median"}))


def test_a_window_has_the_same_answer_in_any_company_and_the_same_bytes_in_the_same() -> None:
    covariance = random_covariances(9, 20, 60, seed=6)
    together = solve(Problem(covariance=covariance)).weights
    assert together.tobytes() == solve(Problem(covariance=covariance)).weights.tobytes()
    alone = [solve(Problem(covariance=covariance[[row]])).weights for row in range(9)]
    np.testing.assert_allclose(np.concatenate(alone), together, rtol=0, atol=1e-13)
