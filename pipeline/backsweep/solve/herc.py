"""Hierarchical equal risk contribution."""

from __future__ import annotations

from functools import partial

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.solve.clusters import Clusters, shared_clusters, sum_by_cluster
from backsweep.solve.hierarchy import (
    HEDGED_REASON,
    RISKS,
    allocate,
    cluster_risks,
    inverse_risks,
    read_choice,
)
from backsweep.solve.linkage import METHODS
from backsweep.solve.problem import Problem, Shared, Solution, failed

__all__ = ["solve"]


def solve(problem: Problem) -> Solution:
    """Split the budget down the tree to the clusters by their risks, and within a cluster by inverse risk.

    HRP halves the list of leaves wherever its middle falls; this follows the tree's own branches, and stops at
    clusters that the data tell apart.

    Parameters
    ----------
    problem : covariance (B, N, N), daily; its correlation makes the tree and the clusters, and it gives the risks.
        parameters: `linkage` ward (default), single, average or complete; `risk` variance (default) or std.
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
    Clusters are `clusters.find_clusters` (distances sqrt((1 - rho) / 2); the paper takes the gap index, here its
    version without random reference data). Within a cluster w_i is proportional to 1 / sigma_i^2 (`std`:
    1 / sigma_i), and RC is the variance (`std`: standard deviation) of that portfolio. A branch's RC is the sum of
    its clusters'. At each split above the clusters alpha_left = RC_right / (RC_left + RC_right), which makes
    alpha_left RC_left = alpha_right RC_right; the paper prints RC_left in the numerator, which would give the
    riskier side the larger share; every implementation known takes the complement. The order of leaves changes
    nothing. One asset: weight 1; fewer than three: one cluster. Identical assets share equally. A constant asset:
    no correlation, a failed window. A perfectly hedged cluster takes its whole split's budget; two sides of a
    split without any risk: a failed window.

    Source
    ------
    Raffinot (2018), The Hierarchical Equal Risk Contribution Portfolio, SSRN 3237540, section 2. Checked by hand
    in tests/unit/test_solve_herc.py, for equal clusters against skfolio in tests/reference/test_peers_hrp.py.
    """
    linkage = read_choice(problem, "linkage", "ward", METHODS)
    risk = read_choice(problem, "risk", "variance", RISKS)
    return allocate(problem, partial(_allocate, shared=problem.shared, linkage=linkage, risk=risk))


def _allocate(covariance: Float, shared: Shared, linkage: str, risk: str) -> Solution:
    """Return unconstrained weights (B, N) of `covariance` (B, N, N)."""
    clusters = shared_clusters(covariance, shared, linkage)
    inverse = inverse_risks(covariance, risk)
    together = clusters.labels[:, :, None] == clusters.labels[:, None, :]
    squares = covariance * inverse[:, :, None] * inverse[:, None, :]
    bounds = np.sqrt(np.einsum("bii->bi", squares))
    total = sum_by_cluster(inverse, clusters)
    square = sum_by_cluster(np.where(together, squares, 0.0).sum(axis=2), clusters)
    exists = total > 0.0
    risks = cluster_risks(np.where(exists, total, 1.0), square, sum_by_cluster(bounds, clusters), risk)
    shares, hedged = _descend(risks, clusters)
    per_inverse = np.divide(shares, total, out=np.zeros_like(shares), where=exists)
    weights = inverse * np.take_along_axis(per_inverse, clusters.labels, axis=1)
    return failed(weights, np.full(len(weights), np.nan), hedged, HEDGED_REASON)


def _descend(risks: Float, clusters: Clusters) -> tuple[Float, Boolean]:
    """Return the budget (B, M) of each cluster, from the root's splits down, and (B,) where a split has none."""
    number = np.arange(risks.shape[1])
    shares = np.ones_like(risks)
    lost = np.zeros(len(risks), dtype=bool)
    for split in range(risks.shape[1] - 1):
        start, middle, stop = (clusters.splits[:, split, place, None] for place in range(3))
        real = (split < clusters.count - 1)[:, None]
        left = real & (start <= number) & (number < middle)
        right = real & (middle <= number) & (number < stop)
        left_risk = np.where(left, risks, 0.0).sum(axis=1, keepdims=True)
        right_risk = np.where(right, risks, 0.0).sum(axis=1, keepdims=True)
        both = left_risk + right_risk
        lost |= (real & (both == 0.0))[:, 0]
        both[both == 0.0] = 1.0
        np.multiply(shares, right_risk / both, out=shares, where=left)
        np.multiply(shares, left_risk / both, out=shares, where=right)
    return shares, lost
