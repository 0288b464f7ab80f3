"""Virtual time: events in a fixed order, and chance that is the same for the same seed and purpose."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from zlib import crc32

START = 1_800_000_000.0


@dataclass(slots=True)
class Clockwork:
    """Runs what is due, one event after another. Every draw has a purpose, so that leaving out one event of a
    schedule does not change the draws of the others."""

    seed: int
    time: float = START
    events: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    counter: int = 0
    drawn: dict[str, int] = field(default_factory=dict)

    def now(self) -> float:
        return self.time

    def after(self, seconds: float, event: Callable[[], object]) -> None:
        self.counter += 1
        heapq.heappush(self.events, (self.time + seconds, self.counter, event))

    def draw(self, purpose: str) -> float:
        """Return a number in [0, 1) for the next draw of this purpose."""
        count = self.drawn.get(purpose, 0)
        self.drawn[purpose] = count + 1
        mixed = crc32(f"{self.seed}:{purpose}:{count}".encode())
        mixed = (mixed * 2_654_435_761 + 12_345) & 0xFFFFFFFF
        mixed ^= mixed >> 15
        return ((mixed * 2_246_822_519) & 0xFFFFFFFF) / 2**32

    def between(self, low: float, high: float, purpose: str) -> float:
        return low + (high - low) * self.draw(purpose)

    def step(self) -> bool:
        """Run the next event; False if there is none."""
        if not self.events:
            return False
        self.time, _, event = heapq.heappop(self.events)
        event()
        return True
