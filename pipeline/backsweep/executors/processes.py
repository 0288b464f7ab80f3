"""Several processes on this machine, each with one BLAS thread.

Processes are spawned, not forked: the numeric environment is pinned before a child imports numpy, and no lock or
thread of the parent is inherited half-way.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, TypeVar

from backsweep.errors import BlockTimeoutError, WorkerLostError
from backsweep.executors.process_output import output_logged
from backsweep.ports import BlockOutcome
from backsweep.settings import pin_numeric_environment

__all__ = ["ProcessExecutor"]

Block = TypeVar("Block")
Result = TypeVar("Result")

IN_FLIGHT_PER_PROCESS = 3  # enough to keep a process busy while its results are taken, few enough to bound memory


class ProcessExecutor:
    """Runs blocks in `processes` children; a lost child is replaced and its blocks tried again `retries` times.

    A context manager: the children start with the first block and live to its end, for as many runs as there are.
    """

    def __init__(self, processes: int, *, retries: int, timeout_seconds: float | None) -> None:
        self._processes = processes
        self._retries = retries
        self._timeout_seconds = timeout_seconds
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._output = contextlib.ExitStack()

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the children."""
        self._end()

    def run(self, blocks: Iterable[Block], work: Callable[[Block], Result]) -> Iterator[BlockOutcome[Result]]:
        """Yield outcomes as blocks finish.

        Raises
        ------
        WorkerLostError
            If a block's process died `retries` + 1 times.
        BlockTimeoutError
            If no block finished within the time a block is given.
        """
        waiting: deque[tuple[int, Block, int]] = deque()
        source = ((index, block, 0) for index, block in enumerate(blocks))
        while True:
            lost: list[tuple[int, Block, int]] = []
            yield from self._run_pool(self._started(), waiting, source, work, lost)
            if not lost:
                return
            for index, block, losses in lost:
                if losses > self._retries:
                    message = (
                        f"block {index}: its worker process died {losses} times (out of memory, or killed); "
                        f"what is finished is stored, run the same command to go on"
                    )
                    raise WorkerLostError(message)
                waiting.append((index, block, losses))

    def _started(self) -> concurrent.futures.ProcessPoolExecutor:
        """Return the pool, a new one where there is none; its processes start with the first blocks."""
        if self._pool is None:
            pin_numeric_environment()
            call, arguments = self._output.enter_context(output_logged())
            spawn = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(self._processes, spawn, call, arguments)
        return self._pool

    def _end(self, *, kill: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if kill:
            for process in list((pool._processes or {}).values()):
                process.kill()  # a hung child must not outlive its sweep
        pool.shutdown(wait=True, cancel_futures=True)
        self._output.close()

    def _run_pool(
        self,
        pool: concurrent.futures.ProcessPoolExecutor,
        waiting: deque[tuple[int, Block, int]],
        source: Iterator[tuple[int, Block, int]],
        work: Callable[[Block], Result],
        lost: list[tuple[int, Block, int]],
    ) -> Iterator[BlockOutcome[Result]]:
        """Run until everything is done or the pool breaks; what was in flight then is put into `lost`."""
        running: dict[concurrent.futures.Future[Any], tuple[int, Block, int]] = {}
        finished = False
        try:
            while True:
                while len(running) < self._processes * IN_FLIGHT_PER_PROCESS:
                    item = waiting.popleft() if waiting else next(source, None)
                    if item is None:
                        break
                    waiting.appendleft(item)  # so that it is not lost where the pool breaks at this submission
                    future = pool.submit(work, item[1])
                    running[future] = waiting.popleft()
                if not running:
                    finished = True
                    return
                done, _ = concurrent.futures.wait(
                    running, timeout=self._timeout_seconds, return_when=concurrent.futures.FIRST_COMPLETED
                )
                if not done:
                    raise BlockTimeoutError(self._timed_out(running))
                for future in done:
                    outcome = BlockOutcome(running[future][0], future.result())
                    del running[future]
                    yield outcome
        except BrokenProcessPool:
            lost.extend((index, block, losses + 1) for index, block, losses in running.values())
        finally:
            if not finished:
                self._end(kill=True)

    def _timed_out(self, running: dict[concurrent.futures.Future[Any], tuple[int, Block, int]]) -> str:
        indices = sorted(index for index, _, _ in running.values())
        return (
            f"blocks {indices}: none finished within execution.blockTimeoutSeconds = {self._timeout_seconds:g}; "
            f"what is finished is stored; give more time, or look at a strategy that hangs"
        )
