"""Points of the choice axes: the whole grid, a seeded draw from it, or Sobol points over ranges."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import Block
from backsweep_api.errors import NotBuiltError, SpecError
from backsweep_api.exclusions import Excluded, active_mask, choice_only_mask, value_mask
from backsweep_api.sobol import sobol_points
from backsweep_api.spec.sampling import Sampling

__all__ = ["Item", "Point", "draw_points", "grid_points", "make_item"]

MOST_DRAWS = 5_000_000  # draws that find nothing but excluded points before the search is given up


class Item(NamedTuple):
    """One value of an axis, with its part of the canonical JSON and the exclusions it can still match."""

    value: Any
    fragment: bytes
    mask: int


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the choice axes: the live axes of its profile, in the order of AXES, and their values."""

    axes: tuple[str, ...]
    items: tuple[Item, ...]
    mask: int


class _Columns:
    """The items of a block, made once for each value."""

    def __init__(self, block: Block, excluded: Excluded) -> None:
        self.axes = tuple(block.values)
        self.excluded = excluded
        self.active = active_mask(excluded, block)
        self.complete = choice_only_mask(excluded)
        self.columns: list[list[Item]] = [
            [make_item(excluded, axis, value) for value in values] if isinstance(values, tuple) else []
            for axis, values in block.values.items()
        ]

    def point(self, items: tuple[Item, ...]) -> Point | None:
        """Return the point unless it is excluded in all its scenarios."""
        mask = self.active
        for item in items:
            mask &= item.mask
        return None if mask & self.complete else Point(self.axes, items, mask)


def make_item(excluded: Excluded, axis: str, value: Any) -> Item:
    """Return the item of one axis value."""
    spelled = canonical_json(value)
    return Item(value, canonical_json(axis) + b":" + spelled, value_mask(excluded, axis, spelled))


def draw_points(sampling: Sampling, blocks: tuple[Block, ...], excluded: Excluded) -> Iterator[Point]:
    """Return the distinct points that `sampling` asks for, in its order.

    Raises
    ------
    NotBuiltError
        For a search, whose points depend on results.
    """
    if sampling.method == "grid":
        return grid_points(blocks, excluded)
    count, seed = sampling.count or 0, sampling.seed or 0
    if sampling.method == "random":
        return itertools.islice(_random_points(blocks, excluded, seed), count)
    if sampling.method == "sobol":
        return _distinct(_sobol_points(blocks, excluded, count, seed))
    raise NotBuiltError(f"spec.sampling.method: {sampling.method} is not built in this release; write sobol")


def grid_points(blocks: tuple[Block, ...], excluded: Excluded) -> Iterator[Point]:
    """Yield every point, profile by profile, the last axis running fastest."""
    points = (point for block in blocks for point in _block_points(block, excluded))
    return _distinct_profiles(blocks, points)


def _block_points(block: Block, excluded: Excluded) -> Iterator[Point]:
    """Yield the points of one profile."""
    columns = _Columns(block, excluded)
    for items in itertools.product(*columns.columns):
        point = columns.point(items)
        if point is not None:
            yield point


def _random_points(blocks: tuple[Block, ...], excluded: Excluded, seed: int) -> Iterator[Point]:
    """Yield all points in an order shuffled by `seed` (Fisher-Yates, holding only what was drawn)."""
    return _distinct_profiles(blocks, _shuffled(blocks, excluded, seed))


def _shuffled(blocks: tuple[Block, ...], excluded: Excluded, seed: int) -> Iterator[Point]:
    columns = [_Columns(block, excluded) for block in blocks]
    ends = list(itertools.accumulate(block.points for block in blocks))
    total = ends[-1]
    moved: dict[int, int] = {}
    generator = random.Random(seed)
    wasted = 0
    for place in range(total):
        other = place + min(int(generator.random() * (total - place)), total - place - 1)
        index = moved.pop(place, place)
        if other != place:
            index, moved[other] = moved.get(other, other), index
        number = next(block for block, end in enumerate(ends) if index < end)
        index -= ends[number] - blocks[number].points
        items = []
        for column in reversed(columns[number].columns):
            index, digit = divmod(index, len(column))
            items.append(column[digit])
        point = columns[number].point(tuple(reversed(items)))
        if point is not None:
            yield point
        else:
            wasted += 1
            if wasted > MOST_DRAWS:
                raise SpecError(
                    "spec.axes.exclude: leaves too few points to find by drawing; write fewer values instead"
                )


def _sobol_points(blocks: tuple[Block, ...], excluded: Excluded, count: int, seed: int) -> Iterator[Point]:
    """Yield the points under `count` Sobol points; a list of values is cut into equal parts of a dimension."""
    columns = [_Columns(block, excluded) for block in blocks]
    drawn = sorted({axis for block in blocks for axis, values in block.values.items() if _is_drawn(values)})
    dimension = {axis: number for number, axis in enumerate(drawn, start=1)}
    for fractions in sobol_points(count, len(drawn) + 1, seed):
        number = math.floor(fractions[0] * len(blocks))
        block, column = blocks[number], columns[number]
        items = []
        for (axis, values), known in zip(block.values.items(), column.columns, strict=True):
            fraction = fractions[dimension[axis]] if axis in dimension else 0.0
            if isinstance(values, tuple):
                items.append(known[math.floor(fraction * len(values))])
            else:
                value = values.at(fraction)
                items.append(make_item(excluded, axis, int(value) if value.is_integer() else value))
        point = column.point(tuple(items))
        if point is not None:
            yield point


def _is_drawn(values: object) -> bool:
    """Whether an axis needs a dimension of its own."""
    return not isinstance(values, tuple) or len(values) > 1


def _distinct_profiles(blocks: tuple[Block, ...], points: Iterator[Point]) -> Iterator[Point]:
    """Drop repeated points, which only profiles that fix an axis in their own mapping can make."""
    names = [canonical_json(block.values["profile"]) for block in blocks]
    return _distinct(points) if len(set(names)) < len(names) else points


def _distinct(points: Iterator[Point]) -> Iterator[Point]:
    """Yield each point the first time it comes."""
    seen: set[bytes] = set()
    for point in points:
        name = b",".join(item.fragment for item in point.items)
        if name not in seen:
            seen.add(name)
            yield point
