"""The workers of one sweep: started when the first block comes, replaced after a loss, ended with the sweep."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from backsweep.errors import InvariantError, TransientError
from backsweep.executors.serial import SerialExecutor
from backsweep.flow.placement import Place
from backsweep.ports import BlockOutcome, Executor, Store
from backsweep.stores.opening import AnyStore, StoreAddress, open_store

__all__ = ["Opening", "Workers"]

Block = TypeVar("Block")
Result = TypeVar("Result")
Opening = tuple[Callable[..., Store], tuple[Any, ...]]  # what to call in a worker to open the sweep's store


class Workers:
    """An `Executor` for all rounds and maps of one sweep.

    Parameters
    ----------
    place : where blocks run; not a cluster, whose own driver runs them.
    execution : spec.execution.
    references : digests of the data sets, which workers elsewhere share.

    Attributes
    ----------
    bytes_returned : what the workers sent back; 0 where nothing crosses to another process but results.
    start_seconds : what starting them took.
    """

    def __init__(
        self,
        place: Place,
        execution: Mapping[str, Any],
        store: AnyStore,
        address: StoreAddress,
        references: Sequence[str],
    ) -> None:
        self.place = place
        self.bytes_returned = 0
        self.start_seconds = 0.0
        self._execution = execution
        self._store = store
        self._address = address
        self._references = references
        self._started: tuple[Executor, Opening] | None = None
        self._way_out = contextlib.ExitStack()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the workers, whatever happened."""
        self.close()

    def close(self) -> None:
        """End the workers; the next block would start new ones."""
        self._started = None
        self._way_out.close()

    @property
    def are_running(self) -> bool:
        """Whether the next block needs no start."""
        return self._started is not None

    def opening_here(self) -> Opening:
        """Return how the store is opened where nothing crosses to other machines."""
        return open_store, self._address.for_workers(self._store)

    def start(self) -> Opening:
        """Start what is not running and return how a worker opens the store.

        Raises
        ------
        UserError, TransientError
            If Ray is not installed, or does not start.
        """
        if self._started is None:
            began = time.perf_counter()
            self._started = self._start()
            self.start_seconds += time.perf_counter() - began
        return self._started[1]

    def run(self, blocks: Iterable[Block], work: Callable[[Block], Result]) -> Iterator[BlockOutcome[Result]]:
        """Yield outcomes as blocks finish; after a loss the next call has new workers.

        Raises
        ------
        WorkerLostError, BlockTimeoutError
        """
        waiting = iter(blocks)  # taken one by one: whether one is begun may be decided when its turn comes
        first = list(itertools.islice(waiting, 1))
        if not first:
            return
        if self._started is None:
            raise InvariantError("blocks are run before the workers have been started")
        executor = self._started[0]
        before = getattr(executor, "bytes_returned", 0)
        try:
            yield from executor.run(itertools.chain(first, waiting), work)
        except TransientError:
            self.close()
            raise
        finally:
            self.bytes_returned += getattr(executor, "bytes_returned", 0) - before

    def _start(self) -> tuple[Executor, Opening]:
        here = self.opening_here()
        if self.place.kind == "serial":
            return SerialExecutor(), here
        retries = int(self._execution["retries"])
        timeout_seconds = float(self._execution["blockTimeoutSeconds"])
        if self.place.kind == "processes":
            from backsweep.executors.processes import ProcessExecutor  # its imports cost more than a small sweep

            processes = ProcessExecutor(self.place.workers, retries=retries, timeout_seconds=timeout_seconds)
            return self._way_out.enter_context(processes), here
        return self._start_ray(retries, timeout_seconds, here)

    def _start_ray(self, retries: int, timeout_seconds: float, here: Opening) -> tuple[Executor, Opening]:
        """Start a Ray of this machine; of a store elsewhere the data sets cross to it once."""
        from backsweep.executors.ray_arrays import StoreWithArrays, put_arrays
        from backsweep.executors.ray_session import RaySession
        from backsweep.executors.ray_tasks import RayExecutor

        workers = self.place.workers
        session = self._way_out.enter_context(RaySession(cpus=workers))
        executor = RayExecutor(session, retries=retries, timeout_seconds=timeout_seconds, parallelism=workers)
        if self._store.uri.startswith("file://"):
            return executor, here
        return executor, (StoreWithArrays, (*here, put_arrays(self._store, self._references)))
