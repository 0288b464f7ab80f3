"""How many points and trials a grid has, without making any: a document that is quick to write is quick to count.

A grid of a million points takes many seconds to go through, which an operator that serves others does not have. So
the values of an axis are counted by the exclusions they can still match (`exclusions`), axis after axis.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import OWN_AXES, Block, Values
from backsweep_api.errors import InvariantError
from backsweep_api.exclusions import Excluded, active_mask, choice_only_mask

__all__ = ["count_grid_points", "count_grid_trials"]

Column = tuple[Any, ...]


def count_grid_points(blocks: tuple[Block, ...], excluded: Excluded) -> int:
    """Return how many distinct points are left, in whatever scenario."""
    complete = choice_only_mask(excluded)
    return sum(
        count for masks in _matched(blocks, excluded, {}) for mask, count in masks.items() if not mask & complete
    )


def count_grid_trials(blocks: tuple[Block, ...], excluded: Excluded, scenarios: Mapping[str, Column]) -> int:
    """Return how many distinct trials are left, `scenarios` being the values of their axes."""
    return sum(masks[0] for masks in _matched(blocks, excluded, scenarios))


def _matched(blocks: tuple[Block, ...], excluded: Excluded, scenarios: Mapping[str, Column]) -> Iterator[Counter[int]]:
    """Yield for each profile how many points match which exclusions."""
    columns = _MaskedColumns(excluded)
    for block, fixed in _distinct_profiles(blocks):
        shared = {axis: values for axis, values in block.values.items() if axis not in OWN_AXES}
        masks = Counter({active_mask(excluded, block): 1})
        for axis, values in {**shared, **scenarios}.items():
            masks = _narrowed(masks, columns.of(axis, values))
        yield _narrowed(masks, Counter(columns.mask_of(each) for each in fixed))


def _distinct_profiles(blocks: tuple[Block, ...]) -> Iterable[tuple[Block, list[dict[str, Any]]]]:
    """Return each profile once, with the distinct values of the axes that its own mapping can fix.

    Two blocks of a profile differ in these axes alone, so that points which both have are counted once.
    """
    found: dict[bytes, tuple[Block, dict[bytes, dict[str, Any]]]] = {}
    for block in blocks:
        _, fixed = found.setdefault(canonical_json(block.values["profile"]), (block, {}))
        own = {axis: _listed(block.values[axis]) for axis in OWN_AXES if axis in block.values}
        for values in itertools.product(*own.values()):
            fixed.setdefault(canonical_json(values), dict(zip(own, values, strict=True)))
    return ((block, list(fixed.values())) for block, fixed in found.values())


def _narrowed(masks: Counter[int], column: Counter[int]) -> Counter[int]:
    """Return how many points match which exclusions with one more axis."""
    found: Counter[int] = Counter()
    for mask, count in masks.items():
        for other, times in column.items():
            found[mask & other] += count * times
    return found


class _MaskedColumns:
    """The values of axes as the exclusions they can match; a list that profiles share is looked at once."""

    def __init__(self, excluded: Excluded) -> None:
        self._excluded = excluded
        self._axes: dict[str, tuple[int, dict[bytes, int]]] = {}
        self._columns: dict[tuple[str, int], tuple[Column, Counter[int]]] = {}

    def of(self, axis: str, values: Values) -> Counter[int]:
        """Return how many values of an axis can still match which exclusions."""
        column = _listed(values)
        known = self._columns.get((axis, id(column)))
        if known is None:
            masks = Counter(self._mask(axis, value) for value in column)
            known = self._columns[axis, id(column)] = (column, masks)  # kept, so that no other has its id
        return known[1]

    def mask_of(self, values: Mapping[str, Any]) -> int:
        """Return the exclusions that these values of several axes can still match."""
        mask = -1
        for axis, value in values.items():
            mask &= self._mask(axis, value)
        return mask

    def _mask(self, axis: str, value: Any) -> int:
        if axis not in self._axes:
            silent = 0
            named: dict[bytes, int] = {}
            for bit, exclusion in enumerate(self._excluded):
                if axis in exclusion:
                    named[exclusion[axis]] = named.get(exclusion[axis], 0) | 1 << bit
                else:
                    silent |= 1 << bit
            self._axes[axis] = silent, named
        silent, named = self._axes[axis]
        return silent | named.get(canonical_json(value), 0)


def _listed(values: Values) -> Column:
    if not isinstance(values, tuple):
        raise InvariantError("a range cannot be counted value by value")
    return values
