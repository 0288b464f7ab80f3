"""Unit records as bytes, spelled one way; a record read back spells the same bytes again.

Not the canonical JSON of documents, which takes five times as long: no person writes records, so 1 and
1.0 need not be the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from backsweep.errors import CorruptObjectError, InvariantError

__all__ = ["read_record", "record_digest", "write_record"]


def write_record(record: Mapping[str, Any]) -> bytes:
    """Return the record as JSON with sorted keys and no spaces.

    Raises
    ------
    InvariantError : it holds NaN, an infinity, or what JSON has no form for.
    """
    try:
        return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvariantError(f"a unit's record cannot be written as JSON: {error}") from error


def read_record(data: bytes, unit_id: str) -> dict[str, Any]:
    """Return the record in `data`.

    Raises
    ------
    CorruptObjectError : it is no JSON object, which only a power cut or a hand can bring about.
    """
    try:
        record = json.loads(data)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise CorruptObjectError(f"the record of unit {unit_id} is damaged: it is not a JSON object")
    return record


def record_digest(record: Mapping[str, Any]) -> str:
    """Return the sha256 of the record's bytes."""
    return hashlib.sha256(write_record(record)).hexdigest()
