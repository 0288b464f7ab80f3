"""The user's own profile: a function that gives the weights of each window.

The function is called as ``function(context, **parameters)`` once a window and returns weights by symbol (a mapping,
a Series) or an array in the order of ``context.symbols``. Everything in its context ends at the last training row:
the decision row, less `purge`. An exception it raises is the deterministic result of its trial, traceback and all.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backsweep.arrays import FeatureTable, Float, Integer, Returns, Weights, Windows
from backsweep.eligibility import eligible_assets
from backsweep.errors import StrategyError, UserError
from backsweep.units import Solve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Context", "StrategyData", "describe_failure", "load_function", "solve_strategy"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a strategy may know when it decides.

    Parameters
    ----------
    date : the day at whose close the positions are set.
    symbols : the assets it may hold, in column order: eligible members with complete training rows.
    prices : prices of `symbols` up to the last training row; None where the data are returns.
    returns : simple returns a row of `symbols` on the training rows.
    features : tables of data.features by name, rows dated up to the last training row.
    previous : the target of the window before, by symbol; None in the first window or where not asked for.
    """

    date: pd.Timestamp
    symbols: tuple[str, ...]
    prices: pd.DataFrame | None
    returns: pd.DataFrame
    features: Mapping[str, pd.DataFrame]
    previous: Mapping[str, float] | None


def load_function(entrypoint: str) -> Callable[..., Any]:
    """Import ``package.module:function``.

    Raises
    ------
    UserError
        If the module cannot be imported or has no such function.
    """
    module_name, _, function_name = entrypoint.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        message = (
            f"spec.strategy.entrypoint: {entrypoint!r} cannot be imported ({error}); put the module beside the "
            f"document or install its package"
        )
        raise UserError(message) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(f"spec.strategy.entrypoint: {module_name!r} has no function {function_name!r}")
    return function  # type: ignore[no-any-return]  # checked to be callable


@dataclass(frozen=True, slots=True)
class StrategyData:
    """The data set a strategy is called on.

    Parameters
    ----------
    prices : (T + 1, N) float64 whose row t + 1 is the close of row t of `returns`; None for data given as returns.
    features : tables by name.
    """

    returns: Returns
    prices: Float | None
    features: Mapping[str, FeatureTable]

    def dates(self) -> pd.DatetimeIndex:
        """Return the dates of the rows, as pandas has them."""
        import pandas as pd

        return pd.DatetimeIndex(self.returns.dates.astype("datetime64[ns]"), name="date")

    def known_features(self, last: np.datetime64 | None = None) -> dict[str, pd.DataFrame]:
        """Return the feature tables, with rows dated up to `last` only where it is given."""
        import pandas as pd

        known = {}
        for name, table in self.features.items():
            rows = len(table.dates) if last is None else int(np.searchsorted(table.dates, last, side="right"))
            index = pd.DatetimeIndex(table.dates[:rows].astype("datetime64[ns]"), name="date")
            known[name] = pd.DataFrame(table.values[:rows], index=index, columns=list(table.columns))
        return known


def solve_strategy(solve: Solve, windows: Windows, data: StrategyData) -> Weights:
    """Call the strategy for every window and return its weights over the solve's columns.

    Raises
    ------
    StrategyError
        If it raises, or gives something that is not a set of weights; the message holds its traceback.
    """
    function = load_function(str(solve.parameters["entrypoint"]))
    parameters = solve.parameters.get("parameters", {})
    eligible = eligible_assets(data.returns, windows, solve.profile, solve.columns)
    values = np.zeros((len(windows), len(solve.columns)))
    failures: dict[int, str] = {}
    target: Mapping[str, float] | None = None
    dates = data.dates()
    for row in range(len(windows)):
        assets = solve.columns[eligible[row]]
        if len(assets) == 0:
            values[row] = np.nan
            failures[row] = "no asset takes part: none has a price on every training row and is a member"
            continue
        context = _context(data, dates, windows, row, assets)
        if solve.uses_previous:
            context = replace(context, previous=target)
        try:
            answer = function(context, **parameters)
        except Exception as error:  # whatever the user's own code raises is its trial's result
            raise StrategyError(f"on {context.date.date()}: {describe_failure(error)}") from error
        weights = _weights(answer, context)
        values[row, np.searchsorted(solve.columns, assets)] = weights
        target = dict(zip(context.symbols, weights.tolist(), strict=True))
    return Weights(values, np.full(len(windows), np.nan), failures)


def describe_failure(error: BaseException) -> str:
    """Return the traceback below Backsweep's own frames, without folders: the same text on every machine."""
    own = str(Path(__file__).resolve().parents[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not str(Path(frame.filename).resolve()).startswith(own)
    ]
    lines = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    return "\n".join([f"{type(error).__name__}: {error}", *lines])


def _context(data: StrategyData, dates: pd.DatetimeIndex, windows: Windows, row: int, assets: Integer) -> Context:
    import pandas as pd

    returns = data.returns
    start, stop = int(windows.train_start[row]), int(windows.train_stop[row])
    rows = returns.estimation_rows[start:stop]
    last = int(rows[-1])
    symbols = tuple(returns.symbols[asset] for asset in assets)
    training = pd.DataFrame(returns.estimation[start:stop][:, assets], index=dates[rows], columns=list(symbols))
    prices = None
    if data.prices is not None:
        closes = data.prices[1 : last + 2][:, assets]
        prices = pd.DataFrame(closes, index=dates[: last + 1], columns=list(symbols))
    known = data.known_features(returns.dates[last])
    return Context(dates[int(windows.decision[row])], symbols, prices, training, known, None)


def _weights(answer: Any, context: Context) -> Float:
    """Return the answer in the order of the context's symbols, or say what is wrong with it."""
    day = context.date.date().isoformat()
    if hasattr(answer, "items"):
        given = {str(symbol): float(weight) for symbol, weight in answer.items()}
        unknown = sorted(set(given) - set(context.symbols))
        if unknown:
            message = f"on {day}: the strategy gave a weight to {unknown[0]!r}, which takes no part in this window"
            raise StrategyError(message)
        weights = np.array([given.get(symbol, 0.0) for symbol in context.symbols])
    else:
        weights = np.asarray(answer, dtype=np.float64)
        if weights.shape != (len(context.symbols),):
            message = (
                f"on {day}: the strategy gave an array of shape {weights.shape}; "
                f"right would be one weight for each of {len(context.symbols)} symbols, or a mapping by symbol"
            )
            raise StrategyError(message)
    if not np.isfinite(weights).all():
        symbol = context.symbols[int(np.flatnonzero(~np.isfinite(weights))[0])]
        raise StrategyError(f"on {day}: the strategy gave {symbol!r} a weight that is not a finite number")
    return weights
