"""A queue of keys without duplicates, with a back-off for each key: pure logic, and its asyncio shell."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from backsweep_operator.model import Instant

__all__ = ["AsyncQueue", "Backoff", "KeyQueue"]

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits after failures: doubled each time, within bounds.

    Parameters
    ----------
    jitter : returns a number in [0, 1) by which a wait is spread over its last quarter, so that keys that failed
        together do not come back together.
    """

    first_seconds: float = 0.5
    longest_seconds: float = 60.0
    jitter: Callable[[], float] = lambda: 0.0

    def wait_seconds(self, failures: int) -> float:
        """Return the wait after so many failures in a row."""
        wait = min(self.first_seconds * 2.0 ** max(failures - 1, 0), self.longest_seconds)
        return wait * (0.75 + 0.25 * self.jitter())


@dataclass(slots=True)
class KeyQueue(Generic[Key]):
    """Keys and when each is due. A key is held by one taker at a time; what comes meanwhile makes it due again."""

    backoff: Backoff = field(default_factory=Backoff)
    due: dict[Key, Instant] = field(default_factory=dict)
    heap: list[tuple[Instant, int, Key]] = field(default_factory=list)
    held: set[Key] = field(default_factory=set)
    pending: dict[Key, Instant] = field(default_factory=dict)
    failures: dict[Key, int] = field(default_factory=dict)
    counter: int = 0

    def add(self, key: Key, at: Instant) -> None:
        """Make a key due at a time, or earlier if it was; a key that is backing off stays put until then."""
        if key in self.held:
            self.pending[key] = min(at, self.pending.get(key, at))
            return
        if key in self.due and self.due[key] <= at:
            return
        self.due[key] = at
        self.counter += 1
        heapq.heappush(self.heap, (at, self.counter, key))

    def notice(self, key: Key, now: Instant) -> None:
        """Make a key due for something that was seen: at once, unless it failed and is waiting."""
        if self.failures.get(key) and key in self.due:
            return
        self.add(key, now)

    def next_due(self) -> Instant | None:
        """Return when the next key that nobody holds is due; None if there is none."""
        while self.heap and self.due.get(self.heap[0][2]) != self.heap[0][0]:
            heapq.heappop(self.heap)  # overtaken by an earlier time
        return self.heap[0][0] if self.heap else None

    def take(self, now: Instant) -> Key | None:
        """Hand out a key that is due and that nobody holds, the one due longest first; None if there is none."""
        due = self.next_due()
        if due is None or due > now:
            return None
        key = heapq.heappop(self.heap)[2]
        del self.due[key]
        self.held.add(key)
        return key

    def done(self, key: Key, now: Instant, again_after_seconds: float | None) -> None:
        """Take a key back after a pass that went well."""
        self.held.discard(key)
        self.failures.pop(key, None)
        if key in self.pending:
            self.add(key, self.pending.pop(key))
        if again_after_seconds is not None:
            self.add(key, now + again_after_seconds)

    def failed(self, key: Key, now: Instant, at_least_seconds: float = 0.0) -> float:
        """Take a key back after a pass that failed, and return how long it waits."""
        self.held.discard(key)
        self.failures[key] = self.failures.get(key, 0) + 1
        wait = max(self.backoff.wait_seconds(self.failures[key]), at_least_seconds)
        self.pending.pop(key, None)
        self.add(key, now + wait)
        return wait

    def __len__(self) -> int:
        return len(self.due) + len(self.held)


class AsyncQueue(Generic[Key]):
    """The queue for tasks of one event loop: `take` waits until a key is due."""

    def __init__(self, clock: Callable[[], Instant], backoff: Backoff | None = None) -> None:
        self.keys: KeyQueue[Key] = KeyQueue(backoff or Backoff())
        self._clock = clock
        self._changed = asyncio.Event()

    def notice(self, key: Key) -> None:
        """Make a key due for something that was seen."""
        self.keys.notice(key, self._clock())
        self._changed.set()

    async def take(self) -> Key:
        """Return a key once one is due."""
        while True:
            key = self.keys.take(self._clock())
            if key is not None:
                return key
            due = self.keys.next_due()
            wait = None if due is None else max(due - self._clock(), 0.0)
            self._changed.clear()
            # Not wait_for: in Python 3.11 it loses a cancellation that meets a change, and the process never ends.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def done(self, key: Key, again_after_seconds: float | None) -> None:
        """Take a key back after a pass that went well."""
        self.keys.done(key, self._clock(), again_after_seconds)
        self._changed.set()

    def failed(self, key: Key, at_least_seconds: float = 0.0) -> float:
        """Take a key back after a pass that failed, and return how long it waits."""
        wait = self.keys.failed(key, self._clock(), at_least_seconds)
        self._changed.set()
        return wait
