"""From the values of a trial's axes to the solve, the rebalancing rule and the costs they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backsweep.arrays import Integer, Returns
from backsweep.errors import DataError
from backsweep.units import Costs, Estimator, Solve
from backsweep_api.options import covariance_options, expected_returns_options, profile_options

__all__ = ["columns_of", "costs_of", "lookback_of", "solve_of"]


def solve_of(
    values: Mapping[str, Any],
    returns: Returns,
    strategy: Mapping[str, Any] | None,
    engines: Mapping[str, Mapping[str, str]],
) -> Solve:
    """Return what the axis values (normalised, dead axes absent) ask to be solved.

    Parameters
    ----------
    strategy : entrypoint, code (digest of its package) and usesPrevious of spec.strategy; None without one.
    engines : versions of the packages of each peer of the document.

    Raises
    ------
    DataError
        If the universe or a group names a symbol that the data set does not have.
    """
    profile, parameters = profile_options(values)
    code = None
    uses_previous = False
    if profile == "strategy" and strategy is not None:
        code = str(strategy["code"])
        uses_previous = bool(strategy["usesPrevious"])
        parameters = {"entrypoint": strategy["entrypoint"], "parameters": parameters}
    constraints = values.get("constraints")
    if constraints is not None:
        _check_groups(constraints, returns)
    return Solve(
        profile=profile,
        parameters=parameters,
        covariance=_estimator(values.get("covariance"), covariance_options),
        mean=_estimator(values.get("expectedReturns"), expected_returns_options),
        constraints=constraints,
        columns=columns_of(profile, values.get("universe"), returns),
        code=code,
        uses_previous=uses_previous,
        engine=values["engine"],
        versions=engines.get(values["engine"], {}),
    )


def columns_of(profile: str, universe: Any, returns: Returns) -> Integer:
    """Return the increasing columns a profile may hold: the universe's, or the benchmark's own for `market`."""
    if profile == "market":
        if len(returns.benchmark) == 0:
            raise DataError("spec.data.benchmark: the profile 'market' holds its symbols, and none are given")
        return np.sort(returns.benchmark)
    if universe is None or universe == "all":
        return np.setdiff1d(np.arange(len(returns.symbols)), returns.benchmark).astype(np.int64)
    places = {symbol: column for column, symbol in enumerate(returns.symbols)}
    missing = [symbol for symbol in universe["symbols"] if symbol not in places]
    if missing:
        message = f"spec.axes.universe {universe['name']!r}: the data have no column {missing[0]!r}"
        raise DataError(message)
    return np.array(sorted(places[symbol] for symbol in universe["symbols"]), dtype=np.int64)


def lookback_of(values: Mapping[str, Any], longest: int) -> int:
    """Return the rows a trial trains on; a profile that does not train has the windows of the longest lookback."""
    return int(values.get("lookback", longest))


def costs_of(values: Mapping[str, Any]) -> Costs:
    """Return the trial's cost level."""
    costs = values["costs"]
    return Costs(float(costs["slippageBps"]), float(costs["commissionBps"]), float(costs["borrowRate"]))


def _estimator(value: Any, options: Callable[[Any], tuple[str, dict[str, Any]]]) -> Estimator | None:
    return None if value is None else Estimator(*options(value))


def _check_groups(constraints: Mapping[str, Any], returns: Returns) -> None:
    for group in constraints.get("groupCaps") or []:
        unknown = [asset for asset in group["assets"] if asset not in returns.symbols]
        if unknown:
            message = f"spec.axes.constraints.groupCaps {group['name']!r}: the data have no column {unknown[0]!r}"
            raise DataError(message)
