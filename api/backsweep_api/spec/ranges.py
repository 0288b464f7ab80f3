"""Numeric ranges that Sobol sampling and a search draw from, in place of a list of values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, Number, Scalar, found
from backsweep_api.spec.names import Rows

__all__ = ["LookbackAxis", "ParameterAxis", "Range", "RowRange"]

Bound = Annotated[float, Number(-1e12, 1e12)]
SIGNIFICANT_DIGITS = 12  # what is left of a drawn number, so that no platform's log shows in a trial's name


class _Span(Model):
    """What both kinds of range have in common."""

    low: float
    high: float
    log: bool
    step: float | None

    def rules(self) -> Iterator[Problem]:
        if self.low >= self.high:
            yield ("low",), f"found {found(self.low)}, not below high {found(self.high)}; write less than high"
        if self.log and self.low <= 0:
            yield ("low",), f"found {found(self.low)} with log: true; write a number above 0"
        if self.step is not None and self.step > self.high - self.low > 0:
            span = found(self.high - self.low)
            yield ("step",), f"found {found(self.step)}, more than the range; write at most {span}"

    @property
    def count(self) -> int | None:
        """How many values it has; None where any number between low and high is one."""
        return None if self.step is None else math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def at(self, fraction: float) -> float:
        """Return the value at `fraction` (0 up to, not including, 1) of the range."""
        if self.log:
            value = math.exp(math.log(self.low) + fraction * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + fraction * (self.high - self.low)
        if self.count is None or self.step is None:
            return _rounded(value)
        if self.log:
            return self.nth(min(self.count - 1, round((value - self.low) / self.step)))
        return self.nth(min(self.count - 1, math.floor(fraction * self.count)))

    def nth(self, index: int) -> float:
        """Return the value `index` steps above low."""
        return _rounded(self.low + index * (self.step or 0.0))

    def holds(self, value: float) -> bool:
        """Whether `value` is one of those that are drawn from the range."""
        if not _rounded(self.low) <= value <= _rounded(self.high):
            return False
        exact = value if self.step is None else self.low + round((value - self.low) / self.step) * self.step
        return _rounded(exact) == value

    def fraction(self, value: float) -> float:
        """Return where `value` stands between low (0) and high (1), in the logarithm where the range is drawn so."""
        if self.log:
            place = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(max(place, 0.0), 1.0)


class RowRange(_Span):
    """A range of whole rows."""

    low: Rows = Field(description="Least number of rows.")
    high: Rows = Field(description="Largest number of rows.")
    log: Annotated[bool, Flag()] = Field(False, description="Whether to draw evenly in the logarithm.")
    step: Rows = Field(1, description="Rows between two values that can be drawn.")


class Range(_Span):
    """A range of numbers for a strategy's parameter."""

    low: Bound = Field(description="Least value.")
    high: Bound = Field(description="Largest value.")
    log: Annotated[bool, Flag()] = Field(False, description="Whether to draw evenly in the logarithm.")
    step: Annotated[float, Number(0, 1e12, above=True)] | None = Field(
        None, description="Distance between two values that can be drawn; any value between low and high without it."
    )


def _rounded(value: float) -> float:
    """Return a number that no platform's logarithm shows in."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _form(value: Any) -> str:
    """Tell a range from a list."""
    return "range" if isinstance(value, dict | _Span) else "list"


ParameterValue = Annotated[str | int | float | bool, Scalar()]
LookbackAxis = Annotated[
    Annotated[tuple[Rows, ...], Field(min_length=1, max_length=1_000), Tag("list")] | Annotated[RowRange, Tag("range")],
    Discriminator(_form),
]
ParameterAxis = Annotated[
    Annotated[tuple[ParameterValue, ...], Field(min_length=1, max_length=1_000), Tag("list")]
    | Annotated[Range, Tag("range")],
    Discriminator(_form),
]
