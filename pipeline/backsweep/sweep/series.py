"""The stored series of a sweep's trials, read in fixed chunks, and the book behind a trial when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backsweep.arrays import Dates, Float, Returns, Weights, Windows
from backsweep.errors import InvariantError, SolveError
from backsweep.plan.sweep_plan import SweepPlan
from backsweep.ports import Store
from backsweep.simulate import Path, positions, simulate
from backsweep.sweep.table import TrialTable
from backsweep.sweep.work import read_many_weights, read_weights
from backsweep.trial import spread
from backsweep.units import Rebalance, SolveTask

__all__ = ["Book", "Holding", "SweepSeries", "read_book"]


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """How a trial's stored weights are held: all it takes to simulate its book anew, in any process."""

    task: SolveTask
    windows: Windows
    rebalance: Rebalance


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """The weights of one trial and how they were held.

    Parameters
    ----------
    targets : (K, N) float64 over all columns of the data set; a failed window is NaN.
    path : the simulation before costs.
    closing : (K, N) float64, drifted weights at the close of each window's last row.
    """

    targets: Float
    path: Path
    closing: Float


class SweepSeries:
    """Reads what a finished plan left in the store."""

    def __init__(self, plan: SweepPlan, store: Store, table: TrialTable) -> None:
        self.plan = plan
        self.table = table
        self._store = store

    def net(self, row: int) -> Float:
        """Return the (T',) net returns of the trial in `row`, as they are stored."""
        series: Float = self._store.open_array(self.table.returns[row])
        return series

    def nets(self, rows: Sequence[int]) -> Iterator[Float]:
        """Yield the net returns of the trials in `rows`, as `net` does; the next may be on their way already."""
        return self._store.open_arrays(self.table.returns[row] for row in rows)

    def stored_net(self, row: int) -> str:
        """Return the digest of the stored net returns of the trial in `row`."""
        digest = self.table.returns[row]
        if not digest:
            raise InvariantError(f"trial {self.table.trials[row].id} has no returns")
        return digest

    def data_of(self, row: int) -> int:
        """Return which data set a trial ran on."""
        return self.plan.data_index[self.table.trials[row].values["data"]]

    def task_of(self, row: int) -> SolveTask:
        """Return a trial's solve."""
        return self.plan.tasks[self.data_of(row), self.table.trials[row].solve]

    def windows_of(self, row: int) -> Windows:
        """Return a trial's windows."""
        data = self.data_of(row)
        return self.plan.windows[data, self.plan.lookbacks[data, self.table.trials[row].solve]]

    def rebalance_of(self, row: int) -> Rebalance:
        """Return a trial's rebalancing rule."""
        rule: Rebalance = self.table.trials[row].values.get("rebalance", "window")
        return rule

    def test_dates(self, data: int) -> Dates:
        """Return the (T',) dates of a data set's test rows."""
        windows = next(windows for (which, _), windows in self.plan.windows.items() if which == data)
        return self.plan.datasets[data].dates[int(windows.test_start[0]) : int(windows.test_stop[-1])]

    def targets(self, row: int) -> Float:
        """Return the (K, N) target weights of a trial.

        Raises
        ------
        SolveError
            If its strategy raised, or it is a whole backtest: it has none.
        """
        solve = self.task_of(row).solve
        return spread(self.weights(row), solve, len(self.plan.datasets[self.data_of(row)].symbols))

    def many_targets(self, rows: Sequence[int]) -> Iterator[Float]:
        """Yield the target weights of trials that have solves; the next may be on their way already.

        Raises
        ------
        SolveError
            As `targets`.
        """
        tasks = [self.task_of(row) for row in rows]
        for row, task, weights in zip(rows, tasks, read_many_weights(tasks, self._store), strict=True):
            yield spread(_known(weights), task.solve, len(self.plan.datasets[self.data_of(row)].symbols))

    def weights(self, row: int) -> Weights:
        """Return a trial's weights over the columns of its solve, with their certificates and failed windows.

        Raises
        ------
        SolveError
            As `targets`.
        """
        return _read(self.task_of(row), self._store)

    def holding(self, row: int) -> Holding:
        """Return how a trial's weights are held."""
        return Holding(self.task_of(row), self.windows_of(row), self.rebalance_of(row))

    def book(self, row: int) -> Book:
        """Return a trial's book, simulated anew from its stored weights.

        Raises
        ------
        SolveError
            As `targets`.
        """
        return read_book(self.holding(row), self.plan.datasets[self.data_of(row)], self._store)


def read_book(holding: Holding, returns: Returns, store: Store) -> Book:
    """Return the book of stored weights.

    Raises
    ------
    SolveError
        If their strategy raised, or it is a whole backtest: it has none.
    """
    task, windows, rule = holding.task, holding.windows, holding.rebalance
    weights = _read(task, store)
    targets = spread(weights, task.solve, len(returns.symbols))
    path = simulate(targets, windows, returns, rule, "hold")
    held = positions(targets, windows, returns, rule, "hold")
    return Book(targets, path, held[windows.test_stop - 1 - windows.test_start[0]])


def _read(task: SolveTask, store: Store) -> Weights:
    return _known(read_weights(task, store) if task.units else "a whole backtest has no target weights")


def _known(weights: Weights | str) -> Weights:
    """Return the weights of a solve, or raise why there are none."""
    if isinstance(weights, str):
        raise SolveError(weights)
    return weights
