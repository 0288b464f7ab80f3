"""Computes what a plan lacks, wherever that is done, and returns the filled trials table."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backsweep.errors import InvariantError
from backsweep.flow.budget import ThriftyExecutor, allowance_of
from backsweep.flow.cluster.job import ask_there, compute_there
from backsweep.flow.placement import Place
from backsweep.flow.prepare import COMPUTING, Prepared
from backsweep.flow.site import Site
from backsweep.flow.workers import Workers
from backsweep.sweep.compute import Computed, Progress, compute
from backsweep.sweep.parts import Ask, Asked, Chunk, Part, Question, ask_here
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.table import TrialTable
from backsweep.sweep.work import Work, module_folders

__all__ = ["Ran", "ask_workers", "run_blocks", "workers_of"]

Observe = Callable[[Progress], None]
MOST_BYTES_READ_BESIDE = 128 << 20  # 2,000 series of 8,000 rows: some seconds; a job of Ray takes fifteen


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """A plan that is computed.

    Parameters
    ----------
    workers : who computed it, and may be asked more.
    wall_seconds : by the clock, from the start of the workers to the last block.
    """

    prepared: Prepared
    series: SweepSeries
    computed: Computed
    workers: Workers
    wall_seconds: float

    @property
    def place(self) -> Place:
        """Where it was computed."""
        return self.workers.place

    @property
    def bytes_returned(self) -> int:
        """What Ray's workers have sent back so far; 0 without Ray."""
        return self.workers.bytes_returned

    @property
    def table(self) -> TrialTable:
        """The filled trials table."""
        return self.series.table


def workers_of(prepared: Prepared) -> Workers:
    """Return the workers of a sweep; none is started yet."""
    return Workers(
        prepared.place,
        prepared.spec["execution"],
        prepared.store,
        prepared.store_address,
        prepared.references,
    )


def run_blocks(prepared: Prepared, workers: Workers, observe: Observe) -> Ran:
    """Compute what the store lacks and return the filled trials table with its series.

    Raises
    ------
    TransientError
        Something was lost on the way; the same command goes on from what is stored.
    """
    plan = prepared.plan
    for dataset in prepared.datasets:
        ids = [trial.id for trial in plan.trials if trial.values["data"] == dataset.label]
        prepared.ledger.record(dataset.lineage, ids)
    started = time.perf_counter()
    run = _run_there if workers.place.kind == "cluster" else _run_here
    table, computed = prepared.times.time(COMPUTING, lambda: run(prepared, workers, observe))
    seconds = time.perf_counter() - started
    return Ran(prepared, SweepSeries(plan, prepared.store, table), computed, workers, seconds)


def ask_workers(ran: Ran) -> Ask:
    """Return how the stored series are read: by the workers that computed them, otherwise here."""
    prepared, workers = ran.prepared, ran.workers
    here = ask_here(prepared.store, prepared.datasets[0].returns)

    def ask(chunks: Sequence[Chunk], question: Question) -> list[Part]:
        if len(chunks) == 1:
            return here(chunks, question)  # nothing to divide among workers
        if workers.place.kind == "cluster" and ran.computed.fresh and _is_worth_a_job(prepared.site, chunks, question):
            parts, returned = ask_there(prepared, chunks, question)
            workers.bytes_returned += returned
            return parts
        if workers.place.kind != "serial" and workers.are_running:
            asked = Asked(*workers.start(), prepared.references[0], question)
            found = {outcome.index: outcome.result for outcome in workers.run(chunks, asked)}
            return [found[index] for index in range(len(chunks))]
        return here(chunks, question)

    return ask


def _is_worth_a_job(site: Site, chunks: Sequence[Chunk], question: Question) -> bool:
    """Whether series are read by a job of the Ray that is there.

    A Ray made for this run stands beside it, as near to the store: there a job must save more than its start takes.
    """
    if chunks[0].holdings:
        return False
    size = 8 * question.ranked * sum(len(chunk.nets) for chunk in chunks)
    return site.ray is None or not site.ray.is_ours or size > MOST_BYTES_READ_BESIDE


def _run_here(prepared: Prepared, workers: Workers, observe: Observe) -> tuple[TrialTable, Computed]:
    """Run the blocks of the plan on this machine's workers."""
    phases = prepared.plan.blocks(workers.place.workers)
    allowance = allowance_of(prepared, workers.place) if any(phases) else None
    executor = workers if allowance is None else ThriftyExecutor(workers, allowance, workers.place.workers)
    opening = workers.start() if any(phases) else workers.opening_here()
    work = Work(*opening, prepared.references, module_folders(prepared.folder))
    return compute(prepared.plan, prepared.store, executor, work, phases, observe)


def _run_there(prepared: Prepared, workers: Workers, observe: Observe) -> tuple[TrialTable, Computed]:
    """Have a Ray elsewhere compute what the store lacks, then read it from the store."""
    plan = prepared.plan
    cached = plan.present
    fresh = set(plan.unit_ids()) - cached
    report: Mapping[str, Any] = {}
    unclocked = ""
    if fresh:
        started = time.perf_counter()
        report = compute_there(prepared, observe)
        unclocked = _unclocked(report, len(fresh), time.perf_counter() - started)
        present = prepared.store.present_units(plan.unit_ids())
        missing = sum(identity not in present for identity in plan.unit_ids())
        if missing:
            raise InvariantError(f"the job is done and {missing} units are not in the store {prepared.store.uri}")
        plan.present = present
    opening = workers.opening_here()
    work = Work(*opening, prepared.references, module_folders(prepared.folder))
    table, read = compute(plan, prepared.store, workers, work, ((), ()), observe)
    computed = replace(
        read,
        blocks=int(report.get("blocks", 0)),
        solve_units=int(report.get("solveUnits", 0)),
        simulations=int(report.get("simulations", 0)),
        cached_trials=sum(identity in cached for identity in plan.simulation_ids),
        fresh=fresh,
        peak_bytes=int(report.get("peakBytes", 0)),
        seconds={(stage, estimator): seconds for stage, estimator, seconds in report.get("seconds", ())},
        unclocked=unclocked,
    )
    workers.bytes_returned += int(report.get("bytesReturned", 0))
    workers.place = replace(workers.place, workers=int(report.get("slots", workers.place.workers)))
    return table, computed


def _unclocked(report: Mapping[str, Any], lacking: int, seconds: float) -> str:
    """Return why the seconds this run waited are not those of the units it lacked; empty where they are.

    A job outlives who submitted it, and this run may be the next to wait for it. Durations are compared and not
    times of day: the clocks of two machines differ.
    """
    if float(report.get("wallSeconds", 0.0)) > seconds:
        return "the Ray job was begun before this run, so the clock does not tell how long it took: there is no speedup"
    computed = int(report.get("solveUnits", 0)) + int(report.get("simulations", 0))
    if computed != lacking:
        return (
            f"the Ray job computed {computed:,} of the {lacking:,} units this run lacked and another run, or a job "
            f"that was lost, the rest: there is no speedup"
        )
    return ""
