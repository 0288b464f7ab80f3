"""Kubernetes quantities as exact numbers: `500m` of a core, `4Gi` of memory."""

from __future__ import annotations

import re
from decimal import Decimal

from backsweep_api.errors import SpecError

__all__ = ["GIB", "read_quantity"]

GIB = Decimal(2**30)
SPELLING = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:[eE]([+-]?[0-9]{1,2})|([A-Za-z]*))")
SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{letter: Decimal(10**power) for letter, power in zip("kMGTPE", range(3, 21, 3), strict=True)},
    **{f"{letter}i": Decimal(2**power) for letter, power in zip("KMGTPE", range(10, 70, 10), strict=True)},
}


def read_quantity(text: str) -> Decimal:
    """Return the quantity in its base unit: cores, or bytes.

    Every spelling of Kubernetes is read, `1e3` and `100n` too: a pod carries what a quota or a webhook has written into
    it. A sweep may write fewer of them (`spec.names`).

    Raises
    ------
    SpecError
        If it is none.
    """
    found = SPELLING.fullmatch(text)
    if found is None or (found[2] is None and found[3] not in SUFFIXES):
        raise SpecError(f'{text!r} is no quantity; write one such as "2", "500m" or "4Gi"')
    return Decimal(found[1]).scaleb(int(found[2])) if found[2] else Decimal(found[1]) * SUFFIXES[found[3]]
