"""The points that a search may propose: which there are, those of its first round, those drawn by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import Block, choice_blocks
from backsweep_api.engines import not_made
from backsweep_api.errors import SpecError
from backsweep_api.exclusions import active_mask, choice_only_mask
from backsweep_api.points import Item, Point, draw_points, make_item, random_points
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.spec.ranges import Range, RowRange

__all__ = ["SearchSpace", "Values"]

Values = Mapping[str, Any]  # of a point: axis -> canonical value, the live choice axes of its profile


class SearchSpace:
    """The points of a document's choice axes.

    Attributes
    ----------
    blocks : one for each value of axes.profile.
    count, rounds, seed : of spec.sampling.
    """

    def __init__(self, document: BacktestSweep) -> None:
        spec = document.spec
        sampling = spec.sampling.normalised()
        self.blocks = choice_blocks(spec.axes, spec.strategy, spec.walk_forward.train)
        self.count = int(str(sampling.get("count", 0)))
        self.rounds = int(str(sampling.get("rounds", 1)))
        self.seed = int(str(sampling.get("seed", 0)))
        self._sampling = spec.sampling
        self._excluded = not_made(spec.axes, spec.strategy)
        self._complete = choice_only_mask(self._excluded)
        self._items = [
            {axis: self._listed(axis, column) for axis, column in block.values.items() if isinstance(column, tuple)}
            for block in self.blocks
        ]

    def seed_of(self, purpose: str, round_number: int) -> int:
        """Return 32 bits that depend on the sweep's seed, what they are for and the round alone."""
        text = f"search {self.seed} {purpose} {round_number}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    def first_round(self) -> list[Values]:
        """Return the points of the first round, which depend on the seed alone."""
        return [_values(point) for point in draw_points(self._sampling, self.blocks, self._excluded)]

    def by_chance(self, round_number: int) -> Iterator[Values]:
        """Yield all points that are not excluded, in an order of the round's own; where a range has no step, many."""
        for point in random_points(self.blocks, self._excluded, self.seed_of("chance", round_number)):
            yield _values(point)

    def point(self, values: Values) -> Point | None:
        """Return the point that has these values; None if it is excluded.

        Raises
        ------
        SpecError
            If the axes have no such point.
        """
        block, items = self._match(values)
        mask = active_mask(self._excluded, block)
        for item in items:
            mask &= item.mask
        return None if mask & self._complete else Point(tuple(block.values), items, mask)

    def block(self, values: Values) -> Block:
        """Return the first block that has a point with these values.

        Raises
        ------
        SpecError
            If none has.
        """
        return self._match(values)[0]

    def _match(self, values: Values) -> tuple[Block, tuple[Item, ...]]:
        spelled = {axis: canonical_json(value) for axis, value in values.items()}
        for block, items in zip(self.blocks, self._items, strict=True):
            found = self._found(block, items, values, spelled)
            if found is not None:
                return block, found
        raise SpecError(f"spec.axes: {canonical_json(values).decode()} is no point of these axes")

    def _listed(self, axis: str, column: tuple[Any, ...]) -> dict[bytes, Item]:
        return {canonical_json(value): make_item(self._excluded, axis, value) for value in column}

    def _found(
        self, block: Block, items: dict[str, dict[bytes, Item]], values: Values, spelled: dict[str, bytes]
    ) -> tuple[Item, ...] | None:
        """Return the items of a block that are the values; None where one is not there."""
        if set(block.values) != set(values):
            return None
        found = []
        for axis, column in block.values.items():
            item = items[axis].get(spelled[axis]) if axis in items else None
            if axis not in items and _in_range(column, values[axis]):
                item = make_item(self._excluded, axis, values[axis])
            if item is None:
                return None
            found.append(item)
        return tuple(found)


def _values(point: Point) -> Values:
    return dict(zip(point.axes, (item.value for item in point.items), strict=True))


def _in_range(column: object, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and isinstance(column, Range | RowRange) and column.holds(value)
