"""Flat clusters and hierarchical equal risk contribution against plain loops over scipy's trees."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster import hierarchy

from backsweep.arrays import Float
from backsweep.errors import UserError
from backsweep.solve.clusters import find_clusters, most_clusters, sum_by_cluster
from backsweep.solve.herc import solve
from backsweep.solve.hierarchy import correlation_distances
from backsweep.solve.linkage import METHODS, link
from backsweep.solve.problem import Problem


def random_covariances(windows: int, assets: int, rows: int, seed: int) -> Float:
    """Return sample covariances of assets that load on four factors."""
    generator = np.random.default_rng(seed)
    factors = generator.standard_normal((windows, rows, 4))
    loadings = np.eye(4)[generator.integers(0, 4, assets)].T * generator.uniform(0.5, 2, assets)
    returns = factors @ loadings + generator.standard_normal((windows, rows, assets))
    return np.stack([np.cov(window, rowvar=False) for window in 0.01 * returns])


def dispersions(distances: Float, tree: Float) -> list[float]:
    """Return W(1), W(2), ... of one window by the definition."""
    cuts = hierarchy.cut_tree(tree)
    found = []
    for count in range(1, most_clusters(len(distances)) + 1):
        labels = cuts[:, len(distances) - count]
        groups = [distances[np.ix_(labels == label, labels == label)] for label in range(count)]
        found.append(sum((group**2).sum() / (2 * len(group)) for group in groups))
    return found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("assets", [3, 5, 20, 70])
def test_the_clusters_are_cut_at_the_sharpest_elbow_of_the_dispersion(method: str, assets: int) -> None:
    distances = correlation_distances(random_covariances(12, assets, 60, seed=assets))
    clusters = find_clusters(distances, link(distances, method))
    for row, tree in enumerate(link(distances, method)):
        curve = np.array(dispersions(distances[row], tree))
        count = 2 + np.argmax(curve[:-2] - 2 * curve[1:-1] + curve[2:])
        assert clusters.count[row] == count
        theirs = hierarchy.cut_tree(tree, n_clusters=count)[:, 0]
        pairs = set(zip(theirs, clusters.labels[row], strict=True))
        assert len(pairs) == count == len({ours for _, ours in pairs})
    if assets >= 20:
        assert len(set(clusters.count)) > 1


def test_with_ward_linkage_a_drop_in_dispersion_is_half_the_squared_height() -> None:
    distances = correlation_distances(random_covariances(5, 20, 60, seed=1))
    for window, tree in zip(distances, link(distances, "ward"), strict=True):
        drops = -np.diff(dispersions(window, tree))
        np.testing.assert_allclose(drops, tree[:-8:-1, 2] ** 2 / 2, rtol=1e-10)


def test_at_most_the_root_of_the_assets_or_eight_clusters_are_considered() -> None:
    assert [most_clusters(assets) for assets in (1, 7, 8, 64, 100, 500)] == [1, 7, 8, 8, 10, 22]


def test_values_are_summed_by_cluster_from_left_to_right() -> None:
    distances = np.ones((1, 5, 5)) - np.kron(np.eye(5), 1)
    distances[0, :2, :2] = distances[0, 2:, 2:] = 0.1
    clusters = find_clusters(distances, link(distances, "average"))
    assert clusters.count[0] == 2
    np.testing.assert_array_equal(clusters.labels, [[0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(clusters.splits[0, 0], [0, 1, 2])
    sums = sum_by_cluster(np.array([[1.0, 2, 4, 8, 16]]), clusters)
    np.testing.assert_array_equal(sums, [[3, 28, 0, 0, 0]])
    np.testing.assert_array_equal(clusters.members()[0, :2], [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]])


def test_no_more_than_two_assets_are_one_cluster() -> None:
    for assets in (1, 2):
        clusters = find_clusters(np.ones((2, assets, assets)), link(np.ones((2, assets, assets)), "ward"))
        np.testing.assert_array_equal(clusters.count, [1, 1])
        np.testing.assert_array_equal(clusters.labels, np.zeros((2, assets)))


def slow_weights(covariance: Float, method: str, risk: str) -> Float:
    """Return one window's weights by walking scipy's tree down to the clusters."""
    distances = correlation_distances(covariance[None])
    found = find_clusters(distances, link(distances, method))
    count = int(found.count[0])
    deviations = np.sqrt(np.diag(covariance))
    weights = np.zeros(len(deviations))

    def naive(leaves: list[int]) -> tuple[Float, float]:
        inverse = deviations[leaves] ** (-2.0 if risk == "variance" else -1.0)
        inverse /= inverse.sum()
        variance = float(inverse @ covariance[np.ix_(leaves, leaves)] @ inverse)
        return inverse, variance if risk == "variance" else variance**0.5

    def is_cluster(node: hierarchy.ClusterNode) -> bool:
        return int(node.id) <= 2 * len(deviations) - 1 - count

    def risk_of(node: hierarchy.ClusterNode) -> float:
        if is_cluster(node):
            return naive(node.pre_order())[1]
        return risk_of(node.get_left()) + risk_of(node.get_right())

    def give(node: hierarchy.ClusterNode, budget: float) -> None:
        if is_cluster(node):
            weights[node.pre_order()] = budget * naive(node.pre_order())[0]
            return
        left, right = risk_of(node.get_left()), risk_of(node.get_right())
        give(node.get_left(), budget * (1 - left / (left + right)))
        give(node.get_right(), budget * (1 - right / (left + right)))

    give(hierarchy.to_tree(link(distances, method)[0]), 1.0)
    return weights


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("risk", ["variance", "std"])
def test_all_windows_at_once_are_the_walk_down_each_tree(method: str, risk: str) -> None:
    for assets in (2, 3, 9, 20):
        covariance = random_covariances(8, assets, 60, seed=assets)
        covariance.flags.writeable = False
        solution = solve(Problem(covariance=covariance, parameters={"linkage": method, "risk": risk}))
        expected = [slow_weights(window, method, risk) for window in covariance]
        np.testing.assert_allclose(solution.weights, expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(solution.weights.sum(axis=1), 1, rtol=1e-14)
        assert solution.failures == {}


def test_the_default_is_ward_and_variance() -> None:
    covariance = random_covariances(3, 12, 60, seed=2)
    given = {"linkage": "ward", "risk": "variance"}
    plain = solve(Problem(covariance=covariance)).weights
    assert plain.tobytes() == solve(Problem(covariance=covariance, parameters=given)).weights.tobytes()


def test_two_blocks_by_hand_give_the_riskier_the_smaller_share() -> None:
    calm = 1.0 * (0.5 * np.eye(2) + 0.5)  # inverse variance: halves, variance 0.75
    wild = 4.0 * (0.4 * np.eye(3) + 0.6)  # thirds, variance 4 (1 + 2 * 0.6) / 3
    covariance = np.zeros((1, 5, 5))
    covariance[0, :2, :2], covariance[0, 2:, 2:] = calm, wild
    share = (4 * 2.2 / 3) / (0.75 + 4 * 2.2 / 3)
    expected = [share / 2] * 2 + [(1 - share) / 3] * 3
    np.testing.assert_allclose(solve(Problem(covariance=covariance)).weights[0], expected, rtol=1e-14)


def test_what_has_no_answer_is_named_and_spares_the_others() -> None:
    # not positive semidefinite, as a Gerber covariance can be: two clusters of three without any variance
    hedged = 1.5 * np.eye(6) - 1 + 0.5 * np.kron(np.eye(2), np.ones((3, 3)))
    covariance = np.stack([np.eye(6), hedged, np.diag([1.0, 1, 0, 1, 1, 1])])
    solution = solve(Problem(covariance=covariance))
    assert sorted(solution.failures) == [1, 2]
    assert "both perfectly hedged" in solution.failures[1]
    assert "variance is zero" in solution.failures[2]
    np.testing.assert_allclose(solution.weights[0].sum(), 1)
    nothing = solve(Problem(covariance=np.zeros((2, 3, 3))))
    assert sorted(nothing.failures) == [0, 1]
    with pytest.raises(UserError, match="linkage: 'median' is not known"):
        solve(Problem(covariance=covariance, parameters={"linkage": "median"}))


def test_a_window_has_the_same_bytes_in_any_company() -> None:
    covariance = random_covariances(9, 20, 60, seed=3)
    together = solve(Problem(covariance=covariance)).weights
    alone = [solve(Problem(covariance=covariance[[row]])).weights for row in range(9)]
    assert together.tobytes() == np.concatenate(alone).tobytes()
