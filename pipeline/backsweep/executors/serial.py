"""One process, one block after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from backsweep.ports import BlockOutcome

__all__ = ["SerialExecutor"]

Block = TypeVar("Block")
Result = TypeVar("Result")


class SerialExecutor:
    """Runs blocks in this process, in the order given."""

    def run(self, blocks: Iterable[Block], work: Callable[[Block], Result]) -> Iterator[BlockOutcome[Result]]:
        """Yield each block's outcome; whatever the work raises passes through."""
        for index, block in enumerate(blocks):
            yield BlockOutcome(index, work(block))
