"""From the models of `spec` to the structural schema of the CustomResourceDefinition.

Structural means: a type at every node, no references, and no alternatives of types. Fields that may be a name or a
mapping, a list or a range, therefore have no type. The API server then checks what each form would hold (a field's
type, its words), and CEL in the CRD cannot see them: the admission policy (`crd_policy`) says the rest.

No object of the spec prunes fields it does not know. A misspelt field would be dropped without a word and another
sweep be run than the one that was meant; kept, it is refused by the policy, or by the operator where there is none.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from annotated_types import MaxLen, MinLen
from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from backsweep_api.crd_rules import LIST_KEYS, RULES, scalar_rules
from backsweep_api.fields import fields_of
from backsweep_api.spec.base import Model, Named
from backsweep_api.spec.checks import Check, Day, Flag, Money, Number, OneOf, RowsOrDay, Scalar, Text, Whole

__all__ = ["MOST_RULED", "Place", "check_of", "item_of", "lengths_of", "model_of", "object_schema", "unwrapped"]

MOST_RULED = 200  # values of one field that a document may hold before CEL for each of them costs too much
Schema = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where in the document a value stands.

    Parameters
    ----------
    visible : whether CEL of the CRD sees it: no alternative of types on the way.
    times : how often it can stand in one document.
    nullable : whether null means something else than leaving it out.
    """

    visible: bool = True
    times: int = 1
    nullable: bool = False


def object_schema(model: type[Model], place: Place) -> Schema:
    """Return the schema of a mapping that `model` reads."""
    fields = fields_of(model)
    required = [name for name, field in fields.items() if field.is_required()]
    schema: Schema = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            name: _field(field, replace(place, nullable=model.KEEPS_NULLS)) for name, field in fields.items()
        },
    }
    if required:
        schema["required"] = required
    if place.visible and RULES.get(model):
        schema["x-kubernetes-validations"] = [rule.plain() for rule in RULES[model]]
    return schema


def unwrapped(annotation: Any) -> tuple[list[Any], list[Any]]:
    """Return the members of a union and what Annotated says on the way to them."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        members, below = unwrapped(inner)
        return members, [*metadata, *below]
    if origin in (typing.Union, types.UnionType):
        found: tuple[list[Any], list[Any]] = ([], [])
        for member in typing.get_args(annotation):
            if member is not type(None):
                members, below = unwrapped(member)
                found = (found[0] + members, found[1] + below)
        return found
    return [annotation], []


def check_of(annotation: Any, metadata: typing.Iterable[Any] = ()) -> Check | None:
    """Return what checks a single value, if it is one."""
    for item in (*metadata, *unwrapped(annotation)[1]):
        if isinstance(item, Check):
            return replace(item, words=_words(annotation)) if isinstance(item, OneOf) else item
    return None


def model_of(annotation: Any) -> type[Model] | None:
    """Return the model of a mapping, if it is one."""
    for member in unwrapped(annotation)[0]:
        if isinstance(member, type) and issubclass(member, Model):
            return member
    return None


def item_of(annotation: Any) -> Any:
    """Return the annotation of a list's values, or None if it is no list."""
    for member in unwrapped(annotation)[0]:
        if typing.get_origin(member) is tuple:
            return typing.get_args(member)[0]
    return None


def _words(annotation: Any) -> tuple[str, ...]:
    return tuple(word for member in unwrapped(annotation)[0] for word in typing.get_args(member))


def _field(field: FieldInfo, place: Place) -> Schema:
    """Return a field's schema with its description and default."""
    schema = _value(field.annotation, list(field.metadata), place)
    default = _default(field)
    described = {"description": field.description} if field.description else {}
    defaulted = {} if default is None else {"default": default}
    return described | schema | defaulted | ({"nullable": True} if place.nullable else {})


def _value(annotation: Any, metadata: list[Any], place: Place) -> Schema:
    """Return the schema of what an annotation takes."""
    place = replace(place, nullable=False)
    check = check_of(annotation, metadata)
    members, below = unwrapped(annotation)
    origin = typing.get_origin(members[0])
    if any(isinstance(item, BeforeValidator) for item in metadata):  # one mapping, or a list of them
        listed = _list(members[0], metadata, replace(place, visible=False))
        return _alternatives(listed, members, replace(place, times=place.times * listed["maxItems"]))
    if len(members) > 1 and model_of(annotation) is not None:
        return _alternatives(_list(members[0], below, replace(place, visible=False)), members, place)
    if origin is tuple:
        return _list(members[0], metadata, place)
    if origin is dict:
        return _mapping(members[0], [*metadata, *below], place)
    model = model_of(annotation)
    if model is not None and issubclass(model, Named):
        return _untyped(object_schema(model, replace(place, visible=False)))
    if model is not None:
        return object_schema(model, place)
    if check is None:
        raise TypeError(f"{annotation} has no place in a structural schema")
    return _scalar(check, place)


