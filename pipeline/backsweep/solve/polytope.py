"""The constraint set of one window as linear rows; absolute values become differences of two parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backsweep.arrays import Float, Integer
from backsweep.solve.problem import Constraints
from backsweep.solve.quadratic import Programme, solve_programme

__all__ = ["Polytope", "build_polytope", "explain_empty"]


@dataclass(frozen=True, slots=True)
class Polytope:
    """{w = offset + difference x : low <= (x, rows x) <= high}.

    Without a limit on absolute values x is w itself. Otherwise x = (p, q) with w = offset + p - q and p, q >= 0,
    so that sum(p + q) bounds the distance from `offset` (0 for gross, the previous target for turnover). With
    both limits there is a second pair for the turnover, tied to w by N equations.

    Parameters
    ----------
    assets : N.
    pairs : 0, 1 or 2 pairs (p, q), each of 2 N variables.
    offset : (N,) float64.
    rows : (M, V) float64; V = N without pairs, 2 N pairs with them.
    low, high : (V + M,) float64.
    second : (N,) float64, the centre of the second pair (zeros where there is none).
    """

    assets: int
    pairs: int
    offset: Float
    rows: Float
    low: Float
    high: Float
    second: Float

    def transform(self) -> Float:
        """Return the (max(pairs, 1) N, V) matrix whose blocks are the differences p - q, or the identity."""
        identity = np.eye(self.assets)
        if self.pairs == 0:
            return identity
        difference = np.concatenate((identity, -identity), axis=1)
        blocks = np.zeros((self.pairs, self.assets, self.pairs, 2 * self.assets))
        blocks[np.arange(self.pairs), :, np.arange(self.pairs)] = difference
        return blocks.reshape(self.pairs * self.assets, -1)

    def twins(self) -> Integer:
        """Return (pairs N, 2) positions in x of each p and its q."""
        first = np.arange(self.pairs * self.assets)
        first += first // self.assets * self.assets
        return np.column_stack((first, first + self.assets))


def build_polytope(constraints: Constraints, beta: Float | None, previous: Float | None) -> Polytope:
    """Return the constraint set of one window.

    A gross limit is a row only where the asset bounds allow shorts; a long-only gross is the net, and a gross
    equal to the net (to 1e-9) says long only.

    Parameters
    ----------
    constraints : for N assets.
    beta, previous : (N,) float64 of this window, no NaN, or None where nothing needs them.

    Source: the split of an absolute value is Konno and Yamazaki (1991), Management Science 37, section 3;
    checked in tests/unit/test_solve_polytope.py.
    """
    assets = len(constraints.lower)
    constraints = _without_shorts(constraints)
    plain, low, high = _plain_rows(constraints, beta)
    limits = []
    gross = constraints.gross
    if gross is not None and gross < _largest_gross(constraints):
        limits.append((np.zeros(assets), gross))
    if constraints.turnover_limit is not None and previous is not None:
        limits.append((previous, 2.0 * constraints.turnover_limit))
    zeros = np.zeros(assets)
    if not limits:
        bounds = (np.concatenate((constraints.lower, low)), np.concatenate((constraints.upper, high)))
        return Polytope(assets, 0, zeros, plain, *bounds, zeros)
    offset = limits[0][0]
    size = 2 * assets * len(limits)
    first = np.zeros((len(plain), size))
    first[:, :assets], first[:, assets : 2 * assets] = plain, -plain
    shift = plain @ offset
    rows, lows, highs = [first], [low - shift], [high - shift]
    own_low, own_high = [], []
    for pair, (centre, limit) in enumerate(limits):
        absolute = np.zeros((1, size))
        absolute[0, 2 * assets * pair : 2 * assets * (pair + 1)] = 1.0
        rows.append(absolute)
        lows.append(np.array([-np.inf]))
        highs.append(np.array([limit]))
        under, over = constraints.lower - centre, constraints.upper - centre
        own_low += [np.maximum(under, 0.0), np.maximum(-over, 0.0)]
        own_high += [np.maximum(over, 0.0), np.maximum(-under, 0.0)]
    second = zeros
    if len(limits) == 2:
        identity = np.eye(assets)
        rows.append(np.concatenate((identity, -identity, -identity, identity), axis=1))
        second = limits[1][0]
        lows.append(second)
        highs.append(second)
    return Polytope(
        assets,
        len(limits),
        offset,
        np.concatenate(rows),
        np.concatenate(own_low + lows),
        np.concatenate(own_high + highs),
        second,
    )


def _without_shorts(constraints: Constraints) -> Constraints:
    """Return bounds of one sign where the gross is the net (to 1e-9), which says just that."""
    net, gross = constraints.net, constraints.gross
    if gross is None or abs(gross - abs(net)) > 1e-9 * abs(net):
        return constraints
    if net >= 0:
        return replace(constraints, lower=np.maximum(constraints.lower, 0.0), gross=None)
    return replace(constraints, upper=np.minimum(constraints.upper, 0.0), gross=None)


def _largest_gross(constraints: Constraints) -> float:
    """Return a bound on the gross that the asset bounds and the net imply by themselves."""
    if (constraints.lower >= 0).all():
        return constraints.net
    return float(np.maximum(np.abs(constraints.lower), np.abs(constraints.upper)).sum())


def _plain_rows(constraints: Constraints, beta: Float | None) -> tuple[Float, Float, Float]:
    """Return the rows that are linear in w: net, groups, beta."""
    assets = len(constraints.lower)
    rows = [np.ones((1, assets)), constraints.groups.reshape(-1, assets)]
    low = [np.array([constraints.net]), constraints.group_lower]
    high = [np.array([constraints.net]), constraints.group_upper]
    if constraints.beta_tolerance is not None and beta is not None:
        rows.append(beta[None, :])
        low.append(np.array([-constraints.beta_tolerance]))
        high.append(np.array([constraints.beta_tolerance]))
    return np.concatenate(rows), np.concatenate(low), np.concatenate(high)


def explain_empty(constraints: Constraints, beta: Float | None, previous: Float | None) -> str | None:
    """Return one sentence that names the first kind of constraint that leaves no weights, or None if there are some.

    The kinds are added one after the other (asset bounds with net, gross, groups, market neutrality, turnover),
    because a person who is told only "infeasible" has to do the same by hand.

    Parameters
    ----------
    constraints : for N assets.
    beta, previous : (N,) float64 of this window, no NaN, or None where nothing needs them.

    Source: definition; checked in tests/unit/test_solve_polytope.py.
    """
    none = np.zeros(0)
    loose = replace(
        constraints,
        gross=None,
        groups=np.zeros((0, len(constraints.lower))),
        group_lower=none,
        group_upper=none,
        beta_tolerance=None,
        turnover_limit=None,
    )
    net = f"a net of {constraints.net:g}"
    sums = f"{constraints.lower.sum():g} to {constraints.upper.sum():g}"
    groups = {"groups": constraints.groups, "group_lower": constraints.group_lower}
    steps: list[tuple[dict[str, object], str]] = [
        ({}, f"the weight bounds of the {len(constraints.lower)} assets sum to {sums}, not to {net}"),
        ({"gross": constraints.gross}, f"gross {constraints.gross} leaves no weights with {net} within the bounds"),
        ({**groups, "group_upper": constraints.group_upper}, "the group caps leave no weights within the bounds"),
        (
            {"beta_tolerance": constraints.beta_tolerance},
            f"no weights within the other constraints have a beta within {constraints.beta_tolerance}",
        ),
        (
            {"turnover_limit": constraints.turnover_limit},
            f"turnoverLimit {constraints.turnover_limit} is too small to reach the other constraints",
        ),
    ]
    for change, sentence in steps:
        loose = replace(loose, **change)  # type: ignore[arg-type]  # each change names its own fields
        if _is_empty(build_polytope(loose, beta, previous)):
            return f"the constraints are infeasible: {sentence}"
    return None


def _is_empty(polytope: Polytope) -> bool:
    """Whether no point satisfies the rows: the projection of zero onto them does not exist."""
    size = polytope.rows.shape[1]
    if (polytope.low > polytope.high).any():
        return True
    programme = Programme(np.eye(size), np.zeros(size), polytope.rows, polytope.low, polytope.high)
    return solve_programme(programme).infeasible
