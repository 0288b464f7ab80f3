"""Kubernetes quantities as exact numbers: `500m` of a core, `4Gi` of memory."""

from __future__ import annotations

import re
from decimal import Decimal

from backsweep_api.errors import SpecError

__all__ = ["GIB", "read_quantity"]

GIB = Decimal(2**30)
SPELLING = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")
SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": GIB,
    "Ti": Decimal(2**40),
}


def read_quantity(text: str) -> Decimal:
    """Return the quantity in its base unit: cores, or bytes.

    Raises
    ------
    SpecError
        If it is none.
    """
    found = SPELLING.fullmatch(text)
    if found is None or found[2] not in SUFFIXES:
        raise SpecError(f'{text!r} is no quantity; write one such as "2", "500m" or "4Gi"')
    return Decimal(found[1]) * SUFFIXES[found[2]]
