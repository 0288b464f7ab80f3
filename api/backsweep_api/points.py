"""Points of the choice axes: the whole grid, a seeded draw, Sobol points over ranges, the first round of a search."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from typing_extensions import override

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import Block
from backsweep_api.errors import SpecError
from backsweep_api.exclusions import Excluded, active_mask, choice_only_mask, value_mask
from backsweep_api.sobol import sobol_points
from backsweep_api.spec.ranges import Range, RowRange
from backsweep_api.spec.sampling import Sampling

__all__ = ["Item", "Point", "draw_points", "grid_points", "make_item", "random_points"]

MOST_DRAWS = 5_000_000  # draws that find nothing but excluded points before the search is given up
MOST_REPEATS = 10_000  # draws in a row that find nothing new where points cannot be counted
COUNTABLE = 2**50  # more points than this cannot be shuffled by a generator of 53 bits


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
        self.columns: list[Sequence[Item]] = [
            [make_item(excluded, axis, value) for value in values]
            if isinstance(values, tuple)
            else _Steps(excluded, axis, values)
            for axis, values in block.values.items()
        ]

    @property
    def points(self) -> int | None:
        """How many points there are; None where they cannot be counted."""
        ranges = [column.span for column in self.columns if isinstance(column, _Steps)]
        return None if any(span.count is None for span in ranges) else math.prod(len(each) for each in self.columns)

    def point(self, items: tuple[Item, ...]) -> Point | None:
        """Return the point unless it is excluded in all its scenarios."""
        mask = self.active
        for item in items:
            mask &= item.mask
        return None if mask & self.complete else Point(self.axes, items, mask)


class _Steps(Sequence[Item]):
    """The items of a range, made when they are asked for."""

    def __init__(self, excluded: Excluded, axis: str, span: Range | RowRange) -> None:
        self.excluded = excluded
        self.axis = axis
        self.span = span

    @override
    def __len__(self) -> int:
        return self.span.count or 0

    @override
    def __getitem__(self, index: Any) -> Any:
        return self._item(self.span.nth(index))

    def at(self, fraction: float) -> Item:
        """Return the item at a fraction of the range."""
        return self._item(self.span.at(fraction))

    def _item(self, value: float) -> Item:
        return make_item(self.excluded, self.axis, int(value) if value.is_integer() else value)


def make_item(excluded: Excluded, axis: str, value: Any) -> Item:
    """Return the item of one axis value."""
    spelled = canonical_json(value)
    return Item(value, canonical_json(axis) + b":" + spelled, value_mask(excluded, axis, spelled))


def draw_points(sampling: Sampling, blocks: tuple[Block, ...], excluded: Excluded) -> Iterator[Point]:
    """Return the distinct points that `sampling` asks for, in its order.

    Of a search these are the points of its first round, which depend on the seed alone: as many Sobol points as are
    distinct, and points drawn at random in place of the others.
    """
    if sampling.method == "grid":
        return grid_points(blocks, excluded)
    count, seed = sampling.count or 0, sampling.seed or 0
    if sampling.method == "random":
        return itertools.islice(_random_points(blocks, excluded, seed), count)
    spread = _sobol_points(blocks, excluded, count, seed)
    if sampling.method == "search":
        spread = itertools.islice(_distinct(itertools.chain(spread, random_points(blocks, excluded, seed))), count)
    return _distinct(spread)


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


def random_points(blocks: tuple[Block, ...], excluded: Excluded, seed: int) -> Iterator[Point]:
    """Yield points in an order that `seed` determines: each once where they can be counted, else until none is new."""
    columns = [_Columns(block, excluded) for block in blocks]
    sizes = [column.points for column in columns]
    if any(size is None for size in sizes) or sum(size or 0 for size in sizes) > COUNTABLE:
        return _drawn_points(columns, seed)
    return _random_points(blocks, excluded, seed)


def _drawn_points(columns: list[_Columns], seed: int) -> Iterator[Point]:
    """Yield points drawn axis by axis, until many in a row were there before."""
    generator = random.Random(seed)
    seen: set[bytes] = set()
    repeats = 0
    while repeats < MOST_REPEATS:
        chosen = columns[math.floor(generator.random() * len(columns))]
        items = []
        for column in chosen.columns:
            fraction = generator.random()
            items.append(column.at(fraction) if isinstance(column, _Steps) else column[int(fraction * len(column))])
        name = b",".join(item.fragment for item in items)
        point = None if name in seen else chosen.point(tuple(items))
        seen.add(name)
        repeats = repeats + 1 if point is None else 0
        if point is not None:
            yield point


def _random_points(blocks: tuple[Block, ...], excluded: Excluded, seed: int) -> Iterator[Point]:
    """Yield all points in an order shuffled by `seed` (Fisher-Yates, holding only what was drawn)."""
    return _distinct_profiles(blocks, _shuffled(blocks, excluded, seed))


def _shuffled(blocks: tuple[Block, ...], excluded: Excluded, seed: int) -> Iterator[Point]:
    columns = [_Columns(block, excluded) for block in blocks]
    sizes = [math.prod(len(column) for column in each.columns) for each in columns]
    ends = list(itertools.accumulate(sizes))
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
        index -= ends[number] - sizes[number]
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
        for axis, known in zip(block.values, column.columns, strict=True):
            fraction = fractions[dimension[axis]] if axis in dimension else 0.0
            items.append(known.at(fraction) if isinstance(known, _Steps) else known[math.floor(fraction * len(known))])
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
