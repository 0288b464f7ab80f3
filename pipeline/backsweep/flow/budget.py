"""spec.budget: no block begins that could pass the limit, and what is finished stays stored.

The cost is simulated, as in `costs`: what the processes hold, by the document's prices, for as long as they hold it.
While blocks are computed that is so much a second, so that money left is time left.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from operator import attrgetter
from typing import TypeVar

from backsweep.errors import BudgetExceededError
from backsweep.flow.holdings import held_by
from backsweep.flow.placement import Place
from backsweep.flow.prepare import COMPUTING, Prepared
from backsweep.ports import BlockOutcome, Executor
from backsweep.sweep.cost import Held
from backsweep.sweep.work import peak_bytes
from backsweep_api.pricing import decimal_seconds, prices_of

__all__ = ["BUDGET_VARIABLE", "Allowance", "ThriftyExecutor", "allowance_of"]

BUDGET_VARIABLE = "BACKSWEEP_ALLOWANCE"  # by which the driver on a Ray elsewhere is told

predicted_seconds = attrgetter("seconds")  # of the blocks of a plan
Block = TypeVar("Block")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Until when the compute that is held can be paid for.

    Parameters
    ----------
    until : seconds since 1970, so that it means the same in a driver on another machine.
    limit : the budget, for people.
    """

    until: float
    limit: str

    def check(self) -> None:
        """Return if there is time left.

        Raises
        ------
        BudgetExceededError
        """
        if time.time() >= self.until:
            raise self.exceeded("nothing more is begun")

    def exceeded(self, what: str) -> BudgetExceededError:
        """Return the error that says what was left undone."""
        return BudgetExceededError(
            f"stopped before spec.budget.maxCost = {self.limit} is passed: {what}; what is finished is stored; raise "
            f"it, and the same sweep goes on from there"
        )

    def to_text(self) -> str:
        """Return it as the value of `BUDGET_VARIABLE`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | None) -> Allowance | None:
        """Return what `to_text` wrote; None for None."""
        return None if text is None else cls(**json.loads(text))


def allowance_of(prepared: Prepared, place: Place) -> Allowance | None:
    """Return until when blocks may run at `place`, from now; None where there is no budget, or compute is free.

    What was spent before are earlier attempts and the stages up to now. In a pod everything the attempt has costs from
    its beginning; on a laptop a run pays for itself alone.
    """
    spec, site = prepared.document.spec, prepared.site
    if spec.budget is None or spec.pricing is None:
        return None
    prices = prices_of(spec.pricing)
    here, held = _held(prepared, place)
    spent = site.spent
    for stage, seconds in prepared.times.seconds.items():
        holding = held if site.ray is not None or stage == COMPUTING else here
        used = holding * decimal_seconds(seconds)
        spent += prices.cost(used.cores, used.memory_gib)
    second = prices.cost(held.cores, held.memory_gib)
    if second <= 0:
        return None
    limit = Decimal(spec.budget.max_cost)
    return Allowance(time.time() + float((limit - spent) / second), f"{spec.budget.max_cost} {prices.currency}")


def _held(prepared: Prepared, place: Place) -> tuple[Held, Held]:
    """Return what this process holds, and what all do together while blocks are computed."""
    cluster = prepared.spec.get("cluster", {})
    head, _ = held_by(cluster.get("head"), peak_bytes())
    worker, _ = held_by(cluster.get("workers"), peak_bytes())
    if prepared.site.is_pod:  # beside head and workers, where there are any
        pod, _ = held_by(None, peak_bytes())
        ray = prepared.site.ray
        return pod, pod if ray is None else pod + head + worker * Decimal(max(ray.workers, 1))
    if place.kind == "serial":
        return head, head
    workers = worker * Decimal(place.workers)
    return head, head + workers if place.is_ray else workers


class ThriftyExecutor:
    """An `Executor` that begins no block that could pass an allowance.

    A block could if all in flight and itself, shared out evenly, may end after the allowance does; a block alone takes
    its own time at least. Predictions are for one machine: they are stretched by how long the finished ones took.

    Parameters
    ----------
    workers : how many blocks run at once.
    clock : seconds since 1970.
    """

    def __init__(
        self, executor: Executor, allowance: Allowance, workers: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._executor = executor
        self._allowance = allowance
        self._workers = workers
        self._clock = clock
        self._finished_seconds = 0.0
        self._began: float | None = None

    def run(self, blocks: Iterable[Block], work: Callable[[Block], Result]) -> Iterator[BlockOutcome[Result]]:
        """Yield outcomes as blocks finish; those in flight when the money ends are waited for.

        Raises
        ------
        BudgetExceededError
            If a block was not begun.
        """
        waiting = list(blocks)
        flight: dict[int, float] = {}
        begun = 0

        def affordable() -> Iterator[Block]:
            nonlocal begun
            for index, block in enumerate(waiting):
                seconds = predicted_seconds(block)
                if not self._fits(seconds, flight.values()):
                    return
                if self._began is None:
                    self._began = self._clock()
                flight[index] = seconds
                begun = index + 1
                yield block

        for outcome in self._executor.run(affordable(), work):
            self._finished_seconds += flight.pop(outcome.index, 0.0)
            yield outcome
        if begun < len(waiting):
            raise self._allowance.exceeded(f"{len(waiting) - begun:,} of {len(waiting):,} blocks are not begun")

    def _fits(self, seconds: float, flight: Iterable[float]) -> bool:
        """Whether a block, begun now, ends in time."""
        now = self._clock()
        stretch = 1.0
        if self._began is not None and self._finished_seconds > 0:
            stretch = max(1.0, (now - self._began) * self._workers / self._finished_seconds)
        shared = (sum(flight) + seconds) / self._workers
        return now + stretch * max(seconds, shared) < self._allowance.until
