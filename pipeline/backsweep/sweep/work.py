"""What a worker does with a block: open the data set, compute what is missing, store it, report little.

Weights and returns go from here to the store; only metrics, slice statistics and digests travel back.
"""

from __future__ import annotations

import functools
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backsweep.arrays import Float, Weights
from backsweep.errors import InvariantError
from backsweep.ports import Store, UnitWriter
from backsweep.solve.strategy import StrategyData
from backsweep.solve.unit import Timer
from backsweep.sweep.datasets import Dataset, open_dataset
from backsweep.trial import (
    Series,
    Simulated,
    backtest_task,
    failure,
    join_weights,
    judge,
    simulate_task,
    solve_missing,
)
from backsweep.units import Block, SolveTask

__all__ = [
    "BlockReport",
    "Work",
    "do_block",
    "module_folders",
    "no_timer",
    "open_worker",
    "peak_bytes",
    "read_many_weights",
    "read_weights",
    "simulation_record",
]


SERIES_AT_ONCE = 64


@dataclass(slots=True)
class BlockReport:
    """What comes back from a block.

    Parameters
    ----------
    simulations : (simulation id, unit record) of each simulation the block computed.
    records : id -> digest of the record of each unit it computed.
    solved_units : how many solve units it computed.
    seconds : (stage, estimator) -> seconds, for the heatmap.
    peak_bytes : the most memory this process ever held.
    """

    simulations: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)
    solved_units: int = 0
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Work:
    """A worker's whole task, callable with a block; small enough to be sent with each.

    Parameters
    ----------
    store_opener, store_arguments : what to call to open the sweep's store in the worker's process.
    datasets : digests of the sweep's data sets.
    import_paths : folders where the user's own modules are found.
    """

    store_opener: Callable[..., Store]
    store_arguments: tuple[Any, ...]
    datasets: tuple[str, ...]
    import_paths: tuple[str, ...]

    def __call__(self, block: Block) -> BlockReport:
        """Compute and store what `block` misses."""
        for folder in self.import_paths:
            if folder not in sys.path:
                sys.path.insert(0, folder)
        store, dataset = open_worker(self.store_opener, self.store_arguments, self.datasets[block.data])
        with store.unit_writer() as writer:
            return do_block(block, store, writer, dataset)


@functools.lru_cache(maxsize=16)
def open_worker(opener: Callable[..., Store], arguments: tuple[Any, ...], digest: str) -> tuple[Store, Dataset]:
    """Return the sweep's store and one of its data sets, opened once a process."""
    store = opener(*arguments)
    return store, open_dataset(store, digest)


