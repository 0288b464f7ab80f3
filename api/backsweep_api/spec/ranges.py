"""Numeric ranges that Sobol sampling draws from, in place of a list of values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, Number, Scalar
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
            yield ("low",), f"found {self.low:g}, not below high {self.high:g}; write less than high"
        if self.log and self.low <= 0:
            yield ("low",), f"found {self.low:g} with log: true; write a number above 0"
        if self.step is not None and self.step > self.high - self.low > 0:
            yield ("step",), f"found {self.step:g}, more than the range; write at most {self.high - self.low:g}"

    def at(self, fraction: float) -> float:
        """Return the value at `fraction` (0 up to, not including, 1) of the range."""
        if self.log:
            value = math.exp(math.log(self.low) + fraction * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + fraction * (self.high - self.low)
        if self.step is None:
            return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        steps = math.floor((self.high - self.low) / self.step + 1e-9)
        if self.log:
            nearest = min(steps, round((value - self.low) / self.step))
        else:
            nearest = min(steps, math.floor(fraction * (steps + 1)))
        return float(f"{self.low + nearest * self.step:.{SIGNIFICANT_DIGITS}g}")


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
