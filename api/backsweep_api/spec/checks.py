"""Types of single values: each checks itself and says in words what would be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

from backsweep_api.nearest import nearest, one_of

__all__ = [
    "LARGEST_SCALAR",
    "Check",
    "Day",
    "Flag",
    "Money",
    "Number",
    "OneOf",
    "RowsOrDay",
    "Scalar",
    "Text",
    "Whole",
    "found",
    "refuse",
]

LONGEST_FOUND = 60
FEW = 6  # words that are listed even where one of them was probably meant
LARGEST_SCALAR = 1e300
LARGEST_WHOLE = 2**53  # up to which every whole number is itself as a float
QUOTE = " (in quotes: YAML reads y, yes, on, n, no and off as booleans)"


def found(value: object) -> str:
    """Return how a sentence shows a wrong value."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_WHOLE:
        value = int(value)
    shown = json.dumps(value, ensure_ascii=False, default=str).replace("\\\\", "\\")  # as it was written
    return shown if len(shown) <= LONGEST_FOUND else shown[: LONGEST_FOUND - 4] + '..."'


def refuse(value: object, right: str) -> PydanticCustomError:
    """Return the error for a `value` that should have been `right`."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": f"found {found(value)}; write {right}"})


class Check:
    """A value's type, in an annotation: `Annotated[int, Whole(1, 10)]`."""

    @property
    def right(self) -> str:
        """What would be right, as the end of a sentence that begins with "write"."""
        raise NotImplementedError

    def check(self, value: Any) -> Any:
        """Return the value, or raise what `refuse` gives."""
        raise NotImplementedError

    def schema(self) -> JsonSchemaValue:
        """Return the JSON Schema of the values accepted."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let the check decide alone."""
        check: Callable[[Any], Any] = self.check
        return core_schema.no_info_plain_validator_function(check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the values to editors."""
        return self.schema()


@dataclass(frozen=True)
class Whole(Check):
    """A whole number of some unit; 20.0 is 20, "20" and true are not."""

    low: int
    high: int
    unit: str = ""

    @property
    @override
    def right(self) -> str:
        return f"a whole number{f' of {self.unit}' if self.unit else ''} from {self.low:,} to {self.high:,}"

    @override
    def check(self, value: Any) -> int:
        whole = not isinstance(value, bool) and (
            isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        )
        if not whole or not self.low <= value <= self.high:
            raise refuse(value, self.right)
        return int(value)

    @override
    def schema(self) -> JsonSchemaValue:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Number(Check):
    """A finite number of some unit, within bounds (`above`: greater than `low`)."""

    low: float
    high: float
    unit: str = ""
    above: bool = False

    @property
    @override
    def right(self) -> str:
        begin = f"above {self.low:,} and up to" if self.above else f"from {self.low:,} to"
        return f"a number {begin} {self.high:,}{f' ({self.unit})' if self.unit else ''}"

    @override
    def check(self, value: Any) -> float:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not self.low <= value <= self.high or (self.above and value == self.low):
            raise refuse(value, self.right)  # NaN is within no bounds
        return float(value)

    @override
    def schema(self) -> JsonSchemaValue:
        lowest = "exclusiveMinimum" if self.above else "minimum"
        return {"type": "number", lowest: self.low, "maximum": self.high}


@dataclass(frozen=True)
class Text(Check):
    """A string that matches a pattern as a whole."""

    pattern: str
    longest: int
    wanted: str

    @property
    @override
    def right(self) -> str:
        return self.wanted

    @override
    def check(self, value: Any) -> str:
        if isinstance(value, bool):
            raise refuse(value, self.right + QUOTE)
        if not isinstance(value, str):
            raise refuse(value, self.right + (" in quotes" if isinstance(value, int | float) else ""))
        if not 0 < len(value) <= self.longest or re.fullmatch(self.pattern, value) is None:
            raise refuse(value, self.right)
        return value

    @override
    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "minLength": 1, "maxLength": self.longest, "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True)
class Flag(Check):
    """True or false."""

    @property
    @override
    def right(self) -> str:
        return "true or false"

    @override
    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise refuse(value, self.right)
        return value

    @override
    def schema(self) -> JsonSchemaValue:
        return {"type": "boolean"}


@dataclass(frozen=True)
class OneOf(Check):
    """One of the words of a Literal, with `aliases` that mean one of them."""

    aliases: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()

    @property
    @override
    def right(self) -> str:
        return one_of(self.words)

    @override
    def check(self, value: Any) -> str:
        if isinstance(value, str):
            value = dict(self.aliases).get(value, value)
            if value in self.words:
                return str(value)
            near = nearest(value, self.words)
            if near is not None:
                listed = f" Write {self.right}" if len(self.words) <= FEW else ""
                sentence = f"found {found(value)}; did you mean {near}?{listed}"
                raise PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})
        raise refuse(value, self.right)

    @override
    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "enum": [*self.words, *dict(self.aliases)]}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take the words from the annotated Literal."""
        bound = OneOf(self.aliases, get_args(source))
        return core_schema.no_info_plain_validator_function(
            bound.check, metadata={"pydantic_js_functions": [lambda schema, handler: bound.schema()]}
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Let the bound copy describe itself."""
        return handler(schema)


@dataclass(frozen=True)
class Money(Check):
    """A decimal written as a string, so that no binary fraction gets between; kept in its shortest spelling."""

    high: int
    unit: str

    @property
    @override
    def right(self) -> str:
        return f'a quoted decimal such as "0.02", from 0 to {self.high:,} ({self.unit})'

    @override
    def check(self, value: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value) is None:
            raise refuse(value, self.right)
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise refuse(value, self.right) from None
        if amount > self.high:
            raise refuse(value, self.right)
        shortest = f"{amount:f}"
        return (shortest.rstrip("0").rstrip(".") if "." in shortest else shortest) or "0"

    @override
    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,12})?$", "maxLength": 25}


@dataclass(frozen=True)
class Day(Check):
    """A calendar day, ISO 8601."""

    @property
    @override
    def right(self) -> str:
        return "a day as year-month-day, such as 1990-01-02"

    @override
    def check(self, value: Any) -> str:
        try:
            if not isinstance(value, str) or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
                raise ValueError(value)
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise refuse(value, self.right) from None

    @override
    def schema(self) -> JsonSchemaValue:
        return {"type": "string", "format": "date", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}


@dataclass(frozen=True)
class RowsOrDay(Check):
    """A number of rows, or a day."""

    rows: Whole
    day: Day = Day()

    @property
    @override
    def right(self) -> str:
        return f"{self.rows.right}, or {self.day.right}"

    @override
    def check(self, value: Any) -> int | str:
        try:
            return self.day.check(value) if isinstance(value, str) else self.rows.check(value)
        except PydanticCustomError:
            raise refuse(value, self.right) from None

    @override
    def schema(self) -> JsonSchemaValue:
        return {"anyOf": [self.rows.schema(), self.day.schema()], "x-kubernetes-int-or-string": True}


@dataclass(frozen=True)
class Scalar(Check):
    """A string, a finite number or a boolean: a value of the user's own parameter."""

    longest: int = 200

    @property
    @override
    def right(self) -> str:
        return f"a number, true or false, or a string of up to {self.longest} characters"

    @override
    def check(self, value: Any) -> str | int | float | bool:
        if isinstance(value, str) and len(value) <= self.longest:
            return value
        if isinstance(value, int | float) and -LARGEST_SCALAR <= value <= LARGEST_SCALAR:
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                value = float(value)  # as the API server reads it: a sweep's identity may not depend on who has read it
            return int(value) if isinstance(value, float) and value.is_integer() else value
        raise refuse(value, self.right)

    @override
    def schema(self) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "maxLength": self.longest}, {"type": "number"}, {"type": "boolean"}]}
