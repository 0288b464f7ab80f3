"""Composes the stages for one block of work, purely: solve, simulate, measure. No store, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float, Returns, Weights
from backsweep.errors import StrategyError
from backsweep.measure.metrics import measure
from backsweep.measure.slices import slice_statistics
from backsweep.simulate import Path, net_returns, ruined_row, simulate
from backsweep.solve.strategy import StrategyData, solve_strategy
from backsweep.solve.unit import Timer, solve_run
from backsweep.solve.whole_backtest import run_backtest
from backsweep.units import Block, Evaluation, Simulation, Solve, SolveTask, SolveUnit

__all__ = [
    "Series",
    "Simulated",
    "SolvedUnit",
    "backtest_task",
    "failure",
    "join_weights",
    "judge",
    "simulate_task",
    "solve_missing",
    "spread",
]


@dataclass(frozen=True, slots=True, eq=False)
class SolvedUnit:
    """One computed unit; `error` is set, and `weights` None, where the user's own profile raised."""

    task: int
    unit: SolveUnit
    weights: Weights | None
    error: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """One computed simulation.

    Parameters
    ----------
    status : "ok", "ruined" or "failed".
    error : why it failed; None otherwise.
    net : (T',) net returns of the test rows; None where it failed.
    metrics : by the names of the trials table, over the ranked rows; NaN where undefined.
    slices : (16, 3) n, sum and sum of squares of the ranked excess returns; None where it failed.
    """

    simulation: Simulation
    status: str
    error: str | None
    net: Float | None
    metrics: Mapping[str, float]
    slices: Float | None
    failed_windows: int


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One simulation before it is judged: its net returns and the path behind them."""

    simulation: Simulation
    net: Float
    path: Path
    failed_windows: int


def solve_missing(block: Block, data: StrategyData, timer: Timer) -> Iterator[SolvedUnit]:
    """Yield the units of a block that are missing, run after run, so that profiles share their estimates."""
    runs = sorted({(unit.start, unit.stop) for task in block.tasks for unit in task.units if unit.id in task.missing})
    for start, stop in runs:
        windows = block.windows.part(start, stop)
        wanted = [
            (index, task.solve, unit)
            for index, task in enumerate(block.tasks)
            for unit in task.units
            if (unit.start, unit.stop) == (start, stop) and unit.id in task.missing
        ]
        own = [item for item in wanted if item[1].profile == "strategy"]
        native = [item for item in wanted if item[1].profile != "strategy"]
        if native:
            solved = solve_run([solve for _, solve, _ in native], windows, data.returns, timer)
            for (index, _, unit), weights in zip(native, solved, strict=True):
                yield SolvedUnit(index, unit, weights, None)
        for index, solve, unit in own:
            try:
                with timer("strategy", "returns"):
                    weights = solve_strategy(solve, windows, data)
            except StrategyError as error:
                yield SolvedUnit(index, unit, None, str(error))
            else:
                yield SolvedUnit(index, unit, weights, None)


def join_weights(parts: Sequence[Weights]) -> Weights:
    """Return the weights of consecutive runs as one."""
    failures: dict[int, str] = {}
    offset = 0
    for part in parts:
        failures.update({offset + row: reason for row, reason in part.failures.items()})
        offset += len(part.values)
    values = np.concatenate([part.values for part in parts])
    return Weights(values, np.concatenate([part.certificate for part in parts]), failures)


def spread(weights: Weights, solve: Solve, assets: int) -> Float:
    """Return (K, `assets`) the weights over all columns of the data set; failed rows stay NaN."""
    full = np.zeros((len(weights.values), assets))
    full[:, solve.columns] = weights.values
    full[list(weights.failures)] = np.nan
    return full


def simulate_task(
    task: SolveTask, weights: Weights, block: Block, data: StrategyData, timer: Timer
) -> list[Series | Simulated]:
    """Simulate one solve's weights for every rebalancing rule and cost level that is missing.

    What can be judged is a `Series`; a trial that failed is `Simulated` already.
    """
    failed_windows = len(weights.failures)
    if failed_windows and not block.evaluation.hold_on_failure:
        row, reason = min(weights.failures.items())
        day = np.datetime_as_string(data.returns.dates[block.windows.decision[row]])
        windows = f"{failed_windows} of {len(block.windows)} windows failed"
        error = f"{windows}, first the one decided on {day}: {reason}"
        return [failure(simulation, error, failed_windows) for simulation in task.simulations]
    full = spread(weights, task.solve, len(data.returns.symbols))
    found: list[Series | Simulated] = []
    for rule in sorted({simulation.rebalance for simulation in task.simulations}):
        with timer("simulate", rule):
            path = simulate(full, block.windows, data.returns, rule, "hold")
            found += [
                Series(simulation, _charge(path, simulation, data.returns), path, failed_windows)
                for simulation in task.simulations
                if simulation.rebalance == rule
            ]
    return found


def backtest_task(task: SolveTask, block: Block, data: StrategyData, timer: Timer) -> list[Series | Simulated]:
    """Run the user's own whole backtest for every cost level that is missing."""
    found: list[Series | Simulated] = []
    for simulation in task.simulations:
        try:
            with timer("strategy", "backtest"):
                net = run_backtest(task.solve, block.windows, data, simulation.costs)
        except StrategyError as error:
            found.append(failure(simulation, str(error), 0))
            continue
        path = Path(
            start=int(block.windows.test_start[0]),
            gross=np.full_like(net, np.nan),  # its trades are its own affair: costs and turnover are unknown, not zero
            traded=np.full_like(net, np.nan),
            short=np.zeros_like(net),
            weights_end=np.zeros(len(data.returns.symbols)),
            ruined_row=ruined_row(net),
        )
        found.append(Series(simulation, net, path, 0))
    return found


def judge(series: Sequence[Series], evaluation: Evaluation, returns: Returns, timer: Timer) -> list[Simulated]:
    """Measure the ranked rows of many series at once; each gets what it would get alone, to the last bit."""
    ranked = slice(0, evaluation.ranked_rows)
    start = series[0].path.start
    with timer("measure", "metrics"):
        nets = np.stack([item.net[ranked] for item in series])
        gross = np.stack([item.path.gross[ranked] for item in series])
        traded = np.stack([item.path.traded[ranked] for item in series])
        risk_free = returns.risk_free[start : start + evaluation.ranked_rows]
        metrics = measure(nets, gross, traded, returns.periods, risk_free).metrics
        slices = slice_statistics(nets, risk_free)
    return [
        Simulated(
            simulation=item.simulation,
            status="ok" if ruined_row(item.net[ranked]) is None else "ruined",
            error=None,
            net=item.net,
            metrics={name: float(values[index]) for name, values in metrics.items()},
            slices=slices[index],
            failed_windows=item.failed_windows,
        )
        for index, item in enumerate(series)
    ]


def failure(simulation: Simulation, error: str, failed_windows: int) -> Simulated:
    """Return the result of a trial that failed for a reason of its own."""
    return Simulated(simulation, "failed", error, None, {}, None, failed_windows)


def _charge(path: Path, simulation: Simulation, returns: Returns) -> Float:
    costs = simulation.costs
    return net_returns(path, costs.slippage_bps, costs.commission_bps, costs.borrow_rate, returns.periods)
