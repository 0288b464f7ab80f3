"""Text to a tree of plain values: YAML as Kubernetes reads it, or JSON; duplicate keys are errors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import yaml

from backsweep_api.errors import SpecError
from backsweep_api.scalars import PREFIX, resolve_plain, resolve_tagged

__all__ = ["DEEPEST", "is_too_deep", "read_tree", "read_value"]

LARGEST_CHARACTERS = 1_000_000  # what Kubernetes stores of one object is about as much
LARGEST_NODES = 200_000  # counts what aliases repeat
DEEPEST = 40
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its parser is used, never its constructor


def read_tree(text: str) -> list[Any]:
    """Return the non-empty documents in `text`, each as dicts, lists, strings, numbers, booleans and None.

    Raises
    ------
    SpecError
        With the line, if the text is not YAML or a key is given twice.
    """
    if len(text) > LARGEST_CHARACTERS:
        raise SpecError(f"the document has {len(text):,} characters; at most {LARGEST_CHARACTERS:,} are read")
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse)
            if not is_too_deep(value):
                return [value]
        except (ValueError, RecursionError):
            pass  # YAML reads it too, or says on which line it does not
    return _Composer(text).documents()


def read_value(text: str) -> Any:
    """Return the one value that `text` spells in YAML; None for nothing.

    Raises
    ------
    SpecError
        As `read_tree`.
    """
    documents = _Composer(text).documents()
    return documents[0] if documents else None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object's pairs as a dict unless a key repeats."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether plain values are nested deeper than a document may be: many functions that read them call themselves."""
    if levels < 0:
        return True
    if isinstance(value, dict | list):
        return any(is_too_deep(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))
    return False


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


class _Composer:
    """Builds values from the parser's events, so that depth, repetition and tags stay under control."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.events: Iterator[Any] = iter(())
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.nodes = 0
        self.problems: list[str] = []

    def documents(self) -> list[Any]:
        """Return the values of all documents that are not empty."""
        found = []
        try:
            self.events = iter(yaml.parse(self.text, Loader=LOADER))
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self.anchors = {}
                    value = self.value(next(self.events), 0)
                    if value is not None:
                        found.append(value)
        except yaml.YAMLError as error:
            raise SpecError(_syntax_problem(error, self.text)) from None
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise SpecError(f"the text holds half a character, {half!a}; write whole ones") from None
        if self.problems:
            raise SpecError(*self.problems)
        return found

    def value(self, event: Any, depth: int) -> Any:
        """Return the value that starts with `event`."""
        line = event.start_mark.line + 1
        if depth > DEEPEST:
            raise SpecError(f"line {line}: the document is nested more than {DEEPEST} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, line)
        before = self.nodes
        self.nodes += 1
        self.check_size(line)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.check_tag(event, "seq", line)
            value = [self.value(item, depth + 1) for item in self.until(yaml.SequenceEndEvent)]
        else:
            self.check_tag(event, "map", line)
            value = self.mapping(depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before)
        return value

    def until(self, end: type) -> Iterator[Any]:
        """Yield events up to `end`, which closes the collection."""
        for event in self.events:
            if isinstance(event, end):
                return
            yield event

    def mapping(self, depth: int) -> dict[str, Any]:
        """Return a mapping; merge keys give way to keys that are written out."""
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        merged: list[dict[str, Any]] = []
        for event in self.until(yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
                merged.extend(self.merges(self.value(next(self.events), depth + 1), line))
                continue
            key = _key(self.value(event, depth + 1), line)
            value = self.value(next(self.events), depth + 1)
            if key in lines:
                self.problems.append(
                    f'line {line}: the key "{key}" is given twice in one mapping, first on line {lines[key]}; keep one'
                )
            lines.setdefault(key, line)
            found[key] = value
        for mapping in merged:
            for key, value in mapping.items():
                found.setdefault(key, value)
        return found

    def merges(self, value: Any, line: int) -> list[dict[str, Any]]:
        """Return the mappings that a merge key names."""
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise SpecError(f"line {line}: << takes a mapping or a list of mappings")
        return mappings

    def alias(self, event: Any, line: int) -> Any:
        """Return what an alias repeats."""
        if event.anchor not in self.anchors:
            raise SpecError(f"line {line}: *{event.anchor} refers to an anchor that does not stand before it")
        known = self.anchors[event.anchor]
        if known is None:
            raise SpecError(f"line {line}: *{event.anchor} refers to the value it stands in")
        self.nodes += known[1]
        self.check_size(line)
        return known[0]

    def scalar(self, event: Any, line: int) -> Any:
        """Return a scalar's value."""
        if event.tag is None:
            value = resolve_plain(event.value) if event.implicit[0] else event.value
        else:
            try:
                value = resolve_tagged(event.tag, event.value)
            except ValueError:
                raise SpecError(f"line {line}: {_short(event.tag)} {event.value} is not a value JSON knows") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"line {line}: {event.value} is not a number JSON knows")
        return value

    def check_tag(self, event: Any, kind: str, line: int) -> None:
        """Refuse tags that make something else of a list or a mapping."""
        if event.tag not in (None, "!", PREFIX + kind):
            raise SpecError(
                f"line {line}: the tag {_short(event.tag)} has no place in a document that is JSON underneath"
            )

    def check_size(self, line: int) -> None:
        """Refuse a document that aliases blow up."""
        if self.nodes > LARGEST_NODES:
            raise SpecError(f"line {line}: the document has more than {LARGEST_NODES:,} values, aliases counted")


def _key(key: Any, line: int) -> str:
    """Return a mapping's key as the text that JSON makes of it."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool | int | float):
        return json.dumps(key)
    raise SpecError(f"line {line}: a key must be a word, not a {'null' if key is None else 'list or mapping'}")


def _short(tag: str) -> str:
    return tag.replace(PREFIX, "!!")


def _syntax_problem(error: yaml.YAMLError, text: str) -> str:
    """Return one sentence with the line for what the parser could not read."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"the text holds a character YAML forbids: {getattr(error, 'reason', error)}"
    lines = text.splitlines()
    number = min(mark.line, len(lines) - 1)
    line = lines[number] if lines else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"line {number + 1}: a tab indents the line; YAML wants spaces"
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f'line {number + 1}: not YAML ({problem}) near "{line.strip()[:60]}"; check indentation, colons and quotes'
