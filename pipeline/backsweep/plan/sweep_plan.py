"""The plan of a sweep: its distinct trials, their solves and units, what the store already has, what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backsweep.arrays import Returns, Windows
from backsweep.eligibility import UNTRAINED_PROFILES, eligible_assets
from backsweep.plan.identity import (
    evaluated_rows,
    simulation_id,
    simulation_prefix,
    solve_unit_id,
    trained_rows,
)
from backsweep.plan.packing import Family, pack, timed
from backsweep.plan.prediction import predicted_bytes
from backsweep.plan.solves import costs_of, lookback_of, solve_of
from backsweep.plan.windows import PEER_RUN, RUN, WalkForward, aligned_runs, make_windows, ranked_rows
from backsweep.units import Block, Evaluation, Simulation, Solve, SolveTask, SolveUnit
from backsweep_api.trials import Trial

__all__ = ["PlanOptions", "SweepPlan", "make_plan"]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the document says that is the same for all trials.

    Parameters
    ----------
    longest_lookback : rows of the longest lookback of any trial: it sets the first test row.
    holdout : last rows, or first date, that never rank.
    strategy : of spec.strategy: entrypoint, kind, usesPrevious, code (digest of its package) and inputs (one digest
        a data set, of all it may read); None without one.
    environment : digest of the numeric environment.
    engines : versions of the packages of each peer that solves trials.
    """

    walk: WalkForward
    longest_lookback: int
    holdout: int | str | None
    hold_on_failure: bool
    strategy: Mapping[str, Any] | None
    environment: str
    engines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class SweepPlan:
    """Everything there is to do, and what of it is done.

    Attributes
    ----------
    data_index : value of the axis `data` -> position in `datasets`.
    tasks : (data set, solve id) -> the solve with all its units and all its simulations.
    simulation_ids : one a trial, in the order of `trials`.
    windows : (data set, lookback) -> its windows.
    present : unit ids that the store had when the plan was made.
    """

    trials: Sequence[Trial]
    datasets: Sequence[Returns]
    data_index: Mapping[str, int]
    tasks: dict[tuple[int, str], SolveTask] = field(default_factory=dict)
    lookbacks: dict[tuple[int, str], int] = field(default_factory=dict)
    simulation_ids: list[str] = field(default_factory=list)
    windows: dict[tuple[int, int], Windows] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)
    present: set[str] = field(default_factory=set)

    def families(self) -> list[Family]:
        """Return what is missing, grouped by what can share estimates, in the plan's order."""
        groups: dict[tuple[int, int, bytes, bool], list[SolveTask]] = {}
        for (data, solve_id), task in self.tasks.items():
            left = self.remaining(task)
            if not left.missing and not left.simulations:
                continue
            untrained = task.solve.profile in UNTRAINED_PROFILES
            key = (data, self.lookbacks[data, solve_id], task.solve.columns.tobytes(), untrained)
            groups.setdefault(key, []).append(left)
        return [self._family(key[0], key[1], tasks) for key, tasks in groups.items()]

    def remaining(self, task: SolveTask) -> SolveTask:
        """Return what the store lacks of a task."""
        missing = frozenset(unit.id for unit in task.units if unit.id not in self.present)
        simulations = tuple(item for item in task.simulations if item.id not in self.present)
        return SolveTask(task.id, task.solve, task.units, missing, simulations)

    def blocks(self, processes: int) -> tuple[list[Block], list[Block]]:
        """Return the blocks of both phases; see `pack`."""
        return pack(self.families(), processes)

    def predicted_seconds(self) -> float:
        """Return the predicted time of one core for what is missing."""
        return sum(seconds for family in self.families() for _, seconds in timed(family))

    def predicted_bytes(self) -> int:
        """Return the predicted peak memory of one process."""
        largest = max(self.datasets, key=lambda returns: returns.simulation.size)
        return predicted_bytes(len(self.trials), len(largest.symbols), len(largest.dates))

    def counts(self) -> dict[str, int]:
        """Return how much there is and how much of it the store has."""
        units = {unit.id for task in self.tasks.values() for unit in task.units}
        return {
            "trials": len(self.trials),
            "trialsCached": sum(identity in self.present for identity in self.simulation_ids),
            "solves": len(self.tasks),
            "solveUnits": len(units),
            "solveUnitsCached": len(units & self.present),
            "simulations": len(set(self.simulation_ids)),
            "simulationsCached": len(set(self.simulation_ids) & self.present),
            "windows": max((len(windows) for windows in self.windows.values()), default=0),
        }

    def unit_ids(self) -> Iterator[str]:
        """Yield the ids of all units of the sweep: solves first, then simulations, each once."""
        seen: set[str] = set()
        for task in self.tasks.values():
            for unit in task.units:
                if unit.id not in seen:
                    seen.add(unit.id)
                    yield unit.id
        yield from dict.fromkeys(self.simulation_ids)

    def _family(self, data: int, lookback: int, tasks: list[SolveTask]) -> Family:
        windows = self.windows[data, lookback]
        rows = int(windows.test_stop[-1] - windows.test_start[0])
        tasks.sort(key=_estimates)
        return Family(data, windows, self.evaluations[data], len(tasks[0].solve.columns), rows, tasks)


