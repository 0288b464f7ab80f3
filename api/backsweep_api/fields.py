"""The tree of fields: what may stand at a path of the document."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic.fields import FieldInfo

from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Model, Path
from backsweep_api.spec.checks import Check

__all__ = ["field_at", "fields_of", "is_list", "models_at", "right_at"]


def fields_of(model: type[Model]) -> dict[str, FieldInfo]:
    """Return a model's fields by their names in the document."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def models_at(root: type[Model], path: Path) -> list[type[Model]]:
    """Return the models that a mapping at `path` may be; indices and words that name no field are passed over."""
    models = [root]
    for part in path:
        field = next((fields_of(model)[part] for model in models if part in fields_of(model)), None)
        if field is not None:
            models = list(_models(field.annotation))
        if not models:
            return []
    return models


def field_at(root: type[Model], path: Path) -> FieldInfo | None:
    """Return the field that `path` names, or None."""
    names = [part for part in path if isinstance(part, str)]
    if not names:
        return None
    for model in models_at(root, path[: _last(path)]):
        if names[-1] in fields_of(model):
            return fields_of(model)[names[-1]]
    return None


def is_list(field: FieldInfo) -> bool:
    """Whether a field takes a list."""
    return any(typing.get_origin(part) is tuple for part in _parts(field.annotation))


def right_at(root: type[Model], path: Path) -> str | None:
    """Return what would be right at `path`, as the end of a sentence that begins with "write"."""
    field = field_at(root, path)
    if field is None:
        return None
    if is_list(field):
        return None
    words = [
        word
        for part in _parts(field.annotation)
        if typing.get_origin(part) is Literal
        for word in typing.get_args(part)
    ]
    if words:
        return one_of(words)
    checks = [item for item in (*field.metadata, *_metadata(field.annotation)) if isinstance(item, Check)]
    return checks[0].right if checks else None


def _last(path: Path) -> int:
    """Return the position of the last name in a path."""
    return max(position for position, part in enumerate(path) if isinstance(part, str))


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the members of unions and what Annotated wraps, outermost first."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _parts(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _parts(member)
    else:
        yield annotation


def _metadata(annotation: Any) -> Iterator[Any]:
    """Yield what Annotated says, in unions too."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from typing.get_args(annotation)[1:]
    elif origin in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _metadata(member)


def _models(annotation: Any) -> Iterator[type[Model]]:
    """Yield the models that stand in an annotation, in lists and mappings too."""
    for part in _parts(annotation):
        origin = typing.get_origin(part)
        if origin is tuple:
            yield from _models(typing.get_args(part)[0])
        elif origin is dict:
            yield from _models(typing.get_args(part)[1])
        elif isinstance(part, type) and issubclass(part, Model):
            yield part
