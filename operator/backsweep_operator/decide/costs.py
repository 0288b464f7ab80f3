"""What a sweep costs so far, by its pods' requests and the prices it gives; exact decimals, whole seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from backsweep_api.pricing import Prices, prices_of
from backsweep_api.quantities import GIB, read_quantity
from backsweep_api.spec.document import Spec
from backsweep_api.status import Cost, OpenPods
from backsweep_operator.build import ray_sizes
from backsweep_operator.decide.situation import Situation
from backsweep_operator.model import Instant, PodSize, PodView, Release

__all__ = ["Budget", "affordable_until", "budget_of", "cost_of", "settle"]

Size = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Budget:
    """What an attempt may spend, and how fast it would at most.

    Parameters
    ----------
    spent : what is settled.
    hourly : the price of all pods an attempt has, for an hour.
    """

    limit: Decimal
    spent: Decimal
    hourly: Decimal


def cost_of(situation: Situation, now: Instant) -> Cost | None:
    """Return the cost settled up to now; None without prices."""
    document = situation.document
    if document is None or document.spec.pricing is None:
        return situation.status.cost
    prices = prices_of(document.spec.pricing)
    uid = situation.sweep.reference.uid
    pods = [pod for pod in situation.snapshot.pods if pod.attempt.uid == uid]
    return settle(situation.status.cost, pods, int(now), prices)


def settle(before: Cost | None, pods: Iterable[PodView], now: int, prices: Prices) -> Cost:
    """Return the cost with everything up to `now` settled.

    A pod costs from its start to its end; what of that was settled before is not counted again. Pods that were
    running at the last checkpoint and are no longer there have ended at an unknown time, and are charged up to now:
    an operator that was away never finds a sweep cheaper than it was.
    """
    since = 0 if before is None else before.checkpoint
    amount = Decimal(0) if before is None else Decimal(before.amount)
    seen: Counter[Size] = Counter()
    still: Counter[Size] = Counter()
    seconds: Counter[Size] = Counter()
    for pod in pods:
        if pod.started_at is None:
            continue
        size = (pod.cpu, pod.memory_gib)
        begin, end = int(pod.started_at), now if pod.finished_at is None else int(pod.finished_at)
        seconds[size] += max(end - max(begin, since), 0)
        seen[size] += begin <= since
        still[size] += pod.finished_at is None
    for kind in () if before is None else before.open_pods:
        size = (Decimal(kind.cpu), Decimal(kind.memory_gib))
        seconds[size] += max(kind.pods - seen[size], 0) * max(now - since, 0)
    for (cpu, memory), total in seconds.items():
        amount += prices.cost(cpu * total, memory * total)
    return Cost(
        amount=_text(amount),
        currency=prices.currency,
        checkpoint=now,
        open_pods=tuple(
            OpenPods(cpu=_text(cpu), memory_gib=_text(memory), pods=count)
            for (cpu, memory), count in sorted(still.items())
            if count
        ),
    )


def budget_of(spec: Spec, release: Release, workers: int, cost: Cost | None) -> Budget | None:
    """Return the budget of an attempt with so many workers; None without one."""
    if spec.budget is None or spec.pricing is None:
        return None
    head, worker = ray_sizes(spec)
    prices = prices_of(spec.pricing)
    sizes = [(release.flow_pod, 1), *([(head, 1), (worker, workers)] if workers else [])]
    hourly = sum((_hourly(size, prices) * count for size, count in sizes), Decimal(0))
    return Budget(Decimal(spec.budget.max_cost), Decimal(0 if cost is None else cost.amount), hourly)


def affordable_until(budget: Budget, now: int, reserve_seconds: int) -> int | None:
    """Return until when all pods of an attempt may run, so that there is money left to take them away.

    None where nothing is spent. A time that has passed means that the budget is used up.
    """
    if budget.hourly <= 0:
        return None
    left = (budget.limit - budget.spent) * 3600 / budget.hourly
    return now + int(left) - reserve_seconds


def _hourly(size: PodSize, prices: Prices) -> Decimal:
    """Return the price of a pod for an hour."""
    cpu, memory = _read(size)
    return prices.cost(cpu * 3600, memory * 3600)


@lru_cache(maxsize=256)
def _read(size: PodSize) -> Size:
    """Return a size as cores and GiB."""
    return read_quantity(size.cpu), read_quantity(size.memory) / GIB


def _text(amount: Decimal) -> str:
    """Return a decimal without an exponent, to a billionth."""
    shown = f"{amount.quantize(Decimal('0.000000001')):f}"
    return shown.rstrip("0").rstrip(".") or "0"
