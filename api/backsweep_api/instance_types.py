"""List prices of common x86-64 instance types, for `spec.pricing.instanceType`; any other is priced by its parts.

Linux, on demand, in US dollars an hour, of one region of each provider as published in the middle of 2025: Amazon
us-east-1, Google us-central1, Azure eastus. Prices move and contracts differ: they say what a sweep is worth, not
what an invoice will say. Types of the Arm architecture are left out, because results are defined on x86-64.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

__all__ = ["INSTANCE_TYPES", "LIST_CURRENCY", "LIST_DATE", "SPOT_FACTOR", "InstanceType", "InstanceTypeName"]

LIST_CURRENCY = "USD"
LIST_DATE = "2025-07"
SPOT_FACTOR = Decimal("0.35")  # of the price on demand: a typical one, as spot prices change by the hour

InstanceTypeName = Literal[
    "m5.large",
    "m5.xlarge",
    "m5.2xlarge",
    "m5.4xlarge",
    "m7i.large",
    "m7i.xlarge",
    "m7i.2xlarge",
    "c5.large",
    "c5.xlarge",
    "c5.2xlarge",
    "c5.4xlarge",
    "c7i.xlarge",
    "c7i.2xlarge",
    "r5.large",
    "r5.xlarge",
    "e2-standard-4",
    "n2-standard-4",
    "n2-standard-8",
    "Standard_D4s_v5",
    "Standard_D8s_v5",
]


class InstanceType(NamedTuple):
    """What an instance has, and what an hour of it costs on demand."""

    cores: Decimal
    memory_gib: Decimal
    hour: Decimal


def _type(cores: int, memory_gib: int, hour: str) -> InstanceType:
    return InstanceType(Decimal(cores), Decimal(memory_gib), Decimal(hour))


INSTANCE_TYPES: Mapping[InstanceTypeName, InstanceType] = {
    "m5.large": _type(2, 8, "0.096"),
    "m5.xlarge": _type(4, 16, "0.192"),
    "m5.2xlarge": _type(8, 32, "0.384"),
    "m5.4xlarge": _type(16, 64, "0.768"),
    "m7i.large": _type(2, 8, "0.1008"),
    "m7i.xlarge": _type(4, 16, "0.2016"),
    "m7i.2xlarge": _type(8, 32, "0.4032"),
    "c5.large": _type(2, 4, "0.085"),
    "c5.xlarge": _type(4, 8, "0.17"),
    "c5.2xlarge": _type(8, 16, "0.34"),
    "c5.4xlarge": _type(16, 32, "0.68"),
    "c7i.xlarge": _type(4, 8, "0.1785"),
    "c7i.2xlarge": _type(8, 16, "0.357"),
    "r5.large": _type(2, 16, "0.126"),
    "r5.xlarge": _type(4, 32, "0.252"),
    "e2-standard-4": _type(4, 16, "0.134"),
    "n2-standard-4": _type(4, 16, "0.1942"),
    "n2-standard-8": _type(8, 32, "0.3885"),
    "Standard_D4s_v5": _type(4, 16, "0.192"),
    "Standard_D8s_v5": _type(8, 32, "0.384"),
}
