"""What a run would have cost: the compute each stage held, for as long as it took, at the document's prices.

Simulated, because nothing is billed: a laptop costs nothing an hour, and a cluster is billed by its cloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from backsweep_api.pricing import Prices, additive, decimal_seconds, money_text

__all__ = ["Held", "Use", "computing_uses", "cost_record", "stage_use"]

KINDS = {"simulate": "simulating", "measure": "measuring", "store": "storing"}
SOLVING = "solving"


@dataclass(frozen=True, slots=True)
class Held:
    """Compute that is held: cores, and GiB of memory."""

    cores: Decimal
    memory_gib: Decimal

    def __add__(self, other: Held) -> Held:
        """Return both."""
        return Held(self.cores + other.cores, self.memory_gib + other.memory_gib)

    def __mul__(self, times: Decimal) -> Held:
        """Return so many of it."""
        return Held(self.cores * times, self.memory_gib * times)


@dataclass(frozen=True, slots=True)
class Use:
    """Compute used by a stage: what was held, multiplied by how long."""

    stage: str
    core_seconds: Decimal
    gib_seconds: Decimal


def stage_use(stage: str, held: Held, seconds: float) -> Use:
    """Return what a stage used that held the same all the time."""
    used = held * decimal_seconds(seconds)
    return Use(stage, used.cores, used.memory_gib)


def computing_uses(
    stage: str, worker: Held, workers: int, seconds: float, cells: Mapping[tuple[str, str], float]
) -> list[Use]:
    """Return what workers used, by what they did, and what they waited: together all they held.

    Parameters
    ----------
    worker : what one of them holds.
    cells : (stage, estimator) -> seconds summed over the workers.
    """
    held = decimal_seconds(seconds) * workers
    busy: dict[str, Decimal] = {}
    for (kind, _), spent in cells.items():
        name = KINDS.get(kind, SOLVING)
        busy[name] = busy.get(name, Decimal(0)) + decimal_seconds(spent)
    total = sum(busy.values(), Decimal(0))
    shrink = min(Decimal(1), held / total) if total else Decimal(1)  # clocks of several processes differ a little
    times = {name: busy[name] * shrink for name in (SOLVING, *KINDS.values()) if name in busy}
    times["waiting"] = held - sum(times.values(), Decimal(0))
    return [Use(f"{stage}: {name}", worker.cores * spent, worker.memory_gib * spent) for name, spent in times.items()]


def cost_record(prices: Prices, uses: Iterable[Use], basis: str) -> dict[str, Any]:
    """Return the cost of a run: its amount, and that of each stage, which add up to it exactly.

    Parameters
    ----------
    basis : what a worker is taken to be, for people.
    """
    listed = list(uses)
    amounts = additive(prices.cost(use.core_seconds, use.gib_seconds) for use in listed)
    return {
        "amount": money_text(sum(amounts, Decimal(0))),
        "currency": prices.currency,
        "simulated": True,
        "prices": prices.basis,
        "resources": basis,
        "stages": [
            {
                "stage": use.stage,
                "coreSeconds": round(float(use.core_seconds), 6),
                "gibSeconds": round(float(use.gib_seconds), 6),
                "amount": money_text(amount),
            }
            for use, amount in zip(listed, amounts, strict=True)
        ],
    }
