"""The name of a data set's content: a sha256 that is the same on every machine."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from backsweep.arrays import Returns

__all__ = ["DIGESTED_FIELDS", "returns_digest"]

# Field -> the little-endian type its bytes are written in. Order is part of the layout.
DIGESTED_FIELDS = (
    ("dates", "<i8"),
    ("simulation", "<f8"),
    ("tradable", "|u1"),
    ("estimation", "<f8"),
    ("estimation_rows", "<i8"),
    ("delisted_row", "<i8"),
    ("member", "|u1"),
    ("benchmark", "<i8"),
    ("risk_free", "<f8"),
)


def returns_digest(returns: Returns) -> str:
    """Return the sha256 (hex) of all of `returns` but its digest.

    The bytes hashed are the line `backsweep-returns-1`, then one line of JSON {"periods", "symbols"},
    then for each field of `DIGESTED_FIELDS` a line `name type rows,columns` and its values in C
    order, little endian; dates are days since 1970-01-01, every NaN is the quiet NaN
    0x7ff8000000000000 and no zero is negative.
    """
    head = json.dumps({"periods": returns.periods, "symbols": returns.symbols}, sort_keys=True)
    digest = hashlib.sha256(f"backsweep-returns-1\n{head}\n".encode())
    for name, layout in DIGESTED_FIELDS:
        array = getattr(returns, name)
        if layout == "<f8":
            array = np.where(np.isnan(array), np.nan, array + 0.0)
        array = np.ascontiguousarray(array.astype(layout))
        digest.update(f"{name} {layout} {','.join(map(str, array.shape))}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
