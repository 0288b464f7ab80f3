"""Blocks as Ray tasks: bounded in flight, lost workers tried again, no wait without an end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from backsweep.errors import BlockTimeoutError, InvariantError, UserError, WorkerLostError
from backsweep.executors.ray_blocks import open_payload, run_block
from backsweep.executors.ray_session import Demand, RaySession
from backsweep.ports import BlockOutcome

__all__ = ["RayExecutor"]

Block = TypeVar("Block")
Result = TypeVar("Result")

IN_FLIGHT_PER_SLOT = 2  # one runs and one is there when it ends
RECOUNT_SECONDS = 5.0  # nodes join and leave


class RayExecutor:
    """Runs blocks as tasks of a Ray session.

    Blocks and results cross by value and are small; data sets are opened by the worker from the store (a memory map
    where it is a folder) or, of a store elsewhere, from Ray's object store: see `ray_arrays`.

    Parameters
    ----------
    retries : how often a block whose worker died is tried again.
    timeout_seconds : how long no block may finish.
    parallelism : most blocks that run at once; None for as many as the cluster can.

    Attributes
    ----------
    bytes_returned : what the workers sent back.
    blocks_done : how many blocks that was.
    """

    def __init__(
        self,
        session: RaySession,
        *,
        retries: int,
        timeout_seconds: float,
        demand: Demand | None = None,
        parallelism: int | None = None,
    ) -> None:
        self._session = session
        self._retries = retries
        self._timeout_seconds = timeout_seconds
        self._demand = demand or Demand()
        self._parallelism = parallelism
        self.bytes_returned = 0
        self.blocks_done = 0

    def run(self, blocks: Iterable[Block], work: Callable[[Block], Result]) -> Iterator[BlockOutcome[Result]]:
        """Yield outcomes as blocks finish.

        Raises
        ------
        WorkerLostError
            If a block's worker died `retries` + 1 times.
        BlockTimeoutError
            If no block finished within the time a block is given.
        UserError
            If no node of the cluster can run a block, or its workers have another installation.
        """
        in_flight = _InFlight(self._session, self._demand, self._parallelism)
        import ray

        task: Any = ray.remote(run_block).options(
            num_cpus=self._demand.cpus,
            memory=self._demand.memory_bytes or None,
            max_retries=self._retries,
            name="backsweep block",
        )
        running: dict[Any, int] = {}
        source = enumerate(blocks)
        try:
            while True:
                while len(running) < in_flight.most() and (item := next(source, None)) is not None:
                    running[task.remote(work, item[1])] = item[0]
                if not running:
                    return
                done, _ = ray.wait(list(running), num_returns=1, timeout=self._timeout_seconds)
                if not done:
                    raise BlockTimeoutError(self._timed_out(running))
                index = running.pop(done[0])
                payload = self._payload(done[0], index)
                self.bytes_returned += len(payload)
                self.blocks_done += 1
                yield BlockOutcome(index, open_payload(payload))
        finally:
            for reference in running:
                ray.cancel(reference, force=True)  # a hung block must not outlive its sweep

    def _payload(self, reference: Any, index: int) -> bytes:
        """Return what a finished task sent back, with Ray's own failures in our words."""
        import ray
        from ray import exceptions

        try:
            payload: bytes = ray.get(reference)
        except exceptions.RayTaskError as error:
            message = (
                f"block {index}: a Ray worker could not begin with it: {error.cause!r}; the workers need the same "
                f"installation as this process"
            )
            raise UserError(message) from None
        except exceptions.TaskUnschedulableError as error:
            raise UserError(f"block {index}: Ray cannot run it anywhere: {error}") from None
        except exceptions.TaskCancelledError:
            raise WorkerLostError(f"block {index}: it was cancelled from outside of this sweep") from None
        except exceptions.RayError as error:
            message = (
                f"block {index}: its worker died {self._retries + 1} times (out of memory, or killed; the last one "
                f"by {type(error).__name__}); what is finished is stored, run the same command to go on"
            )
            raise WorkerLostError(message) from error
        if not isinstance(payload, bytes):
            raise InvariantError(f"block {index}: a Ray worker sent {type(payload).__name__}, not bytes")
        return payload

    def _timed_out(self, running: dict[Any, int]) -> str:
        slots = self._session.slots(self._demand)
        return (
            f"blocks {sorted(running.values())}: none finished within execution.blockTimeoutSeconds = "
            f"{self._timeout_seconds:g}, the cluster can run {slots} at once now; what is finished is stored; give "
            f"more time, or look at a strategy that hangs"
        )


class _InFlight:
    """How many blocks may be with Ray: enough to keep it busy, few enough to bound memory."""

    def __init__(self, session: RaySession, demand: Demand, parallelism: int | None) -> None:
        self._session = session
        self._demand = demand
        self._parallelism = parallelism
        self._slots = session.wait_for_slots(demand)
        self._counted_at = time.monotonic()

    def most(self) -> int:
        if time.monotonic() - self._counted_at > RECOUNT_SECONDS:
            self._slots = max(1, self._session.slots(self._demand))
            self._counted_at = time.monotonic()
        if self._parallelism is not None and self._parallelism < self._slots:
            return self._parallelism
        return self._slots * IN_FLIGHT_PER_SLOT
