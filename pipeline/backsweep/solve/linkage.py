"""Agglomerative clustering of many windows at once: distances to the merges scipy would report.

Every window makes its k-th merge in the same pass over the batch, so that the N - 1 passes cost a few array
operations each instead of a Python call a window.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backsweep.arrays import Float, Integer
from backsweep.errors import InvariantError, UserError

__all__ = ["METHODS", "link"]

METHODS = ("single", "average", "complete", "ward")

# Up to so many assets the passes over a batch of 32 MiB are faster than scipy's calls, and need no import. The
# choice depends on N alone, so that a window's tree never depends on its company.
BATCHED_ASSETS = 64


def link(distances: Float, method: str) -> Float:
    """Merge the closest clusters of each window until one is left.

    The tree is what HRP orders by, and what HERC and NCO cut; it is given as scipy gives it, so that anything that
    reads scipy's trees reads these.

    Parameters
    ----------
    distances : (B, N, N) float64, no NaN, N >= 1; only the part above the diagonal is read.
    method : single, average, complete or ward. Ward's needs Euclidean distances, as sqrt((1 - rho) / 2) is.

    Returns
    -------
    (B, N - 1, 4) float64: the ids of the two clusters merged (smaller first; assets are 0 .. N - 1, the cluster of
    row k is N + k), the height of the merge, the assets in it. Heights do not fall from row to row.

    Raises
    ------
    UserError
        If `method` is not one of `METHODS`.

    Notes
    -----
    Single linkage is Prim's minimum spanning tree from the first asset and equals scipy's matrix to the last bit,
    ties included. The others merge the closest pair by the Lance-Williams recurrence: the same tree as scipy's
    nearest-neighbour chain, heights to rounding, wherever no two candidate heights are equal. Of equally close pairs
    the first by column order is merged (a merged cluster stands in the later of its two columns). Beyond
    `BATCHED_ASSETS` assets scipy.cluster does the work, window by window, and its order of ties holds.

    Source
    ------
    Lance, Williams (1967), A General Theory of Classificatory Sorting Strategies, table 1; Prim (1957); Muellner
    (2011), Modern hierarchical, agglomerative clustering algorithms. Checked against scipy in
    tests/property/test_linkage_properties.py.
    """
    if method not in METHODS:
        raise UserError(f"linkage: {method!r} is not known; it must be one of {', '.join(METHODS)}")
    if distances.ndim != 3 or distances.shape[1] != distances.shape[2] or distances.shape[1] == 0:
        raise InvariantError(f"distances must be (B, N, N) with N >= 1, not {distances.shape}")
    assets = distances.shape[1]
    if assets == 1 or len(distances) == 0:
        return np.empty((len(distances), assets - 1, 4))
    if assets > BATCHED_ASSETS:
        return _link_by_scipy(distances, method)
    square = _mirror_upper(distances)
    return _span(square) if method == "single" else _merge_closest(square, method)


def _mirror_upper(distances: Float) -> Float:
    """Return a symmetric copy (in C order) of the part above the diagonal, with infinity on the diagonal."""
    assets = distances.shape[1]
    square = np.empty(distances.shape)
    square[:] = distances
    np.copyto(square, np.swapaxes(distances, 1, 2), where=np.tri(assets, k=-1, dtype=bool))
    square[:, np.arange(assets), np.arange(assets)] = np.inf
    return square


def _span(square: Float) -> Float:
    """Return single linkage: the edges of each window's minimum spanning tree by length, as merges."""
    windows, assets, _ = square.shape
    first_row = np.arange(windows) * assets
    rows = square.reshape(windows * assets, assets)
    reach = np.full((windows, assets), np.inf)
    flat_reach = reach.reshape(-1)
    flat_outside = np.zeros(windows * assets)
    outside = flat_outside.reshape(windows, assets)
    current = np.zeros(windows, dtype=np.int64)
    edges = np.empty((2, windows, assets - 1), dtype=np.int64)
    heights = np.empty((windows, assets - 1))
    for step in range(assets - 1):
        flat_outside[first_row + current] = np.inf
        np.minimum(reach, rows[first_row + current], out=reach)
        nearest = (reach + outside).argmin(axis=1)
        edges[0, :, step] = current
        edges[1, :, step] = nearest
        heights[:, step] = flat_reach[first_row + nearest]
        current = nearest
    order = heights.argsort(axis=1, kind="stable")
    return _name_clusters(np.take_along_axis(edges, order[None], axis=2), np.take_along_axis(heights, order, axis=1))


