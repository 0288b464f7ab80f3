"""Points of the choice axes as an optimiser sees them: an index, a rank or a fraction for every axis that varies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import Block
from backsweep_api.rounds import SearchSpace, Values
from backsweep_api.spec.ranges import Range, RowRange

__all__ = ["Axis", "Coordinates"]

FEWEST_ORDERED = 3  # two values have no order that matters


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis that varies.

    Parameters
    ----------
    kind : "index" of a list's values, "rank" of a list of numbers in their order or of a range's steps, "fraction"
        of a range from low (0) to high (1), in the logarithm where the range is drawn so.
    count : how many values; 0 of a fraction.
    """

    name: str
    kind: Literal["index", "rank", "fraction"]
    count: int
    column: tuple[Any, ...] | Range | RowRange

    def value(self, coordinate: float) -> Any:
        """Return the value at a coordinate."""
        if isinstance(self.column, tuple):
            return self.column[int(coordinate)]
        drawn = self.column.nth(int(coordinate)) if self.kind == "rank" else self.column.at(coordinate)
        return int(drawn) if drawn.is_integer() else drawn

    def coordinate(self, value: Any) -> float:
        """Return the coordinate of a value."""
        if isinstance(self.column, tuple):
            return [canonical_json(item) for item in self.column].index(canonical_json(value))
        if self.kind == "fraction":
            return self.column.fraction(float(value))
        return round((float(value) - self.column.low) / (self.column.step or 1.0))

    def any_coordinate(self, fraction: float) -> float:
        """Return the coordinate at a fraction (0 up to, not including, 1) of all there are."""
        return fraction if self.kind == "fraction" else math.floor(fraction * self.count)


class Coordinates:
    """Translates points to coordinates and back.

    All points have a coordinate on every axis. On an axis that is dead for a point's profile it is one drawn by the
    point's own name: so an optimiser that looks at all coordinates together learns that the axis says nothing there,
    and what two profiles have in common is learnt once.

    Attributes
    ----------
    axes : those with more than one value, the profile among them.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        columns: dict[str, Axis] = {}
        if len(space.blocks) > 1:
            columns["profile"] = Axis("profile", "index", len(space.blocks), tuple(range(len(space.blocks))))
        for block in space.blocks:
            for name, column in block.values.items():
                if name not in columns and (not isinstance(column, tuple) or len(column) > 1):
                    columns[name] = _axis(name, column)
        self.axes = tuple(columns.values())

    def values(self, coordinates: Mapping[str, float]) -> Values:
        """Return the point at these coordinates: the values of its profile's live axes."""
        block = self._space.blocks[int(coordinates.get("profile", 0))]
        found = {}
        for axis in self._live(block):
            found[axis.name] = axis.value(coordinates[axis.name])
        return {name: found[name] if name in found else column[0] for name, column in block.values.items()}  # type: ignore[index]  # what does not vary is a list of one

    def coordinates(self, values: Values) -> dict[str, float]:
        """Return the coordinates of a point."""
        block = self._space.block(values)
        live = {axis.name: axis.coordinate(values[axis.name]) for axis in self._live(block)}
        found: dict[str, float] = {}
        for axis in self.axes:
            if axis.name == "profile":
                found["profile"] = block.index
            elif axis.name in live:
                found[axis.name] = live[axis.name]
            else:
                found[axis.name] = axis.any_coordinate(_fraction(axis.name, values))
        return found

    def _live(self, block: Block) -> list[Axis]:
        """Return the axes, the profile left out, that vary for the profile of a block."""
        varied = []
        for axis in self.axes:
            column = block.values.get(axis.name) if axis.name != "profile" else None
            if column is not None and (not isinstance(column, tuple) or len(column) > 1):
                varied.append(axis)
        return varied


def _axis(name: str, column: tuple[Any, ...] | Range | RowRange) -> Axis:
    if not isinstance(column, tuple):
        ranked = column.count is not None and not column.log
        return Axis(name, "rank" if ranked else "fraction", (column.count or 0) if ranked else 0, column)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in column)
    if numbers and len(column) >= FEWEST_ORDERED:
        return Axis(name, "rank", len(column), tuple(sorted(column)))
    return Axis(name, "index", len(column), column)


def _fraction(axis: str, values: Values) -> float:
    """Return a fraction that a point's values determine, another one for each axis."""
    word = hashlib.sha256(axis.encode() + b" " + canonical_json(values)).digest()[:4]
    return int.from_bytes(word, "big") / 2**32
