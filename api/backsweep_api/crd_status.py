"""The schema of `status`, and what `kubectl get` shows of it.

Words that the operator writes are bounded, not listed: an operator of the next release may know more of them than the
definition that is installed, and a status that is refused would stop a sweep.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from annotated_types import Ge, MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backsweep_api.status import Condition, SweepStatus

__all__ = ["PRINTER_COLUMNS", "status_schema"]

LONGEST_WORD = 100
PLAIN: Mapping[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number"},
}
TIMES = {"last_transition_time", "start_time", "completion_time"}

PRINTER_COLUMNS: list[dict[str, Any]] = [
    {
        "name": "State",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Complete")].reason',
        "description": "What the sweep is doing.",
    },
    {"name": "Done", "type": "integer", "jsonPath": ".status.trials.done", "description": "Trials that are finished."},
    {"name": "Trials", "type": "integer", "jsonPath": ".status.trials.total", "description": "Distinct trials."},
    {"name": "Failed", "type": "integer", "jsonPath": ".status.trials.failed", "description": "Trials that failed."},
    {"name": "Cost", "type": "string", "jsonPath": ".status.cost.amount", "description": "What it would cost so far."},
    {"name": "Best", "type": "number", "jsonPath": ".status.best.value", "description": "The leader's metric."},
    {
        "name": "Leader",
        "type": "string",
        "jsonPath": ".status.best.trial",
        "description": "The trial that leads.",
        "priority": 1,
    },
    {
        "name": "Message",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Complete")].message',
        "description": "The state in a sentence.",
        "priority": 1,
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def status_schema() -> dict[str, Any]:
    """Return the schema of `status`."""
    return {"description": "What the operator writes; no one else does.", **_object(SweepStatus)}


def _object(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of one of status' mappings."""
    fields = {field.alias or name: _field(name, field) for name, field in model.model_fields.items()}
    required = [field.alias or name for name, field in model.model_fields.items() if field.is_required()]
    return {"type": "object", "properties": fields} | ({"required": required} if required else {})


def _field(name: str, field: FieldInfo) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": field.description}
    schema |= _value(field.annotation, field.metadata)
    if name in TIMES:
        schema = {"description": field.description, "type": "string", "format": "date-time", "maxLength": 64}
    least = next((item.ge for item in field.metadata if isinstance(item, Ge)), None)
    return schema | ({} if least is None else {"minimum": least})


def _value(annotation: Any, metadata: list[Any]) -> dict[str, Any]:
    """Return the schema of a field's type."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return _value(next(part for part in typing.get_args(annotation) if part is not type(None)), metadata)
    most = next((item.max_length for item in metadata if isinstance(item, MaxLen)), LONGEST_WORD)
    if origin is tuple:
        item = typing.get_args(annotation)[0]
        kind: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
        if item is Condition:
            kind = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        return {"type": "array", "maxItems": most, "items": _value(item, []), **kind}
    if origin is typing.Literal:
        annotation = type(typing.get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _object(annotation)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum | str):
        return {"type": "string", "maxLength": most}
    return dict(PLAIN[annotation])
