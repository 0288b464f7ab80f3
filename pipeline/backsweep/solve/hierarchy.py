"""What HRP, HERC and NCO share: distances, windows that have none, and constraints after the fact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backsweep.arrays import Boolean, Float
from backsweep.errors import InvariantError, UserError
from backsweep.solve.problem import Problem, Solution
from backsweep.solve.projection import project

__all__ = [
    "HEDGED_REASON",
    "RISKS",
    "Allocator",
    "allocate",
    "cluster_risks",
    "correlation_distances",
    "inverse_risks",
    "read_choice",
]

RISKS = ("variance", "std")

# A variance under this fraction of the window's largest is rounding left by a constant return: 1e-10 in volatility.
CONSTANT_VARIANCE = 1e-20

# A cluster's variance under this fraction of what it would be without hedging is rounding: the hedge is perfect.
HEDGED_VARIANCE = 1e-13

HEDGED_REASON = (
    "two sides of a split of the tree are both perfectly hedged (zero variance): no ratio of their risks exists"
)

CONSTANT_REASON = (
    "an asset's variance is zero in this window, so its correlation with the others, and the tree, are undefined"
)

Allocator = Callable[[Float], Solution]


def allocate(problem: Problem, allocator: Allocator) -> Solution:
    """Solve the windows that have a correlation by `allocator`; then bring the weights within the constraints.

    A tree allocates without constraints; where some are given, the answer is the feasible portfolio closest to the
    unconstrained one (`projection.project`), and the certificate is that projection's.

    Parameters
    ----------
    problem : its covariance is used, and its constraints.
    allocator : (b, N, N) covariances, all variances positive, N >= 2, to the Solution of those windows.

    Returns
    -------
    Solution; one asset is held whole whatever its variance, and a window in which an asset's variance is zero
    (under 1e-20 of the largest) failed.

    Raises
    ------
    InvariantError
        If the problem has no covariance.

    Source
    ------
    Definition; checked in tests/unit/test_solve_hrp.py.
    """
    covariance = problem.covariance
    if covariance is None:
        raise InvariantError("a hierarchical profile was given no covariance")
    windows, assets, _ = covariance.shape
    weights = np.full((windows, assets), np.nan)
    certificate = np.full(windows, np.nan)
    failures: dict[int, str] = {}
    if assets == 1:
        weights[:] = 1.0
    else:
        constant = _have_constant_asset(covariance)
        failures.update((int(row), CONSTANT_REASON) for row in np.flatnonzero(constant))
        _fill(allocator(_take(covariance, ~constant)), ~constant, weights, certificate, failures)
    if problem.constraints is None:
        return Solution(weights, certificate, failures)
    within = project(weights, problem)  # failed windows, all NaN, stay so
    failures.update(within.failures)
    return Solution(within.weights, within.certificate, failures)


def correlation_distances(covariance: Float) -> Float:
    """Return how far apart assets are by their correlation: 0 for copies, 1 for opposites.

    This is half the Euclidean distance between the standardised returns over sqrt(L), so Ward's linkage applies.

    Parameters
    ----------
    covariance : (B, N, N) float64, all variances positive, no NaN.

    Returns
    -------
    (B, N, N) float64, sqrt((1 - rho) / 2) with rho kept within -1 .. 1; exactly 0 between identical columns.

    Source
    ------
    Lopez de Prado (2016), Building Diversified Portfolios that Outperform Out of Sample, definition 4.1 of the
    appendix; checked in tests/unit/test_solve_hrp.py.
    """
    variances = np.einsum("bii->bi", covariance)
    distances: Float = variances[:, :, None] * variances[:, None, :]
    np.sqrt(distances, out=distances)
    np.divide(covariance, distances, out=distances)
    np.subtract(1.0, distances, out=distances)
    distances *= 0.5
    np.clip(distances, 0.0, 1.0, out=distances)
    np.sqrt(distances, out=distances)
    return distances


def inverse_risks(covariance: Float, risk: str) -> Float:
    """Return each asset's weight in naive risk parity, before it is made to sum to 1.

    Parameters
    ----------
    covariance : (B, N, N) float64, all variances positive, no NaN.
    risk : variance (1 / variance) or std (1 / standard deviation).

    Returns
    -------
    (B, N) float64.

    Source
    ------
    Lopez de Prado (2016), snippet 1 (getIVP); checked in tests/unit/test_solve_hrp.py.
    """
    variances = np.einsum("bii->bi", covariance)
    inverse: Float = 1.0 / (variances if risk == "variance" else np.sqrt(variances))
    return inverse


def cluster_risks(total: Float, square: Float, bound: Float, risk: str) -> Float:
    """Return the risk of a cluster of assets held in proportion to their inverse risks v.

    Parameters
    ----------
    total : (...) float64, the sum of v; no NaN here or below. (...) is any shape, such as (B, M).
    square : (...) float64, v'C v.
    bound : (...) float64, the sum of v sigma: what the root of `square` would be if all moved as one.
    risk : variance or std.

    Returns
    -------
    (...) float64, v'C v / (sum v)^2 or its root; exactly 0 where `square` is nothing but rounding.

    Source
    ------
    Lopez de Prado (2016), snippet 4 (getClusterVar); checked in tests/unit/test_solve_hrp.py.
    """
    variances: Float = np.where(square > HEDGED_VARIANCE * bound**2, square, 0.0) / total**2
    return variances if risk == "variance" else np.sqrt(variances)


def read_choice(problem: Problem, name: str, default: str, choices: tuple[str, ...]) -> str:
    """Return the problem's parameter `name`, one of `choices`.

    Parameters
    ----------
    problem : its parameters are read.
    name, default, choices : the parameter, its value where it is absent, and what it may be.

    Raises
    ------
    UserError
        If the parameter is something else.

    Source
    ------
    Definition; checked in tests/unit/test_solve_hrp.py.
    """
    value = problem.parameters.get(name, default)
    if value not in choices:
        raise UserError(f"{name}: {value!r} is not known; it must be one of {', '.join(choices)}")
    return str(value)


def _have_constant_asset(covariance: Float) -> Boolean:
    """Return (B,) whether an asset of the window does not move."""
    variances = np.einsum("bii->bi", covariance)
    smallest, largest = variances.min(axis=1), variances.max(axis=1)
    moves: Boolean = smallest > CONSTANT_VARIANCE * largest
    return ~moves


def _take(array: Float, rows: Boolean) -> Float:
    """Return the windows in `rows`, without a copy where they are all."""
    return array if rows.all() else array[rows]


def _fill(part: Solution, rows: Boolean, weights: Float, certificate: Float, failures: dict[int, str]) -> None:
    """Write the Solution of the windows in `rows` into the whole batch's arrays."""
    places = np.flatnonzero(rows)
    weights[places] = part.weights
    certificate[places] = part.certificate
    failures.update((int(places[row]), reason) for row, reason in part.failures.items())
