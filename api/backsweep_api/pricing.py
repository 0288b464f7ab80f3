"""What compute would cost: from prices and seconds to amounts, in decimal arithmetic; no float ever holds money.

An amount is exact until it is written: `money_text` rounds it once, half to even, to a millionth of the currency.
`additive` rounds parts so that they add up exactly to their rounded total.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from backsweep_api.instance_types import INSTANCE_TYPES, LIST_DATE, SPOT_FACTOR
from backsweep_api.spec.money import Pricing

__all__ = ["Prices", "additive", "decimal_seconds", "money_text", "prices_of"]

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)  # so that no caller's context changes an amount
MILLIONTH = Decimal("0.000001")
SECONDS_AN_HOUR = Decimal(3600)
CORE_IN_GIB = Decimal("7.5")
"""A core costs as much as 7.5 GiB of memory, where only a whole instance has a price: about what Google asks for both
of its n2 family (0.0316 and 0.0042 dollars an hour), the one large family that prices them apart."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What an hour of a core and of a GiB of memory costs.

    Parameters
    ----------
    basis : where the prices come from, for people.
    """

    currency: str
    core_hour: Decimal
    gib_hour: Decimal
    basis: str

    def cost(self, core_seconds: Decimal, gib_seconds: Decimal) -> Decimal:
        """Return the exact amount for cores and GiB of memory held for some seconds."""
        with localcontext(EXACT):
            return (core_seconds * self.core_hour + gib_seconds * self.gib_hour) / SECONDS_AN_HOUR


def prices_of(pricing: Pricing) -> Prices:
    """Return the prices `spec.pricing` means.

    Of an instance type the parts are priced so that a whole instance costs its price, a core `CORE_IN_GIB` times a
    GiB. Of prices by parts the one left out is nothing.
    """
    if pricing.instance_type is None:
        core, gib = pricing.cpu_hour or "0", pricing.memory_gib_hour or "0"
        return Prices(pricing.currency, Decimal(core), Decimal(gib), "the document's own prices")
    instance = INSTANCE_TYPES[pricing.instance_type]
    with localcontext(EXACT):
        hour = instance.hour * SPOT_FACTOR if pricing.spot else instance.hour
        gib_hour = hour / (instance.cores * CORE_IN_GIB + instance.memory_gib)
        core_hour = gib_hour * CORE_IN_GIB
    kind = f"spot, {SPOT_FACTOR} of the list price" if pricing.spot else "the list price"
    basis = f"{pricing.instance_type} at {hour.normalize():f} {pricing.currency} an hour, {kind} of {LIST_DATE}"
    return Prices(pricing.currency, core_hour, gib_hour, basis)


def decimal_seconds(seconds: float) -> Decimal:
    """Return a measured time as a decimal of whole microseconds."""
    return Decimal(f"{seconds:.6f}")


def money_text(amount: Decimal) -> str:
    """Return an amount to a millionth, rounded half to even."""
    return f"{_rounded(amount):f}"


def additive(amounts: Iterable[Decimal]) -> list[Decimal]:
    """Return the amounts to a millionth each, such that they add up to their rounded total.

    Each is what the rounded running total grows by, so that none is off by more than a millionth.
    """
    found: list[Decimal] = []
    total, before = Decimal(0), Decimal(0)
    with localcontext(EXACT):
        for amount in amounts:
            total += amount
            after = _rounded(total)
            found.append(after - before)
            before = after
    return found


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(MILLIONTH, context=EXACT)
