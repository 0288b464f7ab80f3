"""Nested clustered optimisation."""

from __future__ import annotations

from functools import partial

import numpy as np

from backsweep.arrays import Float
from backsweep.solve.clusters import shared_clusters, sum_by_cluster
from backsweep.solve.hierarchy import allocate, read_choice
from backsweep.solve.linkage import METHODS
from backsweep.solve.nonnegative_qp import solve_nonnegative
from backsweep.solve.problem import Problem, Shared, Solution, failed

__all__ = ["solve"]

UNSETTLED_REASON = (
    "the least variance within or between the clusters has no certified solution "
    "(a cluster can be hedged perfectly, or rounding left a residual above 1e-10)"
)


def solve(problem: Problem) -> Solution:
    """Hold each cluster at its least variance, and the clusters at theirs.

    Noise and near copies spoil a covariance's inverse mostly within clusters; solving there first keeps that from
    spreading over the whole portfolio.

    Parameters
    ----------
    problem : covariance (B, N, N), daily; its correlation makes the clusters, and it is minimised. parameters:
        `linkage` ward (default), single, average or complete. Constraints, where given, are met by projection.

    Returns
    -------
    Solution; certificate is the larger KKT residual of the two stages, or the projection's.

    Raises
    ------
    UserError
        If a parameter has a value that is not known.

    Notes
    -----
    1. Clusters are `clusters.find_clusters`: the paper clusters by k-means from random starts; here the tree of
    distances sqrt((1 - rho) / 2), cut by a rule without random numbers. 2. Within: W (N, k), column c the long-only
    portfolio of least variance of cluster c alone. 3. Between: v, the long-only one of the reduced covariance
    W'C W. 4. w = W v. Long only, so both stages are quadratic programmes where the paper has C^-1 1. All clusters
    of a window are one programme, on the covariance with the entries between clusters set to 0. The order of
    leaves changes nothing. One asset: weight 1; fewer than three: one cluster, and the weights of least variance.
    Identical assets share equally. A constant asset: no correlation, a failed window.

    Source
    ------
    Lopez de Prado (2019), A Robust Estimator of the Efficient Frontier, SSRN 3469961, section 4; (2020), Machine
    Learning for Asset Managers, section 7.7. Checked against stage-by-stage solutions in
    tests/unit/test_solve_nco.py.
    """
    linkage = read_choice(problem, "linkage", "ward", METHODS)
    return allocate(problem, partial(_allocate, shared=problem.shared, linkage=linkage))


def _allocate(covariance: Float, shared: Shared, linkage: str) -> Solution:
    """Return unconstrained weights (B, N) of `covariance` (B, N, N)."""
    clusters = shared_clusters(covariance, shared, linkage)
    members = clusters.members()
    together = clusters.labels[:, :, None] == clusters.labels[:, None, :]
    # Any positive constant in a cluster's linear term only scales its y; this one gives the clusters equal weight
    # in the residual, which is relative to the largest 1 / sigma.
    deviations = np.sqrt(np.einsum("bii->bi", covariance))
    least = np.where(members, deviations[:, None, :], np.inf).min(axis=2)
    linear = np.take_along_axis(least, clusters.labels, axis=1)
    inner, inner_residual, inner_ok = solve_nonnegative(np.where(together, covariance, 0.0), linear)
    total = np.take_along_axis(sum_by_cluster(inner, clusters), clusters.labels, axis=1)
    inner = np.divide(inner, total, out=np.zeros_like(inner), where=total > 0.0)
    within = np.where(members, inner[:, None, :], 0.0)
    reduced = np.matmul(np.matmul(within, covariance), np.swapaxes(within, 1, 2))
    # A cluster that does not exist is of no variance and no use: it gets nothing.
    use = np.where(np.arange(members.shape[1]) < clusters.count[:, None], 1.0, -1.0)
    outer, outer_residual, outer_ok = solve_nonnegative(reduced, use)
    budget = outer.sum(axis=1, keepdims=True)
    shares = np.divide(outer, budget, out=np.zeros_like(outer), where=budget > 0.0)
    weights = inner * np.take_along_axis(shares, clusters.labels, axis=1)
    certificate = np.maximum(inner_residual, outer_residual)
    return failed(weights, certificate, ~(inner_ok & outer_ok), UNSETTLED_REASON)
