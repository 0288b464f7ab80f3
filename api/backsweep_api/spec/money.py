"""spec.pricing and spec.budget: what compute costs, and how much of it a sweep may cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.instance_types import LIST_CURRENCY, InstanceTypeName
from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, Money, OneOf, Text

__all__ = ["Budget", "Pricing"]

Price = Annotated[str, Money(1_000_000, "an amount of currency")]


class Pricing(Model):
    """Prices of compute: of an instance type, or of its parts."""

    instance_type: Annotated[InstanceTypeName, OneOf()] | None = Field(
        None, description="Instance type whose list price is looked up; any other is priced by its parts."
    )
    cpu_hour: Price | None = Field(None, description="Price of one core for an hour, a quoted decimal.")
    memory_gib_hour: Price | None = Field(
        None, alias="memoryGiBHour", description="Price of one GiB of memory for an hour, a quoted decimal."
    )
    currency: Annotated[str, Text(r"[A-Z]{3}", 3, "a currency of three capital letters, such as USD")] = Field(
        "USD", description="Currency of all amounts, ISO 4217."
    )
    spot: Annotated[bool, Flag()] = Field(False, description="Whether the instance type costs its spot price.")

    @override
    def rules(self) -> Iterator[Problem]:
        parts = self.cpu_hour is not None or self.memory_gib_hour is not None
        if parts and self.instance_type is not None:
            yield ("instanceType",), "is given beside prices of parts; write instanceType, or cpuHour and memoryGiBHour"
        if not parts and self.instance_type is None:
            yield (), "found no price; write instanceType, or cpuHour and memoryGiBHour"
        if parts and self.spot:
            yield ("spot",), "belongs to instanceType; write spot prices as cpuHour and memoryGiBHour and leave it out"
        if self.instance_type is not None and self.currency != LIST_CURRENCY:
            instead = f"write {LIST_CURRENCY}, or cpuHour and memoryGiBHour"
            yield ("currency",), f"found {self.currency}, but instance types are listed in {LIST_CURRENCY}; {instead}"


class Budget(Model):
    """A limit on cost."""

    max_cost: Price = Field(description="Most the sweep may cost, a quoted decimal in pricing.currency.")
    on_exceeded: Annotated[Literal["Stop", "Suspend"], OneOf()] = Field(
        "Stop", description="What happens before the limit is passed."
    )
