"""Changes to a document from the command line: axes.lookback=126,252."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backsweep_api.documents import document_from_tree, read_document_tree
from backsweep_api.errors import SpecError
from backsweep_api.fields import field_at, fields_of, is_list, models_at
from backsweep_api.nearest import nearest, one_of
from backsweep_api.spec.base import Model
from backsweep_api.spec.document import BacktestSweep, Spec
from backsweep_api.tree import read_value

__all__ = ["apply_set", "read_with_sets"]


def read_with_sets(text: str, sets: Sequence[str]) -> BacktestSweep:
    """Return the document in `text` with each `path=value` applied, one after the other.

    Raises
    ------
    SpecError
        If the text, a path or what comes of them is wrong.
    """
    tree = read_document_tree(text)
    for assignment in sets:
        tree = apply_set(tree, assignment)
    return document_from_tree(tree)


def apply_set(tree: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """Return a copy of the document's `tree` with `path=value` applied to a path below spec.

    The value is read as YAML; where the field takes a list, commas separate its values. A number in the path is the
    place in a list (data.0.start). The value null takes the field away.

    Raises
    ------
    SpecError
        If the path names no field, or the value is not YAML.
    """
    path, sign, text = assignment.partition("=")
    names = path.strip().removeprefix("spec.").split(".")
    if not sign or not all(names):
        raise SpecError(f"--set {assignment}: write path=value, such as axes.lookback=126,252")
    listed = _check_path(assignment, names)
    changed = dict(tree)
    changed["spec"] = _assigned(changed.get("spec"), names, _value(assignment, text, listed), assignment)
    return changed


def _check_path(assignment: str, names: list[str]) -> bool:
    """Refuse a path that names no field; return whether what it names takes a list."""
    models: list[type[Model]] = [Spec]
    for position, name in enumerate(names):
        known = [field for model in models for field in fields_of(model)]
        free = position > 0 and names[position - 1] in ("parameters", "labels", "annotations", "nodeSelector")
        if not name.isdigit() and not free and name not in known:
            near = nearest(name, known)
            place = ".".join(names[:position]) or "spec"
            right = (
                f"did you mean {near}?"
                if near
                else (f"{place} has {one_of(known)}" if known else f"{place} has no fields")
            )
            raise SpecError(f"--set {assignment}: {name} is not a field of {place}; {right}")
        if not free:
            models = models_at(Spec, tuple(names[: position + 1]))
    if names[-1].isdigit():
        return False
    if len(names) > 1 and names[-2] == "parameters":
        return True
    field = field_at(Spec, tuple(names))
    return field is not None and is_list(field)


def _value(assignment: str, text: str, listed: bool) -> Any:
    """Return the value that `text` spells."""
    try:
        values = read_value(f"[{text}]") if listed else read_value(text)
    except SpecError as error:
        raise SpecError(f"--set {assignment}: the value is not YAML ({error})") from None
    if not listed:
        return values
    alone = values[0] if len(values) == 1 else ()
    whole = isinstance(alone, list) or (isinstance(alone, dict) and {"low", "high"} <= set(alone))
    return alone if whole or alone is None else values  # a list written out, a range, or nothing


def _assigned(node: Any, names: list[str], value: Any, assignment: str) -> Any:
    """Return `node` with `value` at the path below it."""
    name, rest = names[0], names[1:]
    if isinstance(node, list):
        if not name.isdigit() or int(name) >= len(node):
            raise SpecError(
                f"--set {assignment}: {name} stands where the document has a list of {len(node)}; "
                f"write a place from 0 to {len(node) - 1}"
            )
        index = int(name)
        inner = _assigned(node[index], rest, value, assignment) if rest else value
        return [*node[:index], inner, *node[index + 1 :]]
    if name.isdigit():
        raise SpecError(f"--set {assignment}: {name} is a place in a list, but the document has none there")
    branch = dict(node) if isinstance(node, Mapping) else {}
    branch[name] = _assigned(branch.get(name), rest, value, assignment) if rest else value
    return branch
