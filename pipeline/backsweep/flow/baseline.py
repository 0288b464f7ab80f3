"""The serial time of what a run computed: a sample of it, or all of it, done again in this process alone."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from backsweep.errors import InvariantError, VerificationError
from backsweep.flow.run import Ran
from backsweep.plan.pieces import Piece, cut_pieces
from backsweep.plan.sweep_plan import SweepPlan
from backsweep.stores.file import FileStore
from backsweep.stores.records import record_digest
from backsweep.stores.throw_away import ThrowAwayStore
from backsweep.sweep.speedup import Speedup, draw, estimate_total
from backsweep.sweep.work import Work, module_folders

__all__ = ["Baseline", "measure_speedup", "without_speedup"]

Baseline = Literal["sample", "full", "none"]
SAMPLED_SHARE = 0.03
LEAST_SECONDS = 1.0
PIECES_A_SAMPLE = 16  # at least so many of the longest fit: fewer would say little of the error


def without_speedup(ran: Ran) -> str:
    """Return why nobody can say how much faster the run was than one process; empty where it can be measured."""
    return ran.computed.unclocked if ran.computed.fresh else "nothing was computed, so there is no speedup"


def measure_speedup(ran: Ran, baseline: Baseline) -> Speedup | None:
    """Return how much faster the run was than one process, or None where nobody asks or `without_speedup` says why.

    A run that was serial is its own baseline, unless all of it is to be done again. What is done again is done when
    the workers have ended, because nothing else should run then, and is written to a temporary folder.

    Raises
    ------
    VerificationError
        If a unit, done again in full, has other bytes than the stored one.
    """
    if baseline == "none" or without_speedup(ran):
        return None
    wall = ran.wall_seconds
    if ran.place.kind == "serial" and baseline == "sample":
        return Speedup(wall, 0.0, "serial", wall, 1, 0, 0)
    plan = ran.prepared.plan
    left = dataclasses.replace(plan, present=set(plan.unit_ids()) - ran.computed.fresh)
    ran.workers.close()
    measure = _in_full if baseline == "full" else _sampled
    found: Speedup = ran.prepared.times.time("baseline", lambda: measure(ran, left))
    return found


def _sampled(ran: Ran, left: SweepPlan) -> Speedup:
    """Measure a systematic sample of the work's pieces, each alone."""
    pieces = cut_pieces(left.families(), ran.computed.seconds, lambda total: _budget(total) / PIECES_A_SAMPLE)
    sizes = [piece.seconds for piece in pieces]
    budget = _budget(sum(sizes))
    everything = sum(sizes) <= budget
    drawn = list(range(len(pieces))) if everything else draw(sizes, budget, _seed(ran))
    measured: dict[int, float] = {}
    with _folder() as folder:
        smallest = pieces[min(drawn, key=sizes.__getitem__)]
        _seconds_of(smallest, *_again(ran, folder / "imports"))  # what is imported once is not the work's
        again = _again(ran, folder / "store")
        for index in sorted(set(drawn)):
            measured[index] = _seconds_of(pieces[index], *again)
    seconds, error = (sum(measured.values()), 0.0) if everything else estimate_total(sizes, drawn, measured)
    return Speedup(seconds, error, "sample", ran.wall_seconds, ran.place.workers, len(measured), len(pieces))


def _seconds_of(piece: Piece, store: ThrowAwayStore, work: Work) -> float:
    """Return the time of one piece; of what is written once a unit only the piece's share."""
    weighted = [unit.id for task in piece.block.tasks if not task.missing for unit in task.units]
    store.hold(weighted)
    start = time.perf_counter()
    report = work(piece.block)
    seconds = time.perf_counter() - start
    store.let_go()
    stored = sum(spent for (stage, _), spent in report.seconds.items() if stage == "store")
    return seconds - stored * (1.0 - piece.share)


def _in_full(ran: Ran, left: SweepPlan) -> Speedup:
    """Do everything again, block by block, and compare the bytes."""
    first, second = left.blocks(1)
    records: dict[str, str] = {}
    with _folder() as folder:
        _, work = _again(ran, folder)
        start = time.perf_counter()
        for block in (*first, *second):
            records.update(work(block).records)
        seconds = time.perf_counter() - start
    _refuse_other_bytes(ran, records)
    blocks = len(first) + len(second)
    return Speedup(seconds, 0.0, "full", ran.wall_seconds, ran.place.workers, blocks, blocks)


def _refuse_other_bytes(ran: Ran, records: Mapping[str, str]) -> None:
    """Compare each unit done again with the stored one."""
    for identity, found in records.items():
        stored = ran.computed.records.get(identity)
        if stored is None:
            record = ran.prepared.store.get_unit(identity)
            if record is None:
                raise InvariantError(f"unit {identity} was computed by this run and is not in the store")
            stored = record_digest(record)
        if found != stored:
            raise VerificationError(
                f"--baseline full: {_described(ran.prepared.plan, identity)} came out with other bytes when it was "
                f"computed again (record {found[:16]}, stored {stored[:16]}): unit {identity}; a strategy of your own "
                f"must draw its random numbers from a seed"
            )


def _described(plan: SweepPlan, identity: str) -> str:
    for task in plan.tasks.values():
        for unit in task.units:
            if unit.id == identity:
                return f"solve {task.id} ({task.solve.stage}), windows {unit.start} to {unit.stop - 1},"
        for simulation in task.simulations:
            if simulation.id == identity:
                return f"trial {simulation.trial} ({task.solve.stage})"
    raise InvariantError(f"unit {identity} is not in the plan")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="backsweep-baseline-") as folder:
        yield Path(folder)


def _again(ran: Ran, folder: Path) -> tuple[ThrowAwayStore, Work]:
    """Return what does blocks in this process and writes to `folder`."""
    prepared = ran.prepared
    store = ThrowAwayStore(prepared.store, FileStore(folder))
    return store, Work(lambda: store, (), prepared.references, module_folders(prepared.folder))


def _budget(total_seconds: float) -> float:
    """Return how long the sample may take."""
    return max(LEAST_SECONDS, SAMPLED_SHARE * total_seconds)


def _seed(ran: Ran) -> int:
    return int(ran.prepared.key.spec_digest[:8], 16)
