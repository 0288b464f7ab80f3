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
    records : unit id -> digest of its record, of the units computed now and of the stored simulations read.
    fresh : ids of the units computed now.
    seconds : (stage, estimator) -> seconds summed over all processes.
    peak_bytes : the most memory a process that computed ever held.
    unclocked : why this run's clock is not that of what is fresh, in a sentence; empty where it is.
    """

    blocks: int = 0
    solve_units: int = 0
    simulations: int = 0
    cached_trials: int = 0
    records: dict[str, str] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    seconds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    peak_bytes: int = 0
    unclocked: str = ""

    @classmethod
    def joined(cls, parts: Sequence[Computed]) -> Computed:
        """Return what computing several plans, one after the other, took together."""
        joined = cls(
            blocks=sum(part.blocks for part in parts),
            solve_units=sum(part.solve_units for part in parts),
            simulations=sum(part.simulations for part in parts),
            cached_trials=sum(part.cached_trials for part in parts),
            fresh=set().union(*(part.fresh for part in parts)),
            peak_bytes=max((part.peak_bytes for part in parts), default=0),
            unclocked=next((part.unclocked for part in parts if part.unclocked), ""),
        )
        for part in parts:
            joined.records.update(part.records)
            for cell, seconds in part.seconds.items():
                joined.seconds[cell] += seconds
        return joined


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
    stored = sorted(plan.present.intersection(rows))
    for identity, record, digest in store.get_units(stored):
        _fill(table, rows[identity], record)
        computed.records[identity] = digest
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
            computed.fresh.update(report.records)
            computed.peak_bytes = max(computed.peak_bytes, report.peak_bytes)
            computed.simulations += len(report.simulations)
            for cell, seconds in report.seconds.items():
                computed.seconds[cell] += seconds
            observe(Progress(done, len(table), computed.cached_trials, table.failed))
    if not table.finished.all():
        left = len(table) - int(table.finished.sum())
        raise InvariantError(f"{left} trials were neither computed nor found in the store, which had them before")
    return table, computed


def _fill(table: TrialTable, rows: Sequence[int], record: dict[str, Any]) -> None:
    for row in rows:
        table.fill(row, record)
