"""A plan's work cut into pieces small enough that a sample of them can be done again.

A piece is what a serial run would do at a stretch: the windows of solves that share an estimate, or the simulations of
one solve. Its size is in seconds: those the run itself needed, shared out by the static table, so that a profile which
turned out slow is slow in all its pieces.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backsweep.plan.packing import Family
from backsweep.plan.prediction import simulation_seconds, solve_seconds
from backsweep.units import Block, SolveTask, SolveUnit

__all__ = ["Cell", "Piece", "cut_pieces"]

Cell = tuple[str, str]  # (stage, estimator), as workers time them
FEWEST_WINDOWS = 32  # of a native batch: fewer would make a window dearer than it is
STORED = "store"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Work that can be done alone.

    Parameters
    ----------
    block : what is to be done; `block.seconds` is the size.
    share : which part of its units' windows it has: what is written once a unit counts for so much.
    """

    block: Block
    share: float

    @property
    def seconds(self) -> float:
        """The size."""
        return self.block.seconds


@dataclass(frozen=True, slots=True, eq=False)
class _Portion:
    """Whole units of solves that share an estimate (`run` says which windows), or simulations of one solve."""

    family: Family
    tasks: tuple[SolveTask, ...]
    run: tuple[int, int] | None
    loads: Mapping[Cell, float]

    @property
    def order(self) -> tuple[bool, list[str], int]:
        """What lies beside each other in a systematic sample: like beside like."""
        length = 0 if self.run is None else self.run[1] - self.run[0]
        return self.run is None, sorted("/".join(cell) for cell in self.loads), length


def cut_pieces(
    families: Iterable[Family], measured: Mapping[Cell, float], longest_seconds: Callable[[float], float]
) -> list[Piece]:
    """Return the work of `families` in pieces, like beside like; their sizes add up to the measured seconds.

    Parameters
    ----------
    measured : seconds of each cell, summed over workers; where there are none sizes are predictions.
    longest_seconds : total -> what no piece should be longer than, where it can be cut.
    """
    portions = [portion for family in families for portion in _portions(family)]
    portions.sort(key=lambda portion: portion.order)
    sizes = _sizes(portions, measured)
    longest = longest_seconds(sum(sizes))
    return [
        piece for portion, seconds in zip(portions, sizes, strict=True) for piece in _cut(portion, seconds, longest)
    ]


def _portions(family: Family) -> Iterator[_Portion]:
    """Yield what a family has to solve, then what it has to simulate."""
    groups: dict[str, list[SolveTask]] = defaultdict(list)
    for task in family.tasks:
        solve = task.solve
        shares = solve.is_native and solve.covariance is not None and not solve.sequential
        groups[solve.covariance.key if shares and solve.covariance is not None else task.id].append(task)
    for tasks in groups.values():
        runs = sorted({(unit.start, unit.stop) for task in tasks for unit in task.units if unit.id in task.missing})
        for run in runs:
            parts = [part for task in tasks if (part := _part(task, run)) is not None]
            yield _Portion(family, tuple(parts), run, _solving(family, parts, run[1] - run[0]))
    for task in family.tasks:
        alone = [replace(task, simulations=(each,)) for each in task.simulations] if not task.units else [task]
        for each in alone:
            if each.simulations:
                later = replace(each, missing=frozenset())
                yield _Portion(family, (later,), None, _simulating(family, later))


def _part(task: SolveTask, run: tuple[int, int]) -> SolveTask | None:
    """Return the one unit of a task over these windows, if it is missing."""
    for unit in task.units:
        if (unit.start, unit.stop) == run and unit.id in task.missing:
            return replace(task, units=(unit,), missing=frozenset({unit.id}), simulations=())
    return None


def _solving(family: Family, tasks: Sequence[SolveTask], windows: int) -> dict[Cell, float]:
    loads: dict[Cell, float] = defaultdict(float)
    for task in tasks:
        solve = task.solve
        estimator = "returns" if solve.covariance is None else solve.covariance.name
        loads[solve.stage, estimator] += solve_seconds(task, family.assets, windows, family.training_rows)
        loads[STORED, "weights"] += 1.0
        if solve.mean is not None:
            loads["expectedReturns", solve.mean.name] = float(windows)
        if solve.covariance is not None and solve.is_native:
            loads["covariance", estimator] = float(windows)
    return loads


def _simulating(family: Family, task: SolveTask) -> dict[Cell, float]:
    if not task.units:
        return {("strategy", "backtest"): simulation_seconds(task, family.assets, family.rows)}
    loads: dict[Cell, float] = {
        ("simulate", rule): float(family.rows) for rule in {simulation.rebalance for simulation in task.simulations}
    }
    loads["measure", "metrics"] = loads[STORED, "returns"] = float(len(task.simulations))
    return loads


def _sizes(portions: Sequence[_Portion], measured: Mapping[Cell, float]) -> list[float]:
    """Return the size of each portion: each cell's measured seconds shared out by load."""
    totals: dict[Cell, float] = defaultdict(float)
    for portion in portions:
        for cell, load in portion.loads.items():
            totals[cell] += load
    known = {cell: measured[cell] / total for cell, total in totals.items() if cell in measured and total > 0}
    if not known:
        return [_predicted(portion) for portion in portions]
    return [sum(load * known.get(cell, 0.0) for cell, load in portion.loads.items()) for portion in portions]


def _predicted(portion: _Portion) -> float:
    family = portion.family
    if portion.run is None:
        return simulation_seconds(portion.tasks[0], family.assets, family.rows)
    windows = portion.run[1] - portion.run[0]
    return sum(solve_seconds(task, family.assets, windows, family.training_rows) for task in portion.tasks)


def _cut(portion: _Portion, seconds: float, longest: float) -> Iterator[Piece]:
    """Yield the portion, by windows where it is longer than a piece should be."""
    family = portion.family
    if portion.run is None:
        yield Piece(Block(family.data, family.windows, family.evaluation, portion.tasks, seconds), 1.0)
        return
    start, stop = portion.run
    batched = any(task.solve.is_native and task.solve.profile != "strategy" for task in portion.tasks)
    fewest = FEWEST_WINDOWS if batched else 1
    count = max(1, min(math.ceil(seconds / longest), (stop - start) // fewest))
    bounds = [start + (stop - start) * part // count for part in range(count + 1)]
    for first, last in itertools.pairwise(bounds):
        share = (last - first) / (stop - start)
        tasks = tuple(_shorter(task, first, last) for task in portion.tasks) if count > 1 else portion.tasks
        yield Piece(Block(family.data, family.windows, family.evaluation, tasks, seconds * share), share)


def _shorter(task: SolveTask, start: int, stop: int) -> SolveTask:
    """Return the task with a part of its unit's windows, under a name that no unit has."""
    name = f"{task.units[0].id}-{start}-{stop}"
    return replace(task, units=(SolveUnit(name, start, stop),), missing=frozenset({name}))
