"""Flat clusters of each window, cut from its tree: the one partition that HERC and NCO share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.solve.hierarchy import correlation_distances
from backsweep.solve.leaf_order import LeafOrder, order_leaves
from backsweep.solve.linkage import link
from backsweep.solve.problem import Shared

__all__ = ["Clusters", "find_clusters", "most_clusters", "shared_clusters", "sum_by_cluster", "tree_of"]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of each window, numbered from left to right in its tree.

    Parameters
    ----------
    count : (B,) int64, how many; at most M = `most_clusters(N)`.
    labels : (B, N) int64, the cluster of each asset, 0 .. count - 1.
    splits : (B, M - 1, 3) int64, the tree above the clusters from the root down: split s < count - 1 parts clusters
        start .. stop - 1 into start .. middle - 1 and the rest. Those from count - 1 on are cut off; they say nothing.
    """

    count: Integer
    labels: Integer
    splits: Integer

    def members(self) -> Boolean:
        """Return (B, M, N) whether each asset is in each cluster; a cluster that does not exist is empty."""
        found: Boolean = self.labels[:, None, :] == np.arange(self.splits.shape[1] + 1)[:, None]
        return found


def most_clusters(assets: int) -> int:
    """Return how many clusters are considered at most: max(8, sqrt(N)), but no more than N.

    Parameters
    ----------
    assets : N.

    Source
    ------
    The bound of skfolio and Riskfolio-Lib for the same statistic; checked in tests/unit/test_solve_herc.py.
    """
    return min(assets, max(8, round(math.sqrt(assets))))


def find_clusters(distances: Float, merges: Float) -> Clusters:
    """Cut each window's tree where the dispersion within clusters has its sharpest elbow.

    The gap statistic compares that dispersion with random reference data. The two-order difference puts the curve's
    own neighbours in the reference's place: no random number, so the same clusters on every machine.

    Parameters
    ----------
    distances : (B, N, N) float64, no NaN, Euclidean (as sqrt((1 - rho) / 2) is).
    merges : (B, N - 1, 4) float64, their tree (`linkage.link`).

    Returns
    -------
    Clusters; the count k = 2 .. M - 1 that maximises W(k - 1) - 2 W(k) + W(k + 1), the smallest of equal ones, where
    W(k) = sum over the k clusters of sum_ij d_ij^2 / (2 n), n the cluster's assets. Fewer than three assets are one
    cluster.

    Notes
    -----
    With squared Euclidean distances W is the pooled sum of squares around the clusters' centres; under Ward's
    linkage W(k) - W(k + 1) is half the squared height of the merge that parts them.

    Source
    ------
    Yue, Wang, Wei (2009), Application of two-order difference to gap statistic, Transactions of Tianjin University
    15; Tibshirani, Walther, Hastie (2001), Estimating the number of clusters in a data set via the gap statistic,
    JRSS B 63, equation 2 (W, and d^2 as the distance). Checked in tests/unit/test_solve_herc.py.
    """
    windows, assets, _ = distances.shape
    order = order_leaves(merges)
    most = most_clusters(assets)
    # Clusters in the order the tree parts them from the root: split s parts cluster id 2N - 2 - s.
    parents = 2 * assets - 2 - np.arange(most - 1)
    runs = _part_runs(order, parents)
    if most < 3:
        count = np.ones(windows, dtype=np.int64)
    else:
        drops = _dispersion_drops(_order_squares(distances, order.leaves), runs)
        count = 2 + np.argmax(drops[:, :-1] - drops[:, 1:], axis=1)
    kept = np.arange(most - 1) < (count - 1)[:, None]
    middles = np.where(kept, runs[:, :, 1], assets)
    cluster_of_place = (middles[:, :, None] <= np.arange(assets)).sum(axis=1)
    labels = np.empty((windows, assets), dtype=np.int64)
    np.put_along_axis(labels, order.leaves, cluster_of_place, axis=1)
    first_last = runs - np.array([0, 0, 1])
    splits = cluster_of_place[np.arange(windows)[:, None, None], first_last] + np.array([0, 0, 1])
    return Clusters(count, labels, splits)


def tree_of(covariance: Float, shared: Shared, linkage: str) -> tuple[Float, Float]:
    """Return the correlation distances (B, N, N) and their tree, which all trees of a batch share.

    Parameters
    ----------
    covariance : (B, N, N) float64, no NaN, positive variances.
    shared : of the batch.
    linkage : one of `linkage.METHODS`.

    Source
    ------
    Definition; that sharing changes no byte is checked in tests/unit/test_solve_unit.py.
    """
    distances = shared.once(covariance, "distances", partial(correlation_distances, covariance))
    return distances, shared.once(covariance, f"tree {linkage}", partial(link, distances, linkage))


def shared_clusters(covariance: Float, shared: Shared, linkage: str) -> Clusters:
    """Return the clusters of each window's tree, which HERC and NCO share.

    Parameters
    ----------
    covariance : (B, N, N) float64, no NaN, positive variances.
    shared : of the batch.
    linkage : one of `linkage.METHODS`.

    Source
    ------
    As `find_clusters`; that sharing changes no byte is checked in tests/unit/test_solve_unit.py.
    """
    distances, merges = tree_of(covariance, shared, linkage)
    return shared.once(covariance, f"clusters {linkage}", partial(find_clusters, distances, merges))


def sum_by_cluster(values: Float, clusters: Clusters) -> Float:
    """Sum the assets' `values` in each cluster.

    Parameters
    ----------
    values : (B, N) float64, no NaN.
    clusters : of the same B windows and N assets, at most M clusters.

    Returns
    -------
    (B, M) float64, 0 for a cluster that does not exist.

    Source
    ------
    Definition; checked in tests/unit/test_solve_herc.py.
    """
    windows, most = len(values), clusters.splits.shape[1] + 1
    places = np.arange(windows)[:, None] * most + clusters.labels
    sums = np.bincount(places.ravel(), weights=values.ravel(), minlength=windows * most)
    return sums.reshape(windows, most).astype(np.float64, copy=False)


def _part_runs(order: LeafOrder, parents: Integer) -> Integer:
    """Return (B, M - 1, 3) places at which each of the `parents` starts, is parted and stops."""
    start = order.starts[:, parents]
    stop = start + order.sizes[:, parents]
    return np.stack([start, start + order.left_sizes[:, parents], stop], axis=2)


def _order_squares(distances: Float, leaves: Integer) -> Float:
    """Return (B, N + 1, N + 1) sums of squared distances over all places before (i, j)."""
    windows, assets, _ = distances.shape
    places = (np.arange(windows)[:, None] * assets + leaves)[:, :, None] * assets + leaves[:, None, :]
    sums = np.zeros((windows, assets + 1, assets + 1))
    squares = sums[:, 1:, 1:]
    squares[:] = np.take(distances, places)
    np.square(squares, out=squares)
    np.cumsum(squares, axis=1, out=squares)
    np.cumsum(squares, axis=2, out=squares)
    return sums


def _dispersion_drops(sums: Float, runs: Integer) -> Float:
    """Return (B, M - 1) by how much each split from the root down lowers the dispersion."""

    def dispersion(start: Integer, stop: Integer) -> Float:
        window = np.arange(len(sums))[:, None]
        inside = sums[window, stop, stop] - sums[window, start, stop] - sums[window, stop, start]
        inside += sums[window, start, start]
        return inside / (2.0 * (stop - start))

    start, middle, stop = runs[:, :, 0], runs[:, :, 1], runs[:, :, 2]
    return dispersion(start, stop) - dispersion(start, middle) - dispersion(middle, stop)
