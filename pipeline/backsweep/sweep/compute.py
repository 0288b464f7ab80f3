"""Drives a plan's blocks through an executor and fills in the trials table as they finish."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backsweep.errors import InvariantError
from backsweep.plan.sweep_plan import SweepPlan
from backsweep.ports import Executor, Store
from backsweep.sweep.table import TrialTable
from backsweep.sweep.work import BlockReport
from backsweep.units import Block

__all__ = ["Computed", "Progress", "compute"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sweep is: trials, of which `cached` were found in the store."""

    done: int
    total: int
    cached: int
    failed: int


@dataclass(slots=True)
class Computed:
    """What computing a plan took.

    Attributes
    ----------
    records : unit id -> digest of its record, of the units computed now.
    seconds : (stage, estimator) -> seconds summed over all processes.
    """

    blocks: int = 0
    solve_units: int = 0
    simulations: int = 0
    cached_trials: int = 0
    records: dict[str, str] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))


def compute(
    plan: SweepPlan,
    store: Store,
    executor: Executor,
    work: Callable[[Block], BlockReport],
    phases: Sequence[Sequence[Block]],
    observe: Callable[[Progress], None],
) -> tuple[TrialTable, Computed]:
    """Return the filled trials table: what the store has is read, the rest is computed block by block.

    Raises
    ------
    TransientError
        If a block was lost or took too long; what finished is stored.
    """
    table = TrialTable(plan.trials)
    rows: dict[str, list[int]] = defaultdict(list)
    for row, identity in enumerate(plan.simulation_ids):
        rows[identity].append(row)
    computed = Computed(blocks=sum(len(blocks) for blocks in phases))
    for identity in plan.present.intersection(rows):
        _fill(table, rows[identity], _record(store, identity))
        computed.cached_trials += len(rows[identity])
    done = computed.cached_trials
    observe(Progress(done, len(table), computed.cached_trials, table.failed))
    for blocks in phases:
        for outcome in executor.run(blocks, work):
            report = outcome.result
            for identity, record in report.simulations:
                _fill(table, rows[identity], record)
                done += len(rows[identity])
            computed.solve_units += report.solved_units
            computed.records.update(report.records)
            computed.simulations += len(report.simulations)
            for cell, seconds in report.seconds.items():
                computed.seconds[cell] += seconds
            observe(Progress(done, len(table), computed.cached_trials, table.failed))
    if not table.finished.all():
        raise InvariantError(f"{len(table) - int(table.finished.sum())} trials were neither computed nor cached")
    return table, computed


def _fill(table: TrialTable, rows: Sequence[int], record: dict[str, Any]) -> None:
    for row in rows:
        table.fill(row, record)


def _record(store: Store, identity: str) -> dict[str, Any]:
    record = store.get_unit(identity)
    if record is None:
        raise InvariantError(f"unit {identity} was in the store when the sweep was planned and is gone")
    return record
