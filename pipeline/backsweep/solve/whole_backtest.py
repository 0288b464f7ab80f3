"""The user's own whole backtest: a function that gives the net returns of all test rows itself.

It is called once a trial as ``function(context, **parameters)``. It sees all rows, since it keeps its own calendar:
Backsweep cannot prove that it does not look ahead, and the report says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backsweep.arrays import Float, Windows
from backsweep.errors import StrategyError
from backsweep.solve.strategy import StrategyData, describe_failure, load_function
from backsweep.units import Costs, Solve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BacktestContext", "run_backtest"]


@dataclass(frozen=True, slots=True)
class BacktestContext:
    """What a whole backtest is given.

    Parameters
    ----------
    prices, returns : all rows, one column a symbol the trial may hold; prices None where the data are returns.
    features : tables of data.features by name, all rows.
    windows : one row a window: decision, test_start and test_stop (the last test day) as dates.
    test_dates : the days whose net returns it must give.
    costs : the trial's cost level, which it must charge itself.
    lookback : rows the trial's walk-forward trains on.
    """

    prices: pd.DataFrame | None
    returns: pd.DataFrame
    features: Mapping[str, pd.DataFrame]
    windows: pd.DataFrame
    test_dates: pd.DatetimeIndex
    costs: Costs
    lookback: int


def run_backtest(solve: Solve, windows: Windows, data: StrategyData, costs: Costs) -> Float:
    """Return the (T',) net returns of the test rows as the user's backtest gives them, checked for being returns.

    NaN policy: a NaN is refused with its day; none is returned.

    Source: the user's own; the interface is checked in tests/contract/test_strategies.py.

    Raises
    ------
    StrategyError
        If it raises, or gives something else than one finite return above or equal to -1 for each test day.
    """
    import pandas as pd

    function = load_function(str(solve.parameters["entrypoint"]))
    dates = data.dates()
    symbols = [data.returns.symbols[column] for column in solve.columns]
    first, stop = int(windows.test_start[0]), int(windows.test_stop[-1])
    context = BacktestContext(
        prices=_prices(data, dates, solve, symbols),
        returns=pd.DataFrame(
            data.returns.estimation[:, solve.columns],
            index=dates[data.returns.estimation_rows],
            columns=symbols,
        ),
        features=data.known_features(),
        windows=pd.DataFrame(
            {
                "decision": dates[windows.decision],
                "test_start": dates[windows.test_start],
                "test_stop": dates[windows.test_stop - 1],
            }
        ),
        test_dates=dates[first:stop],
        costs=costs,
        lookback=int(windows.train_stop[0] - windows.train_start[0]),
    )
    try:
        answer = function(context, **solve.parameters.get("parameters", {}))
    except Exception as error:  # whatever the user's own code raises is its trial's result
        raise StrategyError(describe_failure(error)) from error
    return _net_returns(answer, context.test_dates)


def _prices(data: StrategyData, dates: pd.DatetimeIndex, solve: Solve, symbols: list[str]) -> pd.DataFrame | None:
    import pandas as pd

    if data.prices is None:
        return None
    return pd.DataFrame(data.prices[1:, solve.columns], index=dates, columns=symbols)


def _net_returns(answer: Any, test_dates: pd.DatetimeIndex) -> Float:
    if hasattr(answer, "reindex"):
        answer = answer.reindex(test_dates)
    net = np.asarray(answer, dtype=np.float64)
    if net.shape != (len(test_dates),):
        message = (
            f"the backtest gave an array of shape {net.shape}; right would be one net return for each of the "
            f"{len(test_dates)} days of context.test_dates"
        )
        raise StrategyError(message)
    wrong = ~np.isfinite(net) | (net < -1)
    if wrong.any():
        day = test_dates[int(np.flatnonzero(wrong)[0])].date()
        raise StrategyError(f"the backtest gave no finite net return of at least -1 for {day}")
    return net
