"""What a fuzzer does to a good document: one change of structure or of a value at a place drawn by chance."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tests.cluster.fuzz_grammar import Grammar, Place

NUMBERS: tuple[float, ...] = (
    0, -1, 1, 2, 0.5, -0.5, 1.5, 20.0, -0.0, 1e-320, 1e-9, 0.1 + 0.2, 99, 100, 101, 1_000, 1_001, 100_000, 100_001,
    2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, 1e15, 1e16, 1e21, 1e300, 1.7e308, -1e300,
)  # fmt: skip
TEXTS = (
    "", " ", "a ", " a", "NaN", "nan", ".nan", ".inf", "-Infinity", "null", "~", "true", "yes", "off", "0x10", "1e5",
    "1_000", "12:30:45", "-0", "+5", "1990-01-02", "1990-02-30", "1990-1-2", "0000-01-01", "9999-12-31", "2012-02-29",
    "1990-01-02T00:00:00Z", "2Gi", "2gib", "1.5", "0.1m", "1Ei", "1e3", "-1", "0", "00.50", "1.", ".5", "9" * 13,
    "1000000", "1000000.000000000001", "s3://", "S3://b", "s3:///x", "s3://b c", "s3://b\u00a0c",
    "file:///etc/passwd", "https://e.org/p.csv", "javascript:alert(1)", "store://A", "store://a@xyz", "a/b", "a/b/c",
    "-a", "a-", "A", "a_b", "é", "日本株", "a\u202eb", "a\x00b", "a\nb", "a\u2028b", "a\u0085b", "\ufeffa", "😀", "ß",
    "١٢٣", "\u200b", "\u00a0", "a\tb", "'", '"', "\\", "{{ x }}", "${HOME}", "$(LEVEL)", "%s", "__prefect_kind",
    "__proto__", "all", "strategy", "erc", "hrpp", "HRP", "min-variance", "Sharpe", "grid ", "team.rules:", "rules",
    "a:b:c", "2.60", "v2.60.0", "usd", "US", "a" * 20, "a" * 40, "a" * 41, "a" * 63, "a" * 64, "a" * 65, "a" * 200,
    "a" * 201, "a" * 1_000, "a" * 1_001, "a" * 4_000, "a" * 4_001, "é" * 60, "😀" * 64, "ab" * 10_000,
)  # fmt: skip
UNKNOWN = ("x", "replicas", "train_rows", "a.b", "a/b", "a b", "'", "spec", "é", "a\nb", "__prefect_kind")
LENGTHS = (2, 4, 5, 20, 21, 50, 51, 100, 101, 200, 201, 400, 1_000, 1_001)
DEPTHS = (1, 2, 5, 38, 45, 200)
Change = Callable[[Place, Grammar], None]


def scrap(chance: Random, levels: int = 2) -> Any:
    """Return a value of any kind that JSON knows."""
    kind = chance.randrange(9 if levels else 7)
    if kind < 2:
        return chance.choice(NUMBERS)
    if kind < 5:
        return chance.choice(TEXTS)
    if kind < 7:
        return chance.choice((None, True, False))
    inner = [scrap(chance, levels - 1) for _ in range(chance.randint(0, 3))]
    return inner if kind == 7 else {chance.choice(TEXTS)[:300]: value for value in inner}


def set_anything(place: Place, grammar: Grammar) -> None:
    """Another value, of whatever kind."""
    place.holder[place.key] = scrap(grammar.chance)


def set_alike(place: Place, grammar: Grammar) -> None:
    """Another value of the same kind."""
    value, chance = place.value, grammar.chance
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        set_bound(place, grammar)
    elif isinstance(value, str):
        place.holder[place.key] = chance.choice(TEXTS) if chance.random() < 0.7 else edited(value, chance)
    else:
        place.holder[place.key] = chance.choice(NUMBERS)


def set_bound(place: Place, grammar: Grammar) -> None:
    """A value at its bounds or just past them; where it has none, another that the schema allows."""
    node = {} if place.node is None else grammar.chance.choice(grammar.resolved(place.node))
    bounds = [node[key] for key in ("minimum", "maximum", "exclusiveMinimum") if key in node]
    if bounds:
        bound = grammar.chance.choice(bounds)
        near = [bound, float(bound), bound - 1, bound + 1, bound - 1e-9, bound + 1e-9, bound * (1 + 2**-52), -bound]
        place.holder[place.key] = grammar.chance.choice(near)
    elif "maxLength" in node:
        place.holder[place.key] = "a" * (node["maxLength"] + grammar.chance.choice((-1, 0, 1)))
    else:
        set_allowed(place, grammar)


def set_allowed(place: Place, grammar: Grammar) -> None:
    """Another value that the schema allows there."""
    place.holder[place.key] = scrap(grammar.chance) if place.node is None else grammar.value(place.node)


def remove(place: Place, grammar: Grammar) -> None:
    """Nothing there."""
    del place.holder[place.key]


def set_null(place: Place, grammar: Grammar) -> None:
    """Null there."""
    place.holder[place.key] = None


def respell(place: Place, grammar: Grammar) -> None:
    """The same under another name: snake case, capitals, a letter wrong."""
    if isinstance(place.holder, list):
        set_alike(place, grammar)
        return
    key = str(place.key)
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
    name = grammar.chance.choice((snake, key.upper(), key.capitalize(), edited(key, grammar.chance)))
    place.holder[name] = place.holder.pop(place.key)


def add_unknown(place: Place, grammar: Grammar) -> None:
    """A field nobody knows."""
    if isinstance(place.value, dict):
        place.value[grammar.chance.choice(UNKNOWN)] = scrap(grammar.chance, 1)
    else:
        wrap(place, grammar)


def add_known(place: Place, grammar: Grammar) -> None:
    """One more field that the schema knows there: often one that excludes another."""
    nodes = [] if place.node is None else grammar.resolved(place.node)
    fields = {name: node for each in nodes for name, node in each.get("properties", {}).items()}
    missing = [name for name in fields if isinstance(place.value, dict) and name not in place.value]
    if missing:
        name = grammar.chance.choice(missing)
        place.value[name] = grammar.value(fields[name])
    else:
        repeat(place, grammar)


def wrap(place: Place, grammar: Grammar) -> None:
    """A list or a mapping around it."""
    value = place.value
    place.holder[place.key] = grammar.chance.choice(([value], {"name": value}, {"x": value}))


def unwrap(place: Place, grammar: Grammar) -> None:
    """One of the values of a list or a mapping in its place."""
    value = place.value
    inner = list(value.values()) if isinstance(value, dict) else value
    if isinstance(inner, list) and inner:
        place.holder[place.key] = grammar.chance.choice(inner)
    else:
        wrap(place, grammar)


def repeat(place: Place, grammar: Grammar) -> None:
    """A value of a list a second time, perhaps spelled otherwise."""
    value = place.value
    if not isinstance(value, list) or not value:
        set_allowed(place, grammar)
        return
    again = copy.deepcopy(grammar.chance.choice(value))
    if isinstance(again, str) and grammar.chance.random() < 0.3:
        again = {"name": again}
    if isinstance(again, int) and not isinstance(again, bool):
        again = float(again)
    value.insert(grammar.chance.randint(0, len(value)), again)


def lengthen(place: Place, grammar: Grammar) -> None:
    """A list, a mapping or a text of a length at a bound or past it."""
    length = grammar.chance.choice(LENGTHS)
    value = place.value
    if isinstance(value, list) and value:
        place.holder[place.key] = [varied(value[index % len(value)], index) for index in range(length)]
    elif isinstance(value, dict):
        inner = next(iter(value.values()), 1)
        value |= {f"k{index}": copy.deepcopy(inner) for index in range(length)}
    else:
        place.holder[place.key] = str(value) * length


def deepen(place: Place, grammar: Grammar) -> None:
    """The value under many levels of lists or mappings."""
    value = place.value
    as_list = grammar.chance.random() < 0.5
    for _ in range(grammar.chance.choice(DEPTHS)):
        value = [value] if as_list else {"name": value}
    place.holder[place.key] = value


def empty(place: Place, grammar: Grammar) -> None:
    """Nothing in it."""
    value = place.value
    kind = type(value) if isinstance(value, list | dict | str) else grammar.chance.choice((list, dict, str))
    place.holder[place.key] = kind()


def stringify(place: Place, grammar: Grammar) -> None:
    """A number in quotes, or a quoted number without."""
    value = place.value
    try:
        place.holder[place.key] = float(value) if isinstance(value, str) else str(value)
    except ValueError:
        set_alike(place, grammar)
    if place.value != place.value or place.value in (float("inf"), float("-inf")):
        place.holder[place.key] = "NaN"  # JSON knows no such number


def varied(value: Any, index: int) -> Any:
    """Return the value, made another one where it is easily done."""
    value = copy.deepcopy(value)
    if isinstance(value, dict) and "name" in value and index % 2:
        value["name"] = f"{value['name']}{index}"
    if isinstance(value, int) and not isinstance(value, bool):
        return value + index
    return value


def edited(text: str, chance: Random) -> str:
    """Return the text with a letter doubled, left out, in capitals or replaced."""
    if not text:
        return chance.choice(TEXTS)
    at = chance.randrange(len(text))
    letter = chance.choice((text[at] * 2, "", text[at].swapcase(), chance.choice("xé_- 0/:.")))
    return text[:at] + letter + text[at + 1 :]


CHANGES: Mapping[Change, int] = {
    set_alike: 6,
    set_allowed: 6,
    set_bound: 5,
    set_anything: 4,
    add_known: 4,
    remove: 3,
    respell: 3,
    repeat: 3,
    add_unknown: 2,
    set_null: 2,
    stringify: 2,
    lengthen: 2,
    wrap: 1,
    unwrap: 1,
    deepen: 1,
    empty: 1,
}
"""Each change with how often it is drawn."""
