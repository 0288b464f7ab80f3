"""Tiles in Ray's object store, kernels as Ray tasks.

The driver holds references only. A worker maps its input tiles from the object store without copying them and has
private memory for the accumulator and what LAPACK copies. What one node holds is bounded: see docs/linalg.md.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from backsweep.arrays import Float
from backsweep.errors import BacksweepError, BlockTimeoutError, UserError, WorkerLostError
from backsweep.executors.ray_session import Demand, RaySession
from backsweep.linalg.tiles import Handle, Kernel, Tiling

__all__ = ["RayTiles", "ray_tiles"]

IN_FLIGHT_PER_WORKER = 4  # enough that a worker never waits for the driver, few enough to bound memory
STORE_RESERVE = 1.25  # Ray spills to disk when its store is nearly full: keep it from that
LEAST_STORE_BYTES = 80 * 2**20  # Ray refuses less than 75 MiB


class RayTiles:
    """Keeps tiles in the object store of the Ray this process is connected to and runs kernels as its tasks.

    Parameters
    ----------
    workers : tasks that run at once; four times as many are in flight at most.
    timeout_seconds : the longest wait for any one task to finish.
    retries : how often a task whose worker died is tried again.
    """

    def __init__(self, workers: int, *, timeout_seconds: float = 600.0, retries: int = 3) -> None:
        ray = sys.modules.get("ray")  # imported by whoever connected: it reads its settings then
        if ray is None or not ray.is_initialized():
            raise UserError("there is no Ray to compute on: connect to one first, or compute serially")
        self._ray: Any = ray
        self._most_in_flight = workers * IN_FLIGHT_PER_WORKER
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._pending: list[Any] = []
        self._remote: dict[Kernel, Any] = {}

    @property
    def in_flight(self) -> int:
        """Tasks submitted and not known to be finished."""
        return len(self._pending)

    def put(self, tile: Float) -> Handle:
        """Take a tile into keeping."""
        return Handle(self._ray.put(tile))

    def submit(self, kernel: Kernel, *tiles: Handle, **constants: Any) -> Handle:
        """Submit the kernel as a task; wait first while too many are in flight."""
        while len(self._pending) >= self._most_in_flight:
            _, waiting = self._ray.wait(self._pending, num_returns=1, timeout=self._timeout_seconds, fetch_local=False)
            if len(waiting) == len(self._pending):
                raise BlockTimeoutError(
                    f"none of {len(waiting)} tasks on tiles finished within {self._timeout_seconds:g} s; "
                    f"look at the Ray cluster, or give more time or smaller tiles"
                )
            self._pending = waiting
        if kernel not in self._remote:
            self._remote[kernel] = self._ray.remote(num_cpus=1, max_retries=self._retries)(kernel)
        reference = self._remote[kernel].remote(*(tile.content for tile in tiles), **constants)
        self._pending.append(reference)
        return Handle(reference)

    def get(self, tile: Handle) -> Float:
        """Return a tile when it is there.

        Raises
        ------
        WorkerLostError : its worker, or the node that held it, was lost too often.
        BlockTimeoutError : it was not there in time.
        """
        errors = self._ray.exceptions
        try:
            found: Float = self._ray.get(tile.content, timeout=self._timeout_seconds)
        except errors.RayTaskError as error:
            if isinstance(error.cause, BacksweepError):
                raise error.cause from None
            raise
        except errors.GetTimeoutError as error:
            raise BlockTimeoutError(
                f"a tile was not there within {self._timeout_seconds:g} s; look at the Ray cluster, or give more time"
            ) from error
        except (errors.WorkerCrashedError, errors.ObjectLostError, errors.OutOfMemoryError) as error:
            raise WorkerLostError(
                f"a tile was lost with its worker or node ({type(error).__name__}); give workers more memory, or "
                f"smaller tiles, and run the same command again"
            ) from error
        return found

    def release(self, tile: Handle) -> None:
        """Drop the driver's reference; the tile goes when no task needs it any more."""
        tile.content = None


@contextlib.contextmanager
def ray_tiles(tiling: Tiling, workers: int | None = None, address: str | None = None) -> Iterator[RayTiles]:
    """Start a Ray on this machine, large enough for the tiles, or join one, and leave it in order.

    Parameters
    ----------
    workers : processes of a Ray started here; tasks at once on one that is joined (None: as many as it can run).
    address : None starts a Ray; "auto" or host:port joins one.

    Raises
    ------
    UserError : Ray is not installed, is in use in this process, or no node can run a task.
    TransientError : it does not start, or no cluster answers.
    """
    in_flight = (workers or os.cpu_count() or 1) * IN_FLIGHT_PER_WORKER
    needed = int(STORE_RESERVE * tiling.stored_bytes(in_flight))
    store_mib = -(-max(needed, LEAST_STORE_BYTES) // 2**20)
    with RaySession(address, cpus=workers, object_store_mib=store_mib) as session:
        slots = session.wait_for_slots(Demand())
        yield RayTiles(min(workers, slots) if workers else slots)
