"""Short labels of axis values, for tables that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["label_of"]


def label_of(value: Any) -> str:
    """Return a value of an axis in a few words: ``hrp(linkage=ward)``, ``5+1bps``; a dead axis is ``-``."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, list | tuple):
        return ",".join(label_of(item) for item in value)
    return str(value)


def _mapping(value: Mapping[str, Any]) -> str:
    if "slippageBps" in value:
        borrow = f" borrow {value['borrowRate']}" if str(value.get("borrowRate", "0")) != "0" else ""
        return f"{value['slippageBps']}+{value['commissionBps']}bps{borrow}"
    rest = {key: item for key, item in value.items() if key not in {"name", "symbols"}}
    inside = ", ".join(f"{key}={label_of(item)}" for key, item in rest.items())
    if "name" not in value:
        return inside
    return f"{value['name']}({inside})" if inside else str(value["name"])
