"""Hierarchical risk parity."""

from __future__ import annotations

from functools import partial

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.solve.clusters import tree_of
from backsweep.solve.hierarchy import (
    HEDGED_REASON,
    RISKS,
    allocate,
    cluster_risks,
    inverse_risks,
    read_choice,
)
from backsweep.solve.leaf_order import order_leaves, reorder_leaves
from backsweep.solve.linkage import METHODS
from backsweep.solve.problem import Problem, Shared, Solution, failed

__all__ = ["solve"]

Split = tuple[int, int, int]  # start, middle, stop of a run of leaves


def solve(problem: Problem) -> Solution:
    """Halve the list of leaves again and again, giving each half the share of the other half's risk.

    Assets that move together end up in the same half and share its budget; nothing is inverted, so a covariance of
    more assets than rows will do.

    Parameters
    ----------
    problem : covariance (B, N, N), daily; its correlation makes the tree and it splits the weights, too.
        parameters: `linkage` single (default), average, complete or ward; `leafOrder` true for the order of
        `leaf_order.reorder_leaves`, as the peers have it (default false); `risk` variance (default) or std.
        Constraints, where given, are met by projection.

    Returns
    -------
    Solution; certificate NaN (a closed formula) unless constraints are given.

    Raises
    ------
    UserError
        If a parameter has a value that is not known.

    Notes
    -----
    Distances d = sqrt((1 - rho) / 2) go to the linkage condensed, as they are (not the distances between their
    columns). A run of n leaves is cut into the first n // 2 and the rest. Half H, weighted within by
    v_i = 1 / sigma_i^2 (`std`: 1 / sigma_i), has variance V = v'C v / (sum v)^2 (`std`: its root); the left half
    gets V_right / (V_left + V_right). One asset: weight 1. Identical assets: distance 0, they share what a single
    one would get. A constant asset: no correlation, a failed window. A perfectly hedged half takes the whole
    budget; two of them under one split: a failed window.

    Source
    ------
    Lopez de Prado (2016), Building Diversified Portfolios that Outperform Out of Sample, Journal of Portfolio
    Management 42(4), sections 4.1 to 4.3. skfolio's published weights in tests/golden/test_hrp_published.py,
    skfolio and PyPortfolioOpt themselves in tests/reference/test_peers_hrp.py.
    """
    linkage = read_choice(problem, "linkage", "single", METHODS)
    risk = read_choice(problem, "risk", "variance", RISKS)
    optimal = bool(problem.parameters.get("leafOrder", False))
    return allocate(problem, partial(_allocate, shared=problem.shared, linkage=linkage, optimal=optimal, risk=risk))


def _allocate(covariance: Float, shared: Shared, linkage: str, optimal: bool, risk: str) -> Solution:
    """Return unconstrained weights (B, N) of `covariance` (B, N, N)."""
    windows, assets, _ = covariance.shape
    distances, merges = tree_of(covariance, shared, linkage)
    if optimal:
        merges = reorder_leaves(merges, distances)
    leaves = order_leaves(merges).leaves
    places = (np.arange(windows)[:, None] * assets + leaves)[:, :, None] * assets + leaves[:, None, :]
    shares, hedged = _bisect(np.take(covariance, places), risk)
    weights = np.empty((windows, assets))
    np.put_along_axis(weights, leaves, shares, axis=1)
    return failed(weights, np.full(windows, np.nan), hedged, HEDGED_REASON)


def _bisect(ordered: Float, risk: str) -> tuple[Float, Boolean]:
    """Return the leaves' weights (B, N), by covariances in leaf order, and (B,) the windows that have none."""
    assets = ordered.shape[1]
    inverse = inverse_risks(ordered, risk)
    squares = ordered * inverse[:, :, None] * inverse[:, None, :]
    own = np.einsum("bii->bi", squares)
    unhedged = np.sqrt(own)
    # Sums over a run of leaves, by its (start, stop); those of a run are its halves' and what crosses between them.
    total = {(leaf, leaf + 1): inverse[:, leaf] for leaf in range(assets)}
    square = {(leaf, leaf + 1): own[:, leaf] for leaf in range(assets)}
    bound = {(leaf, leaf + 1): unhedged[:, leaf] for leaf in range(assets)}
    splits = _halve(assets)
    for start, middle, stop in reversed(splits):
        whole, first, second = (start, stop), (start, middle), (middle, stop)
        total[whole] = total[first] + total[second]
        bound[whole] = bound[first] + bound[second]
        crossing = squares[:, start:middle, middle:stop].sum(axis=(1, 2))
        square[whole] = square[first] + square[second] + 2.0 * crossing
    shares = np.ones_like(inverse)
    lost = np.zeros(len(ordered), dtype=bool)
    for start, middle, stop in splits:
        halves = ((start, middle), (middle, stop))
        left, right = (cluster_risks(total[half], square[half], bound[half], risk) for half in halves)
        both = left + right
        lost |= both == 0.0
        both[both == 0.0] = 1.0
        shares[:, start:middle] *= (right / both)[:, None]
        shares[:, middle:stop] *= (left / both)[:, None]
    return shares, lost


def _halve(assets: int) -> list[Split]:
    """Return every split of a list of `assets` leaves, a run before the halves it is cut into."""
    splits: list[Split] = []
    runs = [(0, assets)]
    while runs:
        start, stop = runs.pop()
        if stop - start > 1:
            middle = start + (stop - start) // 2
            splits.append((start, middle, stop))
            runs += [(start, middle), (middle, stop)]
    return splits
