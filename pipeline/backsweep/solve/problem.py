"""What a profile is given and what it gives back: all windows of one batch at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from backsweep.arrays import Boolean, Float

__all__ = ["Constraints", "Kernel", "Problem", "Shared", "Solution", "failed"]

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Constraints:
    """What the weights of a batch must satisfy; every asset bound is a fraction of wealth.

    Parameters
    ----------
    lower, upper : (N,) float64, bounds of each asset's weight.
    net : the sum of the weights.
    gross : upper bound of the sum of absolute weights; None where there is none.
    groups : (G, N) float64, 0 or 1, and group_lower, group_upper : (G,) bounds of each group's sum.
    beta_tolerance : upper bound of |w'beta|; None where the portfolio need not be market neutral.
    turnover_limit : upper bound of sum |w - previous target| / 2; None where there is none. A batch
        with a limit has one window, because each window depends on the one before.
    """

    lower: Float
    upper: Float
    net: float
    gross: float | None
    groups: Float
    group_lower: Float
    group_upper: Float
    beta_tolerance: float | None
    turnover_limit: float | None


class Shared:
    """What the profiles of one batch compute from the same array, computed once: trees, cores.

    It changes nothing but time: whoever asks first computes the same bytes.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], tuple[Float, Any]] = {}

    def once(self, source: Float, name: str, compute: Callable[[], Value]) -> Value:
        """Return what `compute` gives for `source` under `name`, from the first time it was asked."""
        key = (id(source), name)
        if key not in self._found:
            self._found[key] = (source, compute())  # the array is kept, so that no other can have its id
        return cast("Value", self._found[key][1])


@dataclass(frozen=True, slots=True)
class Problem:
    """A batch of B windows over the same N assets (those that take part; no NaN anywhere).

    Parameters
    ----------
    covariance : (B, N, N) float64, daily, symmetric; None where the profile does not use one.
    mean : (B, N) float64, expected simple return a row; None where the profile does not use one.
    returns : (B, L, N) float64, training returns (possibly a strided view); None where not used.
    risk_free : (B,) float64, the riskless return of the decision row, as a fraction a row.
    parameters : the profile's own parameters (linkage, leafOrder, risk, core, ...), defaulted.
    constraints : None means long only and fully invested.
    beta : (B, N) float64, each asset's beta against the market on the training rows; None unless
        constraints ask for market neutrality.
    previous : (B, N) float64, the previous window's target; None unless turnover is limited, and
        for the first window.
    shared : of the batch, between the profiles that are solved with the same arrays.
    """

    covariance: Float | None = None
    mean: Float | None = None
    returns: Float | None = None
    risk_free: Float | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    constraints: Constraints | None = None
    beta: Float | None = None
    previous: Float | None = None
    shared: Shared = field(default_factory=Shared)


@dataclass(frozen=True, slots=True)
class Solution:
    """The batch's weights.

    Parameters
    ----------
    weights : (B, N) float64; a row that failed is all NaN.
    certificate : (B,) float64, relative KKT residual or duality gap; NaN for closed formulas and
        failed rows.
    failures : row of the batch -> one sentence why there is no portfolio.
    """

    weights: Float
    certificate: Float
    failures: Mapping[int, str]


Kernel = Callable[[Problem], Solution]


def failed(weights: Float, certificate: Float, rows: Boolean, reason: str) -> Solution:
    """Return a Solution in which some windows failed, so that no kernel leaves numbers where there is no portfolio.

    Parameters
    ----------
    weights : (B, N) float64; the rows that failed become NaN.
    certificate : (B,) float64; likewise.
    rows : (B,) bool, the windows that failed.
    reason : one sentence, the same for all of them.

    NaN policy: NaN marks what failed, and nothing else.

    Source: definition; checked through every profile's own tests.
    """
    weights = np.where(rows[:, None], np.nan, weights)
    certificate = np.where(rows, np.nan, certificate)
    return Solution(weights, certificate, {int(row): reason for row in np.flatnonzero(rows)})
