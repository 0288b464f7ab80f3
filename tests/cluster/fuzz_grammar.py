"""Values that the document's JSON Schema allows, drawn by chance: the half of fuzzing that is meant to be accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from backsweep_api.schema import json_schema

Node = dict[str, Any]
Key = str | int

# Of these a text is taken that fits pattern and length; together they fit every pattern of the document.
TEXTS = (
    "a", "t", "hrp", "AAPL", "XOM", "team-a", "large.1", "few", "window", "USD", "EUR", "GBP", "0", "1", "0.02",
    "25.50", "999999", "500m", "4Gi", "1.5Gi", "2", "1990-01-02", "2012-02-29", "2022-12-28", "2.60.0", "3.11.12",
    "sp500-20", "s3://bucket/prefix", "s3://bucket/p.csv", "file://prices.csv", "https://s3.example:9000",
    "http://ray:8265", "store://closes", "store://closes@0123abcd", "team.rules:weights", "example.org/note",
    "kubernetes.io/os", "LEVEL", "registry.example/team/sweeps:1", "Öl & Gas", "a text, with (signs)",
)  # fmt: skip
FEW = 3


class Grammar:
    """Draws values of one schema."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.root = SCHEMA

    def document(self) -> dict[str, Any]:
        """Return the spec of a small sweep with some sections drawn anew."""
        fields = self.resolved(SPEC_NODE)[0]["properties"]
        drawn = self.chance.sample(sorted(fields), self.chance.randint(1, 4))
        small = {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"]}, "storage": {"uri": "s3://bucket/prefix"}}
        return small | {name: self.value(fields[name]) for name in drawn}

    def resolved(self, node: Node) -> list[Node]:
        """Return the alternatives of a node, without references and without null."""
        if "$ref" in node:
            node = self.root["$defs"][node["$ref"].rpartition("/")[2]]
        members = node.get("anyOf") or node.get("oneOf")
        if members is None:
            return [] if node.get("type") == "null" else [node]
        return [alternative for member in members for alternative in self.resolved(member)]

    def value(self, node: Node) -> Any:
        """Return a value that the node allows; rules between fields are not looked at."""
        node = self.chance.choice(self.resolved(node))
        if "enum" in node or "const" in node:
            return self.chance.choice(node.get("enum") or [node["const"]])
        kind = node.get("type")
        if kind == "object":
            return self.mapping(node)
        if kind == "array":
            least, most = node.get("minItems", 0), min(node.get("maxItems", FEW), FEW)
            return [self.value(node["items"]) for _ in range(self.chance.randint(least, most))]
        if kind == "string":
            return self.chance.choice(texts_of(node))
        if kind == "boolean":
            return self.chance.random() < 0.5
        return self.number(node)

    def mapping(self, node: Node) -> dict[str, Any]:
        """Return what must be there and a little of the rest."""
        fields = node.get("properties", {})
        wanted = set(node.get("required", ()))
        share = min(1.0, 2.5 / max(len(fields), 1))
        wanted |= {name for name in fields if self.chance.random() < share}
        found = {name: self.value(fields[name]) for name in fields if name in wanted}
        for pattern, below in node.get("patternProperties", {}).items():
            names = texts_of({"pattern": pattern, "maxLength": 63})
            found |= {self.chance.choice(names): self.value(below) for _ in range(self.chance.randint(0, 2))}
        return found

    def number(self, node: Node) -> float:
        """Return a number within its bounds: often a bound itself."""
        low: Any = node.get("minimum", node.get("exclusiveMinimum", 0))
        high: Any = node.get("maximum", 1_000)
        whole = node.get("type") == "integer"
        if self.chance.random() < 0.3:
            return float(low) if not whole and self.chance.random() < 0.5 else self.chance.choice([low, high])
        top = min(high, low + 300)
        return self.chance.randint(low, top) if whole else round(self.chance.uniform(low, top), 3)


def texts_of(node: Node) -> list[str]:
    """Return the texts that fit a node of strings."""
    pattern, longest = re.compile(node.get("pattern", "")), node.get("maxLength", 200)
    found = [text for text in TEXTS if len(text) <= longest and pattern.search(text)]
    assert found, f"no text fits {node}: add one to TEXTS"
    return found


@dataclass(frozen=True)
class Place:
    """A value in a document, by what holds it.

    Parameters
    ----------
    holder, key : where it stands.
    node : what the schema allows there; None where the schema knows nothing.
    """

    holder: Any
    key: Any
    node: Node | None

    @property
    def value(self) -> Any:
        return self.holder[self.key]


def places(grammar: Grammar, holder: Any, key: Key, node: Node | None) -> Iterator[Place]:
    """Yield a value and every value below it."""
    yield Place(holder, key, node)
    value = holder[key]
    nodes = [] if node is None else grammar.resolved(node)
    if isinstance(value, dict):
        for name in value:
            yield from places(grammar, value, name, _field(nodes, name))
    elif isinstance(value, list):
        items = next((each["items"] for each in nodes if "items" in each), None)
        for index in range(len(value)):
            yield from places(grammar, value, index, items)


def _field(nodes: list[Node], name: str) -> Node | None:
    """Return what the schema says of a field."""
    for node in nodes:
        if name in node.get("properties", {}):
            return dict(node["properties"][name])
        for pattern, below in node.get("patternProperties", {}).items():
            if re.search(pattern, name):
                return dict(below)
    return None


SCHEMA = json_schema()
SPEC_NODE: Node = SCHEMA["properties"]["spec"]
