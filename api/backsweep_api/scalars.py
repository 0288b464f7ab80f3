"""Plain YAML scalars as Kubernetes resolves them (sigs.k8s.io/yaml, go-yaml v2), not as PyYAML does.

1990-01-02 stays text, 1:30 stays text, 1e3 is a number, 010 is eight, and y, yes, on, n, no, off are booleans.
"""

from __future__ import annotations

import math
import re

__all__ = ["PREFIX", "resolve_plain", "resolve_tagged"]

PREFIX = "tag:yaml.org,2002:"

WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}

INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<binary>[01]+)|0[oO]?(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)
BASES = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LONGEST_INTEGER = 300  # digits; beyond that a float overflows, too


def resolve_plain(text: str) -> object:
    """Return the value of a plain (unquoted, untagged) scalar."""
    if text in WORDS:
        return WORDS[text]
    if text[0] == ".":
        return _float(text) if FLOAT.fullmatch(text) else text
    if text[0] in "+-0123456789":
        return _number(text.replace("_", ""), text)
    return text


def resolve_tagged(tag: str, text: str) -> object:
    """Return the value of a scalar with an explicit `tag`.

    Raises
    ------
    ValueError
        If the tag is not one of JSON's types or the text is not one of its values.
    """
    kind = tag.removeprefix(PREFIX)
    if kind in ("str", "timestamp", "!"):
        return text
    value = resolve_plain(text)
    right: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
    if kind not in right or not isinstance(value, right[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise ValueError(kind)
    return value


def _number(digits: str, text: str) -> object:
    """Return the integer or float that `digits` spells, or else `text`."""
    match = INTEGER.fullmatch(digits)
    if match is not None and len(digits) <= LONGEST_INTEGER:
        base = next(name for name in BASES if match[name] is not None)
        value = int(match["sign"] + match[base], BASES[base])
        return value if -(2**63) <= value < 2**64 else float(value)
    return _float(digits, text) if FLOAT.fullmatch(digits) else text


def _float(digits: str, text: str | None = None) -> object:
    """Return the float, or the text where no finite float can hold it."""
    value = float(digits)
    return value if math.isfinite(value) else (text or digits)
