"""What every part of the document shares: strict frozen models that normalise themselves and name their rules."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = ["Model", "Named", "Path", "Problem", "broken_rules"]

Path = tuple[str | int, ...]
Problem = tuple[Path, str]


class Model(BaseModel):
    """A mapping of the document: unknown fields are refused, and it never changes once read."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=False,
        serialize_by_alias=True,
        field_title_generator=lambda name, field: field.alias or to_camel(name),
    )
    KEEPS_NULLS: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        """Read a null field as one that is not given, as the API server does; one nobody knows stays, to be refused."""
        if isinstance(value, dict) and not cls.KEEPS_NULLS:
            known = {field.alias or name: field for name, field in cls.model_fields.items()}
            free = {key for key, field in known.items() if typing.get_origin(field.annotation) is dict}
            given = {key: item for key, item in value.items() if item is not None or key not in known}
            return {key: _without_nulls(item) if key in free else item for key, item in given.items()}
        return value

    def rules(self) -> Iterator[Problem]:
        """Yield what is wrong between the fields: the path below this model, and the rest of a sentence."""
        yield from ()

    def normalised(self) -> Any:
        """Return plain values with defaults filled in; fields without a value are left out."""
        plain = {}
        for name, field in type(self).model_fields.items():
            value = _plain(getattr(self, name))
            if value is not None:
                plain[field.alias or name] = value
        return plain


def _without_nulls(value: Any) -> Any:
    """Return a mapping of the author's own names without those that have no value."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


class Named(Model):
    """A model that may be written as its name alone where its parameters are the default ones."""

    @model_validator(mode="before")
    @classmethod
    def _expand_name(cls, value: Any) -> Any:
        """Read a name as a mapping that gives only the name."""
        return {"name": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe both forms to editors."""
        described = handler(core_schema)
        full = handler.resolve_ref_schema(described)
        name = {**full["properties"]["name"]}
        name.pop("title", None)
        name.pop("default", None)
        both = {"anyOf": [name, dict(full)], "description": full.get("description", "")}
        full.clear()
        full.update(both)
        return described


def broken_rules(model: Model, path: Path = ()) -> Iterator[Problem]:
    """Yield the problems of `model` and of every model below it, each with its whole path."""
    for below, sentence in model.rules():
        yield path + below, sentence
    for name, field in type(model).model_fields.items():
        yield from _broken_below(getattr(model, name), (*path, field.alias or name))


def _broken_below(value: object, path: Path) -> Iterator[Problem]:
    """Yield the problems of the models in a field's value."""
    if isinstance(value, Model):
        yield from broken_rules(value, path)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _broken_below(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _broken_below(item, (*path, key))


def _plain(value: object) -> Any:
    """Return a field's value as plain JSON types."""
    if isinstance(value, Model):
        return value.normalised()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
