"""What exactly was computed for a trial: its inputs, windows, weights over time, costs, failures and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backsweep.errors import SolveError
from backsweep.plan.solves import costs_of
from backsweep.ports import Store
from backsweep.sweep.result import plain_numbers
from backsweep.sweep.series import SweepSeries

__all__ = ["explain_trial"]

SHOWN_WINDOWS = 8


def explain_trial(series: SweepSeries, store: Store, row: int, timings: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything about one trial as plain values.

    `windows` holds some of them, evenly spaced from the first to the last, each with its largest weights.

    Parameters
    ----------
    timings : timings.json of the run; a trial's time is its share of the cells it belongs to.
    """
    table = series.table
    trial, task, windows = table.trials[row], series.task_of(row), series.windows_of(row)
    returns = series.plan.datasets[series.data_of(row)]
    dates = returns.dates
    costs = costs_of(trial.values)
    described: dict[str, Any] = {
        "trial": trial.id,
        "solve": trial.solve,
        "base": trial.base,
        "axes": dict(trial.values),
        "status": table.status[row],
        "error": table.error[row],
        "metrics": {name: values[row] for name, values in table.metrics.items()},
        "costs": {
            "slippageBps": costs.slippage_bps,
            "commissionBps": costs.commission_bps,
            "borrowRate": costs.borrow_rate,
        },
        "simulation": {"unit": series.plan.simulation_ids[row], "returns": table.returns[row] or None},
        "units": [_unit(store, unit.id, unit.start, unit.stop) for unit in task.units],
        "testRows": {
            "first": str(dates[windows.test_start[0]]),
            "last": str(dates[windows.test_stop[-1] - 1]),
            "count": int(windows.test_stop[-1] - windows.test_start[0]),
            "ranked": series.plan.evaluations[series.data_of(row)].ranked_rows,
        },
        "windowCount": len(windows),
        "failedWindows": int(table.failed_windows[row]),
        "time": _time(series, row, timings),
    }
    try:
        book = series.book(row)
    except SolveError:
        return plain_numbers(described)  # type: ignore[no-any-return]  # a dict stays a dict
    described["traded"] = {
        "firstPurchase": book.path.traded[0],
        "perYear": book.path.traded[1:].sum() * returns.periods / len(book.path.traded),
    }
    chosen = np.unique(np.linspace(0, len(windows) - 1, SHOWN_WINDOWS).round().astype(int))
    described["windows"] = [
        {
            "train": [
                str(dates[returns.estimation_rows[windows.train_start[window]]]),
                str(dates[returns.estimation_rows[windows.train_stop[window] - 1]]),
            ],
            "decision": str(dates[windows.decision[window]]),
            "test": [str(dates[windows.test_start[window]]), str(dates[windows.test_stop[window] - 1])],
            "weights": _largest(book.targets[window], returns.symbols),
        }
        for window in chosen.tolist()
    ]
    return plain_numbers(described)  # type: ignore[no-any-return]  # a dict stays a dict


def _time(series: SweepSeries, row: int, timings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cells of the heatmap a trial belongs to: seconds in all, and how many solves or trials share them."""
    task = series.task_of(row)
    covariance = task.solve.covariance
    estimator = "returns" if covariance is None else covariance.name
    alike = [
        other
        for other in series.plan.tasks.values()
        if other.solve.stage == task.solve.stage and other.solve.covariance == covariance
    ]
    estimated = [other for other in series.plan.tasks.values() if other.solve.covariance == covariance]
    trials = len(series.table)
    wanted = {
        ("covariance", estimator): len(estimated),
        (task.solve.stage, estimator): len(alike),
        ("simulate", series.rebalance_of(row)): trials,
        ("measure", "metrics"): trials,
        ("store", "returns"): trials,
    }
    return [
        {**cell, "sharedBy": wanted[cell["stage"], cell["estimator"]]}
        for cell in timings.get("cells", [])
        if (cell["stage"], cell["estimator"]) in wanted
    ]


def _unit(store: Store, identity: str, start: int, stop: int) -> dict[str, Any]:
    record = store.get_unit(identity) or {}
    return {
        "unit": identity,
        "windows": [start, stop],
        "status": record.get("status"),
        "worstCertificate": record.get("worstCertificate"),
        "failures": record.get("failures", {}),
    }


def _largest(weights: np.ndarray[Any, Any], symbols: tuple[str, ...], count: int = 6) -> dict[str, float] | None:
    """Return the largest weights in size, or None where the window failed."""
    if np.isnan(weights).any():
        return None
    order = np.argsort(-np.abs(weights), kind="stable")[:count]
    return {symbols[asset]: round(float(weights[asset]), 4) for asset in order if weights[asset] != 0}
