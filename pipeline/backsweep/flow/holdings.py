"""What a process of a run holds: what the document says, or one core and the memory it was measured to hold."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from backsweep.sweep.cost import Held
from backsweep_api.quantities import GIB, read_quantity

__all__ = ["held_by"]

ONE_CORE = Decimal(1)
SHOWN = Decimal("0.01")


def held_by(described: Mapping[str, str] | None, measured_bytes: int) -> tuple[Held, str]:
    """Return what a process holds, and whether the document says so or it was measured."""
    if described is not None:
        held = Held(read_quantity(described["cpu"]), read_quantity(described["memory"]) / GIB)
        return held, f"{described['cpu']} cores and {described['memory']}, as the document says"
    held = Held(ONE_CORE, Decimal(measured_bytes) / GIB)
    return held, f"1 core and {held.memory_gib.quantize(SHOWN)} GiB, the most it was measured to hold"