def _name_clusters(edges: Integer, heights: Float) -> Float:
    """Return the merges that `edges` (2, B, N - 1), joining assets in this order, make."""
    windows, steps = heights.shape
    assets = steps + 1
    first_asset = np.arange(windows) * assets
    first_cluster = np.arange(windows) * (2 * assets - 1)
    cluster = np.tile(np.arange(assets), (windows, 1))
    sizes = np.ones(windows * (2 * assets - 1))
    merges = np.empty((windows, steps, 4))
    merges[:, :, 2] = heights
    for step in range(steps):
        flat = cluster.reshape(-1)
        left = flat[first_asset + edges[0, :, step]]
        right = flat[first_asset + edges[1, :, step]]
        joined = (cluster == left[:, None]) | (cluster == right[:, None])
        cluster = np.where(joined, assets + step, cluster)
        size = sizes[first_cluster + left] + sizes[first_cluster + right]
        sizes[first_cluster + assets + step] = size
        merges[:, step, 0] = np.minimum(left, right)
        merges[:, step, 1] = np.maximum(left, right)
        merges[:, step, 3] = size
    return merges


def _merge_closest(square: Float, method: str) -> Float:
    """Return the merges of each window's closest pair, N - 1 times; `square` is used up."""
    windows, assets, _ = square.shape
    if method == "ward":
        np.square(square, out=square)  # the recurrence is linear in squared distances
    update = _UPDATES[method]
    window = np.arange(windows)
    first_row = window * assets
    rows = square.reshape(windows * assets, assets)
    pairs = square.reshape(windows, assets * assets)
    ids = np.tile(np.arange(assets, dtype=np.float64), windows)
    sizes = np.ones((windows, assets))
    flat_sizes = sizes.reshape(-1)
    merges = np.empty((windows, assets - 1, 4))
    for step in range(assets - 1):
        closest = pairs.argmin(axis=1)
        height = pairs[window, closest]
        gone, kept = np.divmod(closest, assets)
        gone_row, kept_row = first_row + gone, first_row + kept
        gone_size, kept_size = flat_sizes[gone_row], flat_sizes[kept_row]
        joined = update(rows[gone_row], rows[kept_row], height, (gone_size, kept_size, sizes))
        rows[kept_row] = joined  # the infinite diagonal carries over: no cluster is close to itself or to one gone
        square[window, :, kept] = joined
        rows[gone_row] = np.inf
        square[window, :, gone] = np.inf
        merges[:, step, 0] = np.minimum(ids[gone_row], ids[kept_row])
        merges[:, step, 1] = np.maximum(ids[gone_row], ids[kept_row])
        merges[:, step, 2] = height
        merges[:, step, 3] = gone_size + kept_size
        ids[kept_row] = assets + step
        flat_sizes[kept_row] += gone_size
    if method == "ward":
        merges[:, :, 2] = np.sqrt(merges[:, :, 2])
    # Rounding can let a merge fall below the one before it by an ulp; nothing that reads a tree expects that.
    np.maximum.accumulate(merges[:, :, 2], axis=1, out=merges[:, :, 2])
    return merges


Sizes = tuple[Float, Float, Float]


def _update_average(gone: Float, kept: Float, height: Float, sizes: Sizes) -> Float:
    """Return the mean of all distances between the joined cluster and each other one."""
    total = sizes[0] + sizes[1]
    return gone * (sizes[0] / total)[:, None] + kept * (sizes[1] / total)[:, None]


def _update_complete(gone: Float, kept: Float, height: Float, sizes: Sizes) -> Float:
    """Return the largest distance between the joined cluster and each other one."""
    return np.maximum(gone, kept)


def _update_ward(gone: Float, kept: Float, height: Float, sizes: Sizes) -> Float:
    """Return Ward's squared distances between the joined cluster and each other one."""
    gone_size, kept_size, other = sizes
    joined = gone * (gone_size[:, None] + other)
    joined += kept * (kept_size[:, None] + other)
    joined -= height[:, None] * other
    joined /= (gone_size + kept_size)[:, None] + other
    return np.maximum(joined, 0.0, out=joined)


_UPDATES: dict[str, Callable[[Float, Float, Float, Sizes], Float]] = {
    "average": _update_average,
    "complete": _update_complete,
    "ward": _update_ward,
}


def _link_by_scipy(distances: Float, method: str) -> Float:
    """Return scipy's merges, window by window: its compiled loops win once a window is large."""
    from scipy.cluster.hierarchy import linkage

    above = np.triu_indices(distances.shape[1], 1)
    return np.stack([linkage(window[above], method) for window in distances])
