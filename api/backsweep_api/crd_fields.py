"""CEL of the admission policy that is made from the models: unknown fields everywhere, bounds where the CRD has none.

Every expression is a text: the problems it found, joined, and empty where there are none.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from typing import Any

from pydantic.fields import FieldInfo

from backsweep_api.crd_schema import MOST_RULED, Place, check_of, item_of, lengths_of, model_of, unwrapped
from backsweep_api.crd_values import good, listed, quoted, refusal
from backsweep_api.fields import fields_of
from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Model, Named
from backsweep_api.spec.checks import Flag, OneOf, RowsOrDay, Scalar
from backsweep_api.spec.document import Spec

__all__ = ["all_of", "field_problems", "unknown_fields"]

JOINED = ".filter(text, text != '').join('; ')"


@dataclass(frozen=True)
class _Node:
    """A value of the document in CEL.

    Parameters
    ----------
    value : CEL of the value.
    at : CEL of its path.
    place : whether and how often it can be there.
    depth : lists and mappings around it, so that each has a variable of its own.
    """

    value: str
    at: str
    place: Place
    depth: int = 0

    def below(self, name: str) -> _Node:
        """Return the field `name` of this mapping."""
        return replace(self, value=f"{self.value}.{name}", at=f"{self.at} + {quoted('.' + name)}")


def all_of(texts: list[str]) -> str:
    """Return the CEL that joins the problems of several texts."""
    found = [text for text in texts if text]
    if len(found) < 2:
        return found[0] if found else ""
    return f"[{', '.join(found)}]{JOINED}"


def field_problems(section: str, *, only_own: bool = False) -> str:
    """Return the CEL that tells what is wrong in a section of spec, field by field; empty for nothing to look for."""
    node = _Node("object.spec", "'spec'", Place())
    if only_own:
        return unknown_fields(Spec, node.value, node.at)
    field = fields_of(Spec)[section]
    if section == "data":  # one mapping, or a list of them: variables.data lists them
        data = _Node("entry.value", "string(entry.at)", Place(visible=False, times=20), depth=1)
        problems = _object_problems(_item_model(field), data)
        return f"variables.data.filter(entry, type(entry.value) == map).map(entry, {problems}){JOINED}"
    return _if_there(node.value, section, _problems(field.annotation, list(field.metadata), node.below(section)))


def unknown_fields(model: type[Model], value: str, at: str) -> str:
    """Return the CEL that names the fields of a mapping that its model does not have."""
    names = list(fields_of(model))
    folded = "key.lowerAscii().replace('_', '').replace('-', '')"
    near = f"{listed(names)}.filter(name, name.lowerAscii() == {folded})"
    instead = f"({near}.size() > 0 ? ': is not a field; write ' + {near}[0] : "
    instead += f"{quoted(': is not a field here; write ' + one_of(names))})"
    return f"{value}.filter(key, !(key in {listed(names)})).map(key, {at} + '.' + key + {instead}).join('; ')"


def _item_model(field: FieldInfo) -> type[Model]:
    model = model_of(item_of(field.annotation))
    if model is None:
        raise TypeError(f"{field} is no list of mappings")
    return model


def _if_there(value: str, name: str, problems: str) -> str:
    return f"(has({value}.{name}) ? {problems} : '')" if problems else ""


def _object_problems(model: type[Model], node: _Node) -> str:
    """Return the CEL of what is wrong in a mapping and below it."""
    texts = [unknown_fields(model, node.value, node.at)]
    for name, field in fields_of(model).items():
        below = _problems(field.annotation, list(field.metadata), node.below(name))
        there = f"has({node.value}.{name})"
        if below and model.KEEPS_NULLS:
            there += f" && {node.value}.{name} != null"
        texts.append(f"({there} ? {below} : '')" if below else "")
    return all_of(texts)


def _problems(annotation: Any, metadata: list[Any], node: _Node) -> str:
    """Return the CEL of what is wrong in a value that is there."""
    members, below = unwrapped(annotation)
    origin = typing.get_origin(members[0])
    if len(members) > 1 and model_of(annotation) is not None:  # a list or a range
        hidden = replace(node, place=replace(node.place, visible=False))
        listed_problems = _list_problems(members[0], below, hidden)
        model = model_of(annotation)
        mapping = _object_problems(model, hidden) if model is not None else ""
        return f"(type({node.value}) == map ? {mapping} : {listed_problems or quoted('')})"
    if origin is tuple:
        return _list_problems(members[0], [*metadata, *below], node)
    if origin is dict:
        return _mapping_problems(members[0], [*metadata, *below], node)
    model = model_of(annotation)
    if model is not None and issubclass(model, Named):
        inner = _object_problems(model, replace(node, place=replace(node.place, visible=False)))
        return f"(type({node.value}) == map ? {inner} : '')"
    if model is not None:
        return _object_problems(model, node)
    return _scalar_problem(annotation, metadata, node)


def _list_problems(annotation: Any, metadata: list[Any], node: _Node) -> str:
    """Return the CEL of what is wrong with a list's values."""
    _, most = lengths_of(metadata)
    index = f"i{node.depth}"
    item = typing.get_args(annotation)[0]
    value = f"{node.value}[{index}]"
    place = replace(node.place, times=node.place.times * most)
    inner = _problems(item, [], _Node(value, f"{node.at} + '[' + string({index}) + ']'", place, node.depth + 1))
    if not inner:
        return ""
    if type(None) in typing.get_args(item):
        inner = f"({value} == null ? '' : {inner})"
    return f"variables.indices.filter({index}, {index} < {node.value}.size()).map({index}, {inner}){JOINED}"


def _mapping_problems(annotation: Any, metadata: list[Any], node: _Node) -> str:
    """Return the CEL of what is wrong with the names and values of a mapping."""
    key = f"k{node.depth}"
    names, values = typing.get_args(annotation)
    place = replace(node.place, times=node.place.times * lengths_of(metadata)[1])
    inner = _Node(f"{node.value}[{key}]", f"{node.at} + '.' + {key}", place, node.depth + 1)
    check = check_of(names)
    wrong = "" if check is None else _unless(good(check, key), f"{inner.at} + ': ' + {refusal(check, key)}")
    told = all_of([wrong, _problems(values, [], inner)])
    return f"{node.value}.map({key}, {told}){JOINED}" if told else ""


def _scalar_problem(annotation: Any, metadata: list[Any], node: _Node) -> str:
    """Return the CEL of what is wrong with a value that CEL of the CRD does not see."""
    check = check_of(annotation, metadata)
    if check is None or isinstance(check, Scalar | Flag | OneOf) or node.place.times > MOST_RULED:
        return ""
    if node.place.visible and not isinstance(check, RowsOrDay):
        return ""
    return _unless(good(check, node.value), f"{node.at} + ': ' + {refusal(check, node.value)}")


def _unless(holds: str | None, text: str) -> str:
    return "" if holds is None else f"({holds} ? '' : {text})"