def make_plan(
    trials: Sequence[Trial],
    datasets: Sequence[Returns],
    data_index: Mapping[str, int],
    options: PlanOptions,
    present_units: Callable[[Iterable[str]], set[str]],
) -> SweepPlan:
    """Plan the distinct trials of a sweep over its resolved data sets.

    Parameters
    ----------
    data_index : see `SweepPlan`.
    present_units : the store's answer which ids exist; asked once.

    Raises
    ------
    DataError
        If the data are too short, or lack a symbol that the document names.
    """
    plan = SweepPlan(trials, datasets, data_index)
    maker = _Maker(plan, options)
    for data in range(len(datasets)):
        maker.open_dataset(data)
    for trial in trials:
        maker.add(trial, data_index[trial.values["data"]])
    maker.finish()
    plan.present = present_units(plan.unit_ids())
    return plan


class _Maker:
    """Builds a plan trial by trial, remembering what trials share."""

    def __init__(self, plan: SweepPlan, options: PlanOptions) -> None:
        self._plan = plan
        self._options = options
        self._rows: dict[tuple[int, int, bytes, str, int, int], str] = {}
        self._evaluated: list[str] = []
        self._prefixes: dict[tuple[int, str], Any] = {}
        self._simulations: dict[tuple[int, str], list[Simulation]] = {}

    def open_dataset(self, data: int) -> None:
        """Place the windows of the longest lookback, which all trials of the data set share in their test rows."""
        windows = self._windows(data, self._options.longest_lookback)
        first, stop = int(windows.test_start[0]), int(windows.test_stop[-1])
        returns = self._plan.datasets[data]
        ranked = ranked_rows(returns.dates[first:stop], self._options.holdout)
        self._plan.evaluations.append(Evaluation(ranked, self._options.hold_on_failure))
        self._evaluated.append(evaluated_rows(returns, first, stop))

    def add(self, trial: Trial, data: int) -> None:
        """Add a trial: its solve, unless another trial brought it, and its simulation."""
        key = (data, trial.solve)
        task = self._plan.tasks.get(key)
        if task is None:
            task = self._add_solve(key, trial)
        rebalance = trial.values.get("rebalance", "window")
        costs = costs_of(trial.values)
        identity = simulation_id(self._prefixes[key], rebalance, costs)
        self._plan.simulation_ids.append(identity)
        self._simulations[key].append(Simulation(identity, trial.id, rebalance, costs))

    def finish(self) -> None:
        """Hand the simulations over to their tasks."""
        for key, task in self._plan.tasks.items():
            self._plan.tasks[key] = SolveTask(
                task.id, task.solve, task.units, task.missing, tuple(self._simulations[key])
            )

    def _add_solve(self, key: tuple[int, str], trial: Trial) -> SolveTask:
        data, solve_id = key
        options = self._options
        lookback = lookback_of(trial.values, options.longest_lookback)
        windows = self._windows(data, lookback)
        solve = solve_of(trial.values, self._plan.datasets[data], options.strategy, options.engines)
        units = () if self._is_backtest(solve) else self._units(data, lookback, windows, solve)
        task = SolveTask(solve_id, solve, units, frozenset(unit.id for unit in units), ())
        self._plan.tasks[key] = task
        self._plan.lookbacks[key] = lookback
        self._simulations[key] = []
        named = [unit.id for unit in units]
        if not units:  # the user's own whole backtest: its simulation is all there is
            named = [solve_unit_id(options.environment, self._inputs(data), solve), str(lookback)]
        self._prefixes[key] = simulation_prefix(
            options.environment, self._evaluated[data], self._plan.evaluations[data], windows, named
        )
        return task

    def _units(self, data: int, lookback: int, windows: Windows, solve: Solve) -> tuple[SolveUnit, ...]:
        longest = RUN if solve.is_native else PEER_RUN
        runs = [(0, len(windows))] if solve.sequential else list(aligned_runs(len(windows), longest))
        return tuple(
            SolveUnit(
                solve_unit_id(self._options.environment, self._rows_of(data, lookback, solve, start, stop), solve),
                start,
                stop,
            )
            for start, stop in runs
        )

    def _rows_of(self, data: int, lookback: int, solve: Solve, start: int, stop: int) -> str:
        """Return the digest of the rows a unit reads, which all profiles of its family share."""
        untrained = solve.profile if solve.profile in UNTRAINED_PROFILES or solve.code else ""
        market = solve.constraints is not None and solve.constraints.get("beta") is not None
        key = (data, lookback, solve.columns.tobytes(), f"{untrained} {market}", start, stop)
        if key not in self._rows:
            returns = self._plan.datasets[data]
            windows = self._windows(data, lookback).part(start, stop)
            eligible = eligible_assets(returns, windows, solve.profile, solve.columns)
            rows = trained_rows(returns, windows, solve, eligible)
            self._rows[key] = rows if solve.code is None else f"{rows} {self._inputs(data)}"
        return self._rows[key]

    def _inputs(self, data: int) -> str:
        """Return the digest of the whole data set: the user's own code may read any row before its own."""
        strategy = self._options.strategy
        return "" if strategy is None else str(strategy["inputs"][data])

    def _windows(self, data: int, lookback: int) -> Windows:
        key = (data, lookback)
        if key not in self._plan.windows:
            self._plan.windows[key] = make_windows(
                self._plan.datasets[data], lookback, self._options.longest_lookback, self._options.walk
            )
        return self._plan.windows[key]

    def _is_backtest(self, solve: Solve) -> bool:
        strategy = self._options.strategy
        return solve.profile == "strategy" and strategy is not None and strategy["kind"] == "backtest"


def _estimates(task: SolveTask) -> tuple[str, str]:
    covariance, mean = task.solve.covariance, task.solve.mean
    return ("" if covariance is None else covariance.key, "" if mean is None else mean.key)
