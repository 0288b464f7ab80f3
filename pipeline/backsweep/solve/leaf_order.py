"""The order in which a tree's leaves stand side by side, for all windows of a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from backsweep.arrays import Float, Integer

GATHERED_ASSETS = 48  # clusters of equal shape up to this size are solved together, larger ones in place, one by one
WHOLE_VALUES = 1 << 16  # float64 sums made in one array before the least of them is taken: half a MiB

__all__ = ["LeafOrder", "find_best_ends", "order_leaves", "reorder_leaves"]


class LeafOrder(NamedTuple):
    """Where each tree's leaves stand; every cluster is a run of neighbours.

    Parameters
    ----------
    leaves : (B, N) int64, the assets from left to right.
    starts : (B, 2N - 1) int64, the place of the first leaf of each cluster, by scipy's cluster ids.
    sizes : (B, 2N - 1) int64, the assets in each cluster.
    left_sizes : (B, 2N - 1) int64, those in the left one of the two clusters it was merged from; 0 for an asset.
    """

    leaves: Integer
    starts: Integer
    sizes: Integer
    left_sizes: Integer


def order_leaves(merges: Float) -> LeafOrder:
    """Lay out each tree, the first cluster of a merge to the left of the second.

    HRP halves this list, and flat clusters are runs of it: both read places instead of walking the tree.

    Parameters
    ----------
    merges : (B, N - 1, 4) float64, no NaN, as `linkage.link` returns them.

    Returns
    -------
    LeafOrder; `leaves` is scipy.cluster.hierarchy.leaves_list of each window.

    Source
    ------
    Lopez de Prado (2016), Building Diversified Portfolios that Outperform Out of Sample, section 4.2
    (quasi-diagonalization). Checked against scipy in tests/unit/test_solve_linkage.py.
    """
    windows, steps, _ = merges.shape
    assets = steps + 1
    first_cluster = np.arange(windows) * (2 * assets - 1)
    children = first_cluster + np.moveaxis(merges[:, :, :2], (1, 2), (0, 1)).astype(np.int64)
    sizes = np.ones((windows, 2 * assets - 1), dtype=np.int64)
    sizes[:, assets:] = merges[:, :, 3]
    starts = np.zeros_like(sizes)
    left_sizes = np.zeros_like(sizes)
    flat_starts, flat_sizes = starts.reshape(-1), sizes.reshape(-1)
    for step in range(steps - 1, -1, -1):
        left, right = children[step]
        start = starts[:, assets + step]
        flat_starts[left] = start
        left_sizes[:, assets + step] = flat_sizes[left]
        flat_starts[right] = start + flat_sizes[left]
    leaves = np.empty((windows, assets), dtype=np.int64)
    np.put_along_axis(leaves, starts[:, :assets], np.broadcast_to(np.arange(assets), leaves.shape), axis=1)
    return LeafOrder(leaves, starts, sizes, left_sizes)


def reorder_leaves(merges: Float, distances: Float) -> Float:
    """Turn the children of each merge so that neighbouring leaves are close, as scipy's optimal leaf order does.

    A tree of N leaves has 2^(N - 1) layouts and HRP's halves depend on which is taken. The peers take what
    scipy.cluster.hierarchy.optimal_leaf_ordering returns; so does this, for all windows at once.

    Parameters
    ----------
    merges : (B, N - 1, 4) float64, no NaN, as `linkage.link` returns them.
    distances : (B, N, N) float64, symmetric, no NaN, what they were made of.

    Returns
    -------
    (B, N - 1, 4) float64, the same merges, some with their two clusters exchanged.

    Notes
    -----
    The dynamic programme finds, for each cluster and each pair of leaves at its two ends, the least sum of distances
    between neighbours. As in scipy, a cluster's layout is then chosen by the best ends of the cluster it is merged
    into, as if that stood alone, and not by following the choices down from the root. So the sum over the whole list
    is seldom the least one (scipy issue 11227, open; it is in 2 of 100 windows of 20 stocks). Sums are float64 where
    scipy has float32, so two layouts whose sums agree to 7 digits may be told apart differently.

    Source
    ------
    Bar-Joseph, Gifford, Jaakkola (2001), Fast optimal leaf ordering for hierarchical clustering, Bioinformatics 17,
    section 3. Checked against scipy in tests/property/test_linkage_properties.py, the sums against every layout in
    tests/unit/test_solve_linkage.py.
    """
    windows, steps, _ = merges.shape
    assets = steps + 1
    if steps < 2 or windows == 0:
        return merges
    order = order_leaves(merges)
    places = np.arange(windows)[:, None] * assets + order.leaves
    ordered = np.take(distances, places[:, :, None] * assets + order.leaves[:, None, :])
    left_ends, right_ends, _ = find_best_ends(ordered, order)
    children = merges[:, :, :2].astype(np.int64)
    window = np.arange(windows)
    turned = np.zeros((windows, 2 * assets - 1), dtype=bool)
    for step in range(steps - 1, -1, -1):
        left, right = children[:, step, 0], children[:, step, 1]
        # The end of a child on the outside: in its own right half (left child) or left half (right child), it turns.
        outside_right = left_ends[:, step] >= order.left_sizes[window, left]
        outside_left = right_ends[:, step] < order.left_sizes[window, right]
        here = turned[:, assets + step]
        turned[window, left] = here ^ outside_right
        turned[window, right] = here ^ outside_left
    flipped = merges.copy()
    flipped[:, :, :2] = np.where(turned[:, assets:, None], merges[:, :, 1::-1], merges[:, :, :2])
    return flipped


def find_best_ends(ordered: Float, order: LeafOrder) -> tuple[Integer, Integer, Float]:
    """Find the two leaves at which each cluster, laid out at its shortest, begins and ends.

    Clusters of equal shape, of whatever window, are done together, the smaller before the larger.

    Parameters
    ----------
    ordered : (B, N, N) float64, no NaN, distances in the order of `order.leaves`.
    order : the trees' leaves as they stand.

    Returns
    -------
    (B, N - 1) int64, the place of the end in the left child, counted from its first leaf; the same in the right
    child; and (B, N - 1) float64, the sum of distances between neighbours, by row of the merges.

    Source
    ------
    Bar-Joseph, Gifford, Jaakkola (2001), equation 2; checked in tests/unit/test_solve_linkage.py.
    """
    windows, assets, _ = ordered.shape
    sizes, lefts = order.sizes[:, assets:].ravel(), order.left_sizes[:, assets:].ravel()
    corner = (np.arange(windows)[:, None] * assets + order.starts[:, assets:]) * assets + order.starts[:, assets:]
    corners = corner.ravel()
    # paths[u, m]: the shortest layout from u to m of the cluster that they part, while it is not yet in a larger one
    paths = np.full((windows, assets, assets), np.inf)
    paths[:, np.arange(assets), np.arange(assets)] = 0.0
    flat_paths, flat_distances = paths.reshape(-1), np.ascontiguousarray(ordered).reshape(-1)
    ends = np.empty((2, len(sizes)), dtype=np.int64)
    lengths = np.empty(len(sizes))
    shape = sizes * (assets + 1) + lefts
    by_shape = np.argsort(shape, kind="stable")
    for group in np.split(by_shape, np.flatnonzero(np.diff(shape[by_shape])) + 1):
        size, left = int(sizes[group[0]]), int(lefts[group[0]])
        joined = np.empty((len(group), left, size - left))
        if size <= GATHERED_ASSETS:
            block = corners[group, None, None] + (np.arange(size)[:, None] * assets + np.arange(size))
            joined[:] = _join(flat_paths[block], flat_distances[block], left)
            flat_paths[block] = _part(joined)
        else:
            for place, cluster in enumerate(group):
                window, start = divmod(int(corners[cluster]) // assets, assets)
                within = (slice(window, window + 1), slice(start, start + size), slice(start, start + size))
                joined[place] = _join(paths[within], ordered[within], left)[0]
                paths[within] = _part(joined[place][None])
        sums = joined.reshape(len(group), -1)
        best = sums.argmin(axis=1)
        ends[:, group] = np.divmod(best, size - left)
        lengths[group] = sums[np.arange(len(group)), best]
    return ends[0].reshape(windows, -1), ends[1].reshape(windows, -1), lengths.reshape(windows, -1)


def _join(paths: Float, distances: Float, left: int) -> Float:
    """Return (G, left, right) the shortest layouts of clusters joined from two, by their ends on the outside."""
    joined = _add_and_minimise(paths[:, :left, :left], distances[:, :left, left:])
    return _add_and_minimise(joined, paths[:, left:, left:])


def _part(joined: Float) -> Float:
    """Return `joined` as paths between the leaves of one cluster: infinite within each of its two children."""
    left, right = joined.shape[1:]
    paths = np.full((len(joined), left + right, left + right), np.inf)
    paths[:, :left, left:] = joined
    paths[:, left:, :left] = np.swapaxes(joined, 1, 2)
    return paths


def _add_and_minimise(first: Float, second: Float) -> Float:
    """Return min over j of first[:, i, j] + second[:, j, k]: (G, I, J) and (G, J, K) to (G, I, K)."""
    outer, inner = first.shape[1:]
    least: Float
    if inner == 1:
        least = first + second
    elif first.size * second.shape[2] <= WHOLE_VALUES:
        least = (first[:, :, :, None] + second[:, None]).min(axis=2)
    elif outer < inner:
        least = np.stack([(first[:, row, :, None] + second).min(axis=1) for row in range(outer)], axis=1)
    else:
        least = first[:, :, 0, None] + second[:, 0, None]
        for middle in range(1, inner):
            np.minimum(least, first[:, :, middle, None] + second[:, middle, None], out=least)
    return least
