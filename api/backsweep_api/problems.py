"""What the models refuse, as sentences about the document as its author wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from backsweep_api.fields import fields_of, models_at, right_at
from backsweep_api.nearest import nearest, one_of
from backsweep_api.spec.base import Model, Named, Path
from backsweep_api.spec.checks import found

__all__ = ["sentences", "written_path"]

SHOWN_FIELDS = 5


def sentences(error: ValidationError, root: type[Model], tree: Any) -> list[str]:
    """Return one sentence a problem, in the order of the document's fields."""
    told: list[str] = []
    for detail in error.errors(include_url=False):
        path = tuple(detail["loc"])
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # values are there, and each that is wrong is told by itself
        if detail["type"] == "rules":
            told.extend(_sentence(below, text, tree) for below, text in detail["ctx"]["problems"])
        else:
            told.append(_sentence(path, _told(detail, path, root), tree))
    return list(dict.fromkeys(told))


def written_path(path: Path, tree: Any) -> str:
    """Return a path as the author would point to it: spec.axes.lookback[2].

    Parts that stand for what the models add (a list around one data set, a mapping around a name) are left out.
    """
    shown = ""
    node = tree
    for position, part in enumerate(path):
        last = position == len(path) - 1
        if isinstance(part, int) and isinstance(node, list):
            shown += f"[{part}]"
            node = node[part] if part < len(node) else None
        elif isinstance(part, str) and part != "[key]" and (isinstance(node, Mapping) or node is None):
            if not last and isinstance(node, Mapping) and part not in node and part in ("list", "range"):
                continue  # the form of an axis, not a field
            name = part.replace("\n", "\\n")  # a sentence stands on one line
            shown += f".{name}" if shown else name
            node = node.get(part) if isinstance(node, Mapping) else None
    return shown or "the document"


def _sentence(path: Path, text: str, tree: Any) -> str:
    return f"{written_path(path, tree)}: {text}"


def _told(detail: Any, path: Path, root: type[Model]) -> str:
    """Return the rest of the sentence for one error of the models."""
    kind = detail["type"]
    if kind == "sentence":
        return str(detail["ctx"]["sentence"])
    if kind == "extra_forbidden":
        return _unknown(str(path[-1]), models_at(root, path[:-1]))
    if kind == "missing":
        right = right_at(root, path)
        if right is None:
            right = _mapping(detail, root, path) if models_at(root, path) else "a list with at least one value"
        return f"is missing; write {right}"
    told = TOLD.get(kind)
    wanted = told(detail, root, path) if told is not None else detail["msg"]
    return f"found {_size(detail['input'])}; write {wanted}"


def _unknown(name: str, models: list[type[Model]]) -> str:
    """Return the sentence for a field that does not exist."""
    names = [field for model in models for field in fields_of(model)]
    near = nearest(name, names)
    if near is not None:
        return f"is not a field; write {near}"
    return f"is not a field here; write {one_of(names)}"


def _size(value: object) -> str:
    """Return what was found, a collection with its length."""
    if isinstance(value, list | tuple | dict):
        count = len(value)
        kind = "value" if isinstance(value, list | tuple) else "field"
        if count == 0:
            return "an empty list" if kind == "value" else "an empty mapping"
        return f"{found(value)} of {count:,} {kind}{'s' if count != 1 else ''}"
    return found(value)


def _mapping(detail: Any, root: type[Model], path: Path) -> str:
    models = models_at(root, path)
    if not models:
        return "a mapping of names to values"
    names = list(fields_of(models[0]))
    more = ", ..." if len(names) > SHOWN_FIELDS else ""
    mapping = f"a mapping ({', '.join(names[:SHOWN_FIELDS])}{more})"
    return f"a name, or {mapping}" if issubclass(models[0], Named) else mapping


def _list(detail: Any, root: type[Model], path: Path) -> str:
    value = detail["input"]
    return "a list" if isinstance(value, dict) or value is None else f"a list, such as [{found(value)}]"


def _most(detail: Any, root: type[Model], path: Path) -> str:
    return f"at most {detail['ctx']['max_length']:,} of them"


def _least(detail: Any, root: type[Model], path: Path) -> str:
    return "at least one value"


TOLD: Mapping[str, Callable[[Any, type[Model], Path], str]] = {
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "dict_type": _mapping,
    "tuple_type": _list,
    "too_long": _most,
    "too_short": _least,
    "string_type": lambda detail, root, path: "a text in quotes",
    "int_type": lambda detail, root, path: "a whole number",
    "int_parsing": lambda detail, root, path: "a whole number",
    "int_from_float": lambda detail, root, path: "a whole number",
}
