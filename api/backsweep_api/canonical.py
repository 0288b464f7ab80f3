"""Canonical JSON and its hash: one spelling for one value, so that equal documents have equal names."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from backsweep_api.errors import InvariantError

__all__ = ["canonical_json", "canonical_value", "digest", "short_digest"]

SHORT_DIGITS = 16  # 64 bits: two of a million trials collide with a chance of 3e-8


def canonical_value(value: Any) -> Any:
    """Return `value` as plain JSON types, each number spelled once: 1.0 and -0.0 become 1 and 0.

    Raises
    ------
    InvariantError
        For NaN, infinities, keys that are not strings, text that is not Unicode and anything that is not JSON.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvariantError(f"{value} has no place in canonical JSON; use null")
        return int(value) if value.is_integer() else float(value)
    if isinstance(value, Mapping):
        return {_key(key): canonical_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical_value(item) for item in value]
    raise InvariantError(f"a {type(value).__name__} has no place in canonical JSON")


def canonical_json(value: Any) -> bytes:
    """Return UTF-8 JSON with sorted keys, no spaces and integral floats written as integers.

    Raises
    ------
    InvariantError
        As `canonical_value`.
    """
    plain = canonical_value(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the sha256 of `canonical_json(value)`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def short_digest(value: Any) -> str:
    """Return the first 16 hex digits of `digest(value)`: the form of trial and solve ids."""
    return digest(value)[:SHORT_DIGITS]


def _key(key: Any) -> str:
    """Return a mapping's key, which JSON wants to be text."""
    if not isinstance(key, str):
        raise InvariantError(f"the key {key!r} is a {type(key).__name__}; canonical JSON has text keys only")
    return _text(key)


def _text(text: str) -> str:
    """Return `text` if it can be written as UTF-8."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvariantError(f"{text!a} holds a lone surrogate, which UTF-8 cannot write")
    return str(text)
