"""The Lease by which one process at a time acts: taken, renewed, given back; and the fence before every write."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from backsweep_api.errors import TransientError
from backsweep_operator.errors import LeaseLostError, WriteConflictError
from backsweep_operator.model import Instant
from backsweep_operator.ports import Clock

__all__ = ["LeaseFence", "LeaseKeeper", "LeaseStore", "Place", "call_seconds", "elapsed_clock"]

logger = logging.getLogger(__name__)

RENEWALS = 6.0  # so many in one lease's time
LONGEST_MARGIN = 2.0
LONGEST_CALL_SECONDS = 10.0


class LeaseStore(Protocol):
    """Where the Lease is."""

    async def read_lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return a Lease by a live read, or None."""

    async def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create a Lease, or replace the one whose resourceVersion `lease` carries, and return it."""


def call_seconds(lease_seconds: float) -> float:
    """Return how long one attempt of a call may take under a lease."""
    return min(LONGEST_CALL_SECONDS, lease_seconds / 3)


def elapsed_clock() -> Callable[[], float]:
    """Return a clock of seconds that never stands still while others may take the lease.

    The monotonic one stops while a machine sleeps, the one on the wall may be set back: what passed is the larger.
    """
    wall, steady = time.time(), time.monotonic()
    return lambda: max(time.time() - wall, time.monotonic() - steady)


class LeaseFence:
    """Says whether this process may still write.

    A call that began while it said so has ended before another process can have taken over: the lease is held for
    the longest call less than it lasts.
    """

    def __init__(self, lease_seconds: float, elapsed: Callable[[], float]) -> None:
        self.hold_seconds = lease_seconds - call_seconds(lease_seconds) - min(LONGEST_MARGIN, lease_seconds / 10)
        self._elapsed = elapsed
        self._held_until: float | None = None

    @property
    def held(self) -> bool:
        """Whether the lease is held for sure."""
        return self._held_until is not None and self._elapsed() < self._held_until

    def renewed(self, sent_at: float) -> None:
        """Take in that a renewal sent at a time of the elapsed clock has come back well."""
        self._held_until = sent_at + self.hold_seconds

    def drop(self) -> None:
        """Hold it no more."""
        self._held_until = None

    def check(self) -> None:
        """Return if the lease is held.

        Raises
        ------
        LeaseLostError
            If it is not, or may not be.
        """
        if not self.held:
            raise LeaseLostError("the lease is not held, or was not renewed in time")


@dataclass(frozen=True, slots=True)
class Place:
    """Which Lease, whose, and for how long."""

    namespace: str
    name: str
    identity: str
    seconds: float


class LeaseKeeper:
    """Takes the lease, keeps it, gives it back."""

    def __init__(
        self, store: LeaseStore, place: Place, fence: LeaseFence, clock: Clock, elapsed: Callable[[], float]
    ) -> None:
        self._store = store
        self._place = place
        self._fence = fence
        self._clock = clock
        self._elapsed = elapsed
        self._lease: Mapping[str, Any] | None = None
        self._seen: tuple[Any, float] | None = None
        self.answered_at: float | None = None
        """When the API server last answered about the lease, by the elapsed clock."""

    @property
    def pause_seconds(self) -> float:
        """How long to wait between two looks."""
        return self._place.seconds / RENEWALS

    async def acquire(self) -> None:
        """Wait until the lease is ours.

        A lease of another is taken over once nothing of it changed for its whole duration, by our own clock: the
        clocks of two machines are never compared. One of our own identity is taken at once: of one pod only one
        container runs, so the process that held it has ended.
        """
        while True:
            try:
                if await self._try():
                    return
            except TransientError as error:
                logger.warning("the lease cannot be read or taken: %s", error)
            await asyncio.sleep(self.pause_seconds)

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises
        ------
        LeaseLostError
            If another process has it, or it could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self.pause_seconds)
            self._fence.check()
            try:
                # Past the fence's time a renewal may still be on its way; it must not be waited for.
                async with asyncio.timeout(self._fence.hold_seconds):
                    await self._renew()
            except WriteConflictError:
                await self._look_who()
            except (TransientError, TimeoutError) as error:
                logger.warning("the lease was not renewed: %s", error)
                self._fence.check()

    async def release(self) -> None:
        """Give the lease back, so that the next process need not wait; nothing may be written afterwards."""
        if self._lease is None or not self._fence.held:
            return
        self._fence.drop()
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            await self._store.write_lease(self._place.namespace, self._place.name, {**self._lease, "spec": spec})
        except TransientError as error:
            logger.warning("the lease was not given back: %s", error)

    async def _try(self) -> bool:
        """Look once; take the lease if it may be taken."""
        place = self._place
        found = await self._store.read_lease(place.namespace, place.name)
        self.answered_at = self._elapsed()
        if found is not None and not self._free(found):
            return False
        self._lease = found
        try:
            await self._renew()
        except WriteConflictError:
            logger.info("another process was faster to take the lease")
            return False
        logger.info("this process leads")
        return True

    async def _look_who(self) -> None:
        """After a conflict: go on if the lease is ours still, since only the answer to our own renewal was lost."""
        try:
            found = await self._store.read_lease(self._place.namespace, self._place.name)
        except TransientError as error:
            logger.warning("the lease cannot be read: %s", error)
            return
        holder = None if found is None else (found.get("spec") or {}).get("holderIdentity")
        if holder != self._place.identity:
            self._fence.drop()
            raise LeaseLostError(f"the lease is held by {holder or 'nobody'} now")
        self._lease = found

    def _free(self, found: Mapping[str, Any]) -> bool:
        """Whether a lease may be taken: nobody's, ours, or unchanged for its whole duration."""
        spec = found.get("spec") or {}
        if spec.get("holderIdentity") in (None, "", self._place.identity):
            return True
        state = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if self._seen is None or self._seen[0] != state:
            self._seen = (state, self._elapsed())
        return self._elapsed() - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._place.seconds)

    async def _renew(self) -> None:
        """Write the lease as ours: a renewal, or a new term."""
        place, sent_at = self._place, self._elapsed()
        spec = dict((self._lease or {}).get("spec") or {})
        now = _micro_time(self._clock.now())
        if spec.get("holderIdentity") != place.identity or not self._fence.held:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {"holderIdentity": place.identity, "renewTime": now, "leaseDurationSeconds": round(place.seconds)}
        metadata = {"name": place.name, "namespace": place.namespace}
        if self._lease is not None:
            metadata |= {key: self._lease["metadata"][key] for key in ("uid", "resourceVersion")}
        wanted = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }
        self._lease = await self._store.write_lease(place.namespace, place.name, wanted)
        self.answered_at = self._elapsed()
        self._fence.renewed(sent_at)


def _micro_time(instant: Instant) -> str:
    """Return a time as Kubernetes' MicroTime."""
    return datetime.fromtimestamp(instant, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