def do_block(block: Block, store: Store, writer: UnitWriter, dataset: Dataset) -> BlockReport:
    """Compute what `block` misses: its units first, then the simulations of every solve that is complete."""
    report = BlockReport()
    seconds: dict[tuple[str, str], float] = defaultdict(float)

    @contextmanager
    def timer(stage: str, estimator: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds[stage, estimator] += time.perf_counter() - start

    data = dataset.strategy_data
    computed: dict[str, Weights | str] = {}
    for solved in solve_missing(block, data, timer):
        outcome = solved.error if solved.weights is None else solved.weights
        if outcome is None:
            raise InvariantError(f"unit {solved.unit.id} has neither weights nor an error")
        computed[solved.unit.id] = outcome
        with timer("store", "weights"):
            _, report.records[solved.unit.id] = writer.put(solved.unit.id, *_solve_record(outcome))
        report.solved_units += 1
    for judged in _judged(block, computed, store, data, timer):
        identity = judged.simulation.id
        with timer("store", "returns"):
            record, report.records[identity] = writer.put(identity, *simulation_record(judged))
        report.simulations.append((identity, record))
    with timer("store", "returns"):
        writer.finish()
    report.seconds = dict(seconds)
    report.peak_bytes = peak_bytes()
    return report


def peak_bytes() -> int:
    """Return the most memory this process ever held, resident.

    Where the kernel tells it of this program alone; what getrusage tells counts the parent's until the program began.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(found.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def no_timer(stage: str, estimator: str) -> Iterator[None]:
    """Time nothing: for the few solves outside of a block."""
    yield


def read_weights(task: SolveTask, store: Store, computed: Mapping[str, Weights | str] | None = None) -> Weights | str:
    """Return a solve's weights over all windows, or the error of the user's own profile.

    Raises
    ------
    InvariantError
        If a unit is neither stored nor in `computed`.
    """
    known = computed or {}
    stored = _stored_parts([unit.id for unit in task.units if unit.id not in known], store)
    return _join([known[unit.id] if unit.id in known else next(stored) for unit in task.units])


def read_many_weights(tasks: Sequence[SolveTask], store: Store) -> Iterator[Weights | str]:
    """Yield the weights of solves as `read_weights` does; those that come next may be on their way already.

    Raises
    ------
    InvariantError
        If a unit is not stored.
    """
    parts = _stored_parts([unit.id for task in tasks for unit in task.units], store)
    for task in tasks:
        yield _join([next(parts) for _ in task.units])


def _join(parts: Sequence[Weights | str]) -> Weights | str:
    """Return the parts of a solve as one, or the first error among them."""
    joined: list[Weights] = []
    for part in parts:
        if isinstance(part, str):
            return part
        joined.append(part)
    return join_weights(joined)


def simulation_record(judged: Simulated) -> tuple[dict[str, Any], dict[str, Float]]:
    """Return the unit record that describes a simulation, and the series it will name."""
    record: dict[str, Any] = {
        "kind": "simulation",
        "status": judged.status,
        "failedWindows": judged.failed_windows,
    }
    if judged.net is None or judged.slices is None:
        return {**record, "error": judged.error}, {}
    record["metrics"] = {name: _json_number(value) for name, value in judged.metrics.items()}
    record["slices"] = judged.slices.tolist()
    return record, {"returns": judged.net}


def _judged(
    block: Block, computed: Mapping[str, Weights | str], store: Store, data: StrategyData, timer: Timer
) -> Iterator[Simulated]:
    """Yield the simulations of every task, judged `SERIES_AT_ONCE` at a time to bound memory."""
    waiting: list[Series] = []
    for task in block.tasks:
        for found in _simulations(task, block, computed, store, data, timer):
            if isinstance(found, Simulated):
                yield found
            else:
                waiting.append(found)
        if len(waiting) >= SERIES_AT_ONCE:
            yield from judge(waiting, block.evaluation, data.returns, timer)
            waiting = []
    if waiting:
        yield from judge(waiting, block.evaluation, data.returns, timer)


def _simulations(
    task: SolveTask,
    block: Block,
    computed: Mapping[str, Weights | str],
    store: Store,
    data: StrategyData,
    timer: Timer,
) -> Sequence[Series | Simulated]:
    if not task.simulations:
        return []
    if not task.units:
        return backtest_task(task, block, data, timer)
    weights = read_weights(task, store, computed)
    if isinstance(weights, str):
        return [failure(item, weights, 0) for item in task.simulations]
    return simulate_task(task, weights, block, data, timer)


def _solve_record(outcome: Weights | str) -> tuple[dict[str, Any], dict[str, Float]]:
    if isinstance(outcome, str):
        return {"kind": "solve", "status": "failed", "error": outcome}, {}
    worst = outcome.certificate[np.isfinite(outcome.certificate)]
    record = {
        "kind": "solve",
        "status": "ok",
        "worstCertificate": float(worst.max()) if len(worst) else None,
        "failures": {str(row): outcome.failures[row] for row in sorted(outcome.failures)},
    }
    return record, {"weights": np.column_stack([outcome.values, outcome.certificate])}


def _stored_parts(unit_ids: Sequence[str], store: Store) -> Iterator[Weights | str]:
    """Yield what is stored of units, in their order; records are small and read first, then arrays one by one."""
    records = {unit_id: record for unit_id, record, _ in store.get_units(dict.fromkeys(unit_ids))}
    missing = next((unit_id for unit_id in unit_ids if unit_id not in records), None)
    if missing is not None:
        raise InvariantError(f"unit {missing} should be stored by now and is not")
    asked = [records[unit_id] for unit_id in unit_ids]
    arrays = store.open_arrays(record["objects"]["weights"] for record in asked if record["status"] != "failed")
    for record in asked:
        if record["status"] == "failed":
            yield str(record["error"])
        else:
            stored = next(arrays)  # (B, n + 1): the last column is the certificate
            failures = {int(row): reason for row, reason in record["failures"].items()}
            yield Weights(stored[:, :-1], stored[:, -1], failures)


def _json_number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def module_folders(document_folder: Path) -> tuple[str, ...]:
    """Return where the user's own modules are looked for: beside the document, then the working folder."""
    return tuple(dict.fromkeys([str(document_folder.resolve()), str(Path.cwd())]))
