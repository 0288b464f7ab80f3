"""Manifests by the thousand, right and wrong in structure and values: the same for the same seed and number.

`python -m tests.cluster.fuzz SEED NUMBER` prints one.
"""

from __future__ import annotations

import copy
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml
from tests.cluster.fuzz_changes import CHANGES
from tests.cluster.fuzz_grammar import SPEC_NODE, Grammar, places

from backsweep_api.tree import read_tree

Tree = dict[str, Any]

ROOT = Path(__file__).parents[2]
STORE = {"uri": "s3://bucket/prefix"}
NAMES = ("t", "a-1", "a" * 40, "a" * 41, "1a", "a-", "A", "a.b", "é", "a_b", "", " ", "a\n")
MOST_TRIES = 300
# How many changes a document gets, each as often as it stands here.
HOW_MANY = (0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 6)


@dataclass(frozen=True)
class Manifest:
    """A document and how it came to be."""

    seed: int
    number: int
    tree: Tree
    changes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The document as it is sent."""
        return json.dumps(self.tree)

    def __str__(self) -> str:
        return f"seed {self.seed}, number {self.number} ({', '.join(self.changes) or 'unchanged'})"


def manifest(seed: int, number: int) -> Manifest:
    """Return one manifest: a good document, or one that the schema allows, with some changes."""
    chance = Random(f"{seed}/{number}")
    grammar = Grammar(chance)
    spec = copy.deepcopy(chance.choice(GOOD)) if chance.random() < 0.6 else grammar.document()
    tree = document_of(spec)
    changes = []
    for _ in range(chance.choice(HOW_MANY)):
        if "spec" in tree:  # the spec itself can be what an earlier change took away or respelled
            changes.append(_change(tree, grammar))
    if chance.random() < 0.02:
        tree["metadata"]["name"] = chance.choice(NAMES)
    return Manifest(seed, number, tree, tuple(changes))


def document_of(spec: Any, name: str = "t") -> Tree:
    """Return a whole document around a spec."""
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": name}}
    return {**head, "spec": spec}


def _change(tree: Tree, grammar: Grammar) -> str:
    """Change a document at one place and return what was done."""
    chance = grammar.chance
    found = list(places(grammar, tree, "spec", SPEC_NODE))
    # The spec itself, and what stands in long lists, would otherwise be drawn too seldom or too often.
    place = found[0] if chance.random() < 0.05 else chance.choice(found[1:200] or found)
    change = chance.choices(tuple(CHANGES), tuple(CHANGES.values()))[0]
    change(place, grammar)
    return f"{change.__name__} at {place.key}"


def smallest(tree: Tree, still: Callable[[Tree], bool]) -> Tree:
    """Return the document with what `still` holds without left out, as far as that is soon found."""
    tries = MOST_TRIES
    smaller = True
    while smaller:
        smaller = False
        for candidate in itertools.islice(_without_one(tree), tries):
            tries -= 1
            if still(candidate):
                tree, smaller = candidate, True
                break
    return tree


def _without_one(tree: Tree) -> Iterator[Tree]:
    """Yield copies of a document, each without one value; large ones first."""
    paths = sorted(_paths(tree, ()), key=len)
    for path in [path for path in paths if path[0] not in ("apiVersion", "kind", "metadata")]:
        candidate = copy.deepcopy(tree)
        holder: Any = candidate
        for part in path[:-1]:
            holder = holder[part]
        del holder[path[-1]]
        yield candidate


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value below one."""
    parts = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for part in parts:
        yield (*path, part)
        yield from _paths(value[part], (*path, part))


def _examples() -> Iterator[Tree]:
    """Yield the specs of the examples, with a store that a cluster reaches."""
    for path in sorted((ROOT / "examples").glob("*.yaml")):
        (tree,) = read_tree(path.read_text("utf-8"))
        yield {**tree["spec"], "storage": STORE}


GOOD: tuple[Tree, ...] = (
    *yaml.safe_load(Path(__file__).with_name("fuzz_documents.yaml").read_text("utf-8")),
    *_examples(),
)
"""The specs that the fuzzer begins from."""

if __name__ == "__main__":
    sys.stdout.write(json.dumps(manifest(int(sys.argv[1]), int(sys.argv[2])).tree, indent=1) + "\n")