def _untyped(schema: Schema) -> Schema:
    """Return a mapping's schema for a field that may be something else, too: what is no mapping passes it."""
    return {key: value for key, value in schema.items() if key not in ("type", "required")}


def _alternatives(listed: Schema, members: list[Any], place: Place) -> Schema:
    """Return the schema of a field that is a list or a mapping."""
    model = model_of(members[-1]) or model_of(item_of(members[0]))
    if model is None:
        raise TypeError(f"{members} has no mapping")
    mapping = object_schema(model, replace(place, visible=False))
    bounds = {"items": _undescribed(listed["items"]), "maxItems": listed["maxItems"]}
    required = {"required": mapping["required"]} if "required" in mapping else {}
    return _untyped(mapping) | required | bounds


def _undescribed(schema: Any) -> Any:
    """Return a schema without the descriptions that stand beside it already: the definition's size is bounded."""
    if isinstance(schema, list):
        return [_undescribed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {k: _undescribed(v) for k, v in schema.items() if k != "description" or not isinstance(v, str)}


def _list(annotation: Any, metadata: list[Any], place: Place) -> Schema:
    """Return the schema of a list."""
    least, most = lengths_of(metadata)
    item = typing.get_args(annotation)[0]
    times = place.times * most
    schema: Schema = {"type": "array"}
    # A mapping that keeps nulls names values that stand elsewhere and are checked there.
    model = model_of(item)
    seen = place.visible and not (model is not None and model.KEEPS_NULLS)
    items = _value(item, [], replace(place, times=times, visible=seen))
    if type(None) in typing.get_args(item):
        items["nullable"] = True
    schema |= {"items": items, "maxItems": most}
    if least:
        schema["minItems"] = least
    key = LIST_KEYS.get(model) if model is not None else None
    if key is not None:
        schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    else:
        schema["x-kubernetes-list-type"] = "atomic"  # the order of an axis' values, and its first one, mean something
    return schema


def _mapping(annotation: Any, metadata: list[Any], place: Place) -> Schema:
    """Return the schema of a mapping of names to values."""
    _, most = lengths_of(metadata)
    _, value = typing.get_args(annotation)
    return {
        "type": "object",
        "maxProperties": most,
        "additionalProperties": _value(value, [], replace(place, times=place.times * most)),
        "x-kubernetes-map-type": "granular",
    }


def lengths_of(metadata: list[Any]) -> tuple[int, int]:
    """Return the least and the largest number of values."""
    flat = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    least = next((item.min_length for item in flat if isinstance(item, MinLen)), 0)
    most = next(item.max_length for item in flat if isinstance(item, MaxLen))
    return least, most


def _scalar(check: Check, place: Place) -> Schema:
    """Return the schema of a single value: bounds as CEL that says what to write, or as the schema's own."""
    ruled = place.visible and place.times <= MOST_RULED
    rules = scalar_rules(check) if ruled else []
    schema = dict(_types(check))
    if place.times <= MOST_RULED or isinstance(check, Scalar | RowsOrDay | Flag | OneOf):
        pass  # said by CEL, of the CRD or of the policy
    elif isinstance(check, Whole | Number | Day):
        schema = {key: value for key, value in check.schema().items() if key != "exclusiveMinimum"}
        if "exclusiveMinimum" in check.schema():
            schema |= {"minimum": check.schema()["exclusiveMinimum"], "exclusiveMinimum": True}
    elif isinstance(check, Text | Money):
        schema = check.schema()
    return schema | ({"x-kubernetes-validations": rules} if rules else {})


def _types(check: Check) -> Schema:
    """Return the type of what a check takes, and its length, which is what CEL's cost is reckoned by."""
    if isinstance(check, Scalar):
        return {"x-kubernetes-preserve-unknown-fields": True}
    if isinstance(check, RowsOrDay):
        return {"x-kubernetes-int-or-string": True}
    if isinstance(check, Day):
        return {"type": "string", "maxLength": 10}
    schema = check.schema()
    return {key: schema[key] for key in ("type", "maxLength", "enum") if key in schema}


def _default(field: FieldInfo) -> Any:
    """Return a field's default as the API server writes it into the object; None for none."""
    default = field.default
    if default is PydanticUndefined or default is None or default == () or default == {}:
        return None
    if isinstance(default, Model):
        below = {name: _default(field) for name, field in fields_of(type(default)).items()}
        return {name: value for name, value in below.items() if value is not None}
    if isinstance(default, tuple):
        return None if default == (None,) else list(_plain_values(default))
    return default


def _plain_values(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, Named):
            yield value.normalised()
        else:
            yield {} if isinstance(value, Model) else value
