"""The process: lead, look at everything, watch, work off the queue, poll Prefect, and stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from backsweep_api.errors import InvariantError, TransientError
from backsweep_operator.act import Hands
from backsweep_operator.calls import Caller
from backsweep_operator.decide import decide
from backsweep_operator.errors import CallRefusedError, LeaseLostError, UnavailableError
from backsweep_operator.json_logs import about
from backsweep_operator.kinds import WATCHED
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.leases import LeaseFence, LeaseKeeper
from backsweep_operator.measures import measured, watch_gauges
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import Instant, Kind, SweepView
from backsweep_operator.observe import Key, Seen
from backsweep_operator.ports import Prefect
from backsweep_operator.queue import AsyncQueue, Backoff
from backsweep_operator.reconcile import Reconciler
from backsweep_operator.settings import OperatorSettings
from backsweep_operator.watches import Intake, Resync

__all__ = ["Parts", "Runtime", "WallClock"]

logger = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0
BUG_SECONDS = 600.0
STOP_SECONDS = 10.0
CATCH_UP_SECONDS = 2.0
SLOW_START_SECONDS = 10.0
STUCK_SECONDS = 300.0


class WallClock:
    """The time of day."""

    def now(self) -> Instant:
        """Return seconds since 1970."""
        return time.time()


@dataclass(slots=True)
class Parts:
    """What the process is put together from.

    Parameters
    ----------
    watching : watches until cancelled, given the intake of events.
    callers : closed at the end.
    """

    settings: OperatorSettings
    kube: KubeApi
    prefect: Prefect
    fence: LeaseFence
    lease: LeaseKeeper
    metrics: OperatorMetrics
    elapsed: Callable[[], float]
    watching: Callable[[Intake], Coroutine[Any, Any, None]]
    callers: tuple[Caller, ...] = ()
    chance: random.Random = field(default_factory=random.Random)


class Runtime:
    """One process of the operator, from waiting for the lease to its end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        settings, clock = parts.settings, WallClock()
        seen = Seen()
        backoff = Backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, parts.chance.random)
        self.queue: AsyncQueue[Key] = AsyncQueue(clock.now, backoff)
        self._due: dict[Key, Instant] = {}
        self._working: dict[Key, float] = {}
        self._at_work = 0
        self._seen = seen
        self._clock = clock
        hands = Hands(parts.kube, parts.prefect, clock, parts.fence, seen)
        self._reconciler = Reconciler(hands, settings.release, measured(decide, parts.metrics))
        self._intake = Intake(seen, self.notice, parts.metrics, parts.elapsed)
        self._resync = Resync(parts.kube, self._intake, settings.watch_namespaces, parts.elapsed)
        self._stopping = False
        self._led = False
        self._watching = False
        self._unready = ["the lease was not looked at yet"]
        watch_gauges(parts.metrics, seen, self.queue)

    def notice(self, key: Key) -> None:
        """Have a sweep looked at soon."""
        self._due.setdefault(key, self._clock.now())
        self.queue.notice(key)

    def dead(self) -> list[str]:
        """Return why this process should be started anew."""
        if not self._led or self._stopping:
            return []
        reasons = [] if self._parts.fence.held else ["the lease is lost"]
        reasons += [f"the watch of {watch} is deaf" for watch in self._resync.deaf()]
        stuck = [key for key, since in self._working.items() if self._parts.elapsed() - since > STUCK_SECONDS]
        return reasons + [f"the pass over {'/'.join(key)} does not end" for key in stuck]

    def unready(self) -> list[str]:
        """Return why this process does not serve yet; a standby that sees the lease is ready."""
        if self._stopping:
            return ["stopping"]
        if not self._led and self._parts.lease.answered_at is not None:
            return []
        return self._unready

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Raises
        ------
        LeaseLostError
            If another process leads; this one has made no call since.
        Exception
            Whatever ends a watch for good.
        """
        try:
            if not await _unless(stop, self._parts.lease.acquire()):
                return
            self._led = True
            self._parts.metrics.leading.set(1.0)
            async with _ended_together() as together:
                keeping = together(self._parts.lease.keep(), "lease")
                leading = together(self._lead(stop), "leading")
                done, _ = await asyncio.wait({keeping, leading}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            await self._parts.lease.release()
        finally:
            self._stopping = True
            self._parts.metrics.leading.set(0.0)
            for caller in self._parts.callers:
                await caller.close()

    async def _lead(self, stop: asyncio.Event) -> None:
        """Serve as the leader until told to stop; what was begun is finished within bounds."""
        if not await _unless(stop, self._look_at_everything()):
            return
        self._unready, self._watching = [], True
        async with _ended_together() as together:
            watching = together(self._parts.watching(self._intake), "watching")
            regular = [
                together(self._regularly(self._catch_up, CATCH_UP_SECONDS), "catching up"),
                together(self._regularly(self._list_all, self._parts.settings.resync_seconds), "resync"),
                together(self._regularly(self._poll, self._parts.settings.release.poll_seconds), "poll"),
                together(self._regularly(self._orphans, self._parts.settings.orphans_seconds), "orphans"),
            ]
            passes = [together(self._work(stop), f"pass {n}") for n in range(self._parts.settings.passes)]
            asked = together(stop.wait(), "stop")
            done, _ = await asyncio.wait({watching, asked, *regular, *passes}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            self._stopping = True
            if asked not in done:
                raise UnavailableError("the watches ended")
            logger.info("stopping: what was begun is finished")
            until = time.monotonic() + STOP_SECONDS
            while self._working and time.monotonic() < until:
                await asyncio.sleep(0.02)

    async def _look_at_everything(self) -> None:
        """Wait for the kinds to be there, then list all of them, until that has worked once."""
        while True:
            try:
                missing = await self._parts.kube.missing_kinds()
                if not missing:
                    await self._list_all()
                    await self._orphans()
                    return
                self._unready = [f"the API server does not serve {each}; install its definition" for each in missing]
            except LeaseLostError:
                raise
            except TransientError as error:
                self._unready = [f"not everything could be listed: {error}"]
            logger.warning("waiting: %s", "; ".join(self._unready))
            await asyncio.sleep(SLOW_START_SECONDS)

    async def _work(self, stop: asyncio.Event) -> None:
        """Work off the queue, one sweep after the other."""
        while not stop.is_set():
            key = await self.queue.take()
            if stop.is_set():
                return
            due = self._due.pop(key, None)
            if due is not None:
                self._parts.metrics.queue_seconds.observe(max(self._clock.now() - due, 0.0))
            self._working[key] = self._parts.elapsed()
            try:
                with about("/".join(key), self._attempt_of(key)):
                    await self._one_pass(key)
            finally:
                del self._working[key]
            self._offer_places()

    def _offer_places(self) -> None:
        """Have as many of the sweeps in line looked at as places were given back since the last pass."""
        at_work = len(self._seen.active)
        freed, self._at_work = max(self._at_work - at_work, 0), at_work
        for key in self._seen.first_in_line(freed):
            self.notice(key)

    async def _one_pass(self, key: Key) -> None:
        """Do one pass over a sweep; an error is for this sweep alone, a lost lease for all."""
        began, end = time.monotonic(), "done"
        metrics = self._parts.metrics
        try:
            self.queue.done(key, await self._reconciler.reconcile(key))
        except LeaseLostError:
            raise
        except CallRefusedError as error:
            end = error.reason
            logger.error("%s", error)
            self.queue.failed(key, error.retry_after_seconds)
        except TransientError as error:
            end = error.reason
            logger.info("%s: %s", error.reason, error)
            self.queue.failed(key, error.retry_after_seconds if error.retry_after_seconds > 1.0 else 0.0)
        except Exception as error:
            end = InvariantError.reason
            logger.exception("a bug: %s; this sweep waits, others go on", error)
            self.queue.failed(key, BUG_SECONDS)
        finally:
            metrics.passes.add(end)
            metrics.pass_seconds.observe(time.monotonic() - began)

    def _attempt_of(self, key: Key) -> int | None:
        view = self._seen.views[Kind.SWEEP].get(key)
        run = view.status.run if isinstance(view, SweepView) else None
        return None if run is None else run.attempt

    async def _regularly(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Do something again and again, the waits spread by a quarter; what fails is tried the next time."""
        while True:
            await asyncio.sleep(seconds * (0.75 + 0.5 * self._parts.chance.random()))
            try:
                await work()
            except LeaseLostError:
                raise
            except TransientError as error:
                logger.warning("%s", error)

    async def _catch_up(self) -> None:
        """List again what a watch has listed, once it is through: what was deleted meanwhile, no watch tells."""
        through = self._parts.elapsed() - CATCH_UP_SECONDS
        for kind in [kind for kind, at in self._intake.relisted.items() if at <= through]:
            at = self._intake.relisted.pop(kind)
            try:
                await self._list(kind)
            except TransientError:
                self._intake.relisted.setdefault(kind, at)
                raise

    async def _list_all(self) -> None:
        """List everything, and look at every sweep, whether anything changed or not."""
        for kind in WATCHED:
            await self._list(kind)
        for key in sorted(self._seen.views[Kind.SWEEP]):
            self.notice(key)

    async def _list(self, kind: Kind) -> None:
        """List a kind; what it brings that no watch had told of is drift, once watches are at work."""
        moved = await self._resync.one(kind)
        if moved and self._watching:
            self._parts.metrics.drift.add(str(kind), amount=moved)

    async def _poll(self) -> None:
        for key in sorted(await self._reconciler.poll()):
            self.notice(key)

    async def _orphans(self) -> None:
        for key in sorted(await self._reconciler.find_orphans()):
            self.notice(key)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do something unless told to stop before; return whether it was done."""
    async with _ended_together() as together:
        working, asked = together(work, "work"), together(stop.wait(), "stop")
        done, _ = await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            working.result()
        return working in done


@contextlib.asynccontextmanager
async def _ended_together() -> Any:
    """Give a function that starts tasks; all that still run at the end are cancelled, and waited for."""
    tasks: list[asyncio.Task[Any]] = []

    def start(work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        tasks.append(asyncio.create_task(work, name=name))
        return tasks[-1]

    try:
        yield start
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
