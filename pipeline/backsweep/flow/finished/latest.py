"""The next targets of a trial: its method decided anew on the newest row of its data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float, Windows
from backsweep.errors import SolveError, UserError
from backsweep.flow.finished.reopen import Reopened
from backsweep.solve.strategy import solve_strategy
from backsweep.solve.unit import solve_run
from backsweep.sweep.work import no_timer
from backsweep.trial import spread

__all__ = ["Targets", "latest_targets", "past_targets"]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Target weights decided on one day.

    Parameters
    ----------
    decision : ISO date of the close they were decided on.
    weights : (N,) float64, fractions of wealth, in the columns of `symbols`.
    """

    decision: str
    symbols: tuple[str, ...]
    weights: Float


def latest_targets(reopened: Reopened, row: int) -> Targets:
    """Return what the trial's method decides at the close of the newest row of the sweep's data.

    Raises
    ------
    SolveError, StrategyError
        If that window has no portfolio.
    UserError
        If the trial is a whole backtest, which has no weights.
    """
    series = reopened.series
    data, task, windows = series.data_of(row), series.task_of(row), series.windows_of(row)
    if not task.units:
        raise UserError("weights: this trial is a whole backtest of your own, which has no target weights")
    dataset = reopened.datasets[data]
    returns = dataset.returns
    rows = len(returns.dates)
    purge = int(reopened.document.spec.walk_forward.purge)
    stop = int(np.searchsorted(returns.estimation_rows, rows - purge))
    anchored = reopened.document.spec.walk_forward.anchored
    length = int(windows.train_stop[0] - windows.train_start[0])
    start = int(windows.train_start[0]) if anchored else stop - length
    window = Windows(*(np.array([value], dtype=np.int64) for value in (start, stop, rows, rows)))
    if task.solve.profile == "strategy":
        weights = solve_strategy(task.solve, window, dataset.strategy_data)
    else:
        (weights,) = solve_run([task.solve], window, returns, no_timer)
    if weights.failures:
        raise SolveError(f"weights: {weights.failures[0]}")
    (full,) = spread(weights, task.solve, len(returns.symbols))
    return Targets(str(returns.dates[rows - 1]), returns.symbols, full)


def past_targets(reopened: Reopened, row: int, day: str) -> Targets:
    """Return the trial's last targets that were decided on or before `day`.

    Raises
    ------
    UserError
        If `day` is no date, lies before the first decision, or its window failed.
    """
    series = reopened.series
    returns, windows = series.plan.datasets[series.data_of(row)], series.windows_of(row)
    try:
        wanted = np.datetime64(day, "D")
    except ValueError as error:
        raise UserError(f"--as-of {day}: write a date such as 2020-03-31, or latest") from error
    decisions = returns.dates[windows.decision]
    window = int(np.searchsorted(decisions, wanted, side="right")) - 1
    if window < 0:
        raise UserError(f"--as-of {day}: the first decision is on {decisions[0]}")
    targets = series.targets(row)[window]
    if np.isnan(targets).any():
        raise UserError(f"--as-of {day}: the window decided on {decisions[window]} failed and has no targets")
    return Targets(str(decisions[window]), returns.symbols, targets)
