"""Units into blocks of 0.2 to 5 s: packing changes nothing but speed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from backsweep.arrays import Windows
from backsweep.plan.prediction import simulation_seconds, solve_seconds
from backsweep.units import Block, Evaluation, SolveTask

__all__ = ["Family", "pack", "timed"]

SHORTEST_SECONDS = 0.2
LONGEST_SECONDS = 5.0
BLOCKS_PER_PROCESS = 8  # enough that the last ones finish together


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Solves over the same windows and columns of one data set: their estimates can be shared.

    Parameters
    ----------
    assets : columns the solves may hold.
    rows : test rows.
    tasks : what is missing of each solve, in an order that keeps equal estimators together.
    """

    data: int
    windows: Windows
    evaluation: Evaluation
    assets: int
    rows: int
    tasks: Sequence[SolveTask]

    @property
    def training_rows(self) -> float:
        """Rows a window trains on, on average: an anchored one has more than the one before."""
        return float((self.windows.train_stop - self.windows.train_start).mean())


def timed(family: Family) -> Iterator[tuple[SolveTask, float]]:
    """Yield each task with the predicted seconds of one core for what is missing of it."""
    for task in family.tasks:
        windows = sum(unit.stop - unit.start for unit in task.units if unit.id in task.missing)
        seconds = simulation_seconds(task, family.assets, family.rows)
        if windows:
            seconds += solve_seconds(task, family.assets, windows, family.training_rows)
        yield task, seconds


def pack(families: Iterable[Family], processes: int) -> tuple[list[Block], list[Block]]:
    """Return the blocks of the first and of the second phase.

    A solve whose units fit one block is simulated in that block. One that is longer is cut into blocks of units, and
    its simulations make blocks of the second phase, which starts when the first is done.
    """
    families = list(families)
    total = sum(seconds for family in families for _, seconds in timed(family))
    target = min(max(total / (BLOCKS_PER_PROCESS * processes), SHORTEST_SECONDS), LONGEST_SECONDS)
    first: list[Block] = []
    second: list[Block] = []
    for family in families:
        short: list[tuple[SolveTask, float]] = []
        for task, seconds in timed(family):
            if seconds <= LONGEST_SECONDS or len(task.missing) <= 1:
                short.append((task, seconds))
                continue
            first += [_block(family, [part]) for part in _cut(family, task)]
            if task.simulations:
                later = replace(task, missing=frozenset())
                second.append(_block(family, [(later, simulation_seconds(later, family.assets, family.rows))]))
        first += _gather(family, short, target)
    return first, second


def _gather(family: Family, tasks: Sequence[tuple[SolveTask, float]], target: float) -> list[Block]:
    blocks: list[Block] = []
    current: list[tuple[SolveTask, float]] = []
    for item in tasks:
        if current and sum(seconds for _, seconds in current) + item[1] > target:
            blocks.append(_block(family, current))
            current = []
        current.append(item)
    if current:
        blocks.append(_block(family, current))
    return blocks


def _cut(family: Family, task: SolveTask) -> Iterator[tuple[SolveTask, float]]:
    """Yield the task unit by unit, without its simulations."""
    for unit in task.units:
        if unit.id in task.missing:
            part = replace(task, missing=frozenset({unit.id}), simulations=())
            yield part, solve_seconds(part, family.assets, unit.stop - unit.start, family.training_rows)


def _block(family: Family, tasks: Sequence[tuple[SolveTask, float]]) -> Block:
    return Block(
        data=family.data,
        windows=family.windows,
        evaluation=family.evaluation,
        tasks=tuple(task for task, _ in tasks),
        seconds=sum(seconds for _, seconds in tasks),
    )
