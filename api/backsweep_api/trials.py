"""From axes to distinct trials: counting, which operator and pipeline must agree on to the last one."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from backsweep_api.canonical import SHORT_DIGITS
from backsweep_api.choices import AXES, SCENARIOS, Block, DeadAxis, choice_blocks, dead_axes_of
from backsweep_api.counting import count_grid_trials
from backsweep_api.engines import engine_gaps, gap_sentences, not_made
from backsweep_api.exclusions import Excluded, scenario_values
from backsweep_api.points import Item, Point, draw_points, make_item
from backsweep_api.rounds import SearchSpace, Values
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.spec.walk_forward import TRAIN_ROWS

__all__ = [
    "AXES",
    "EVALUATION_AXES",
    "SCENARIOS",
    "DeadAxis",
    "Trial",
    "count_trials",
    "dead_axes",
    "distinct_trials",
    "engines_without",
    "longest_lookback",
    "most_trials",
    "solve_axes",
    "trials_at",
]

EVALUATION_AXES = ("rebalance", "costs")  # what changes a trial, but not its weights


@dataclass(frozen=True, slots=True)
class Trial:
    """One distinct point of the axes.

    Parameters
    ----------
    id : 16 hex digits: digest of `values`, so that trials join across data versions.
    solve : 16 hex digits: digest of those values that determine its weights (`solve_axes`).
    point : 16 hex digits: digest of its choices alone, which its scenarios share.
    values : axis -> canonical value, in the order of AXES; a dead axis is absent. The data axis has the data set's
        label, name or uri.
    base : whether all its scenarios are the base ones, so that it ranks.
    """

    id: str
    solve: str
    point: str
    values: Mapping[str, Any]
    base: bool


class _Scenario(NamedTuple):
    """One combination of scenario values."""

    values: dict[str, Any]
    fragments: dict[str, bytes]
    mask: int
    base: bool


def distinct_trials(document: BacktestSweep) -> Iterator[Trial]:
    """Yield each distinct trial once, all scenarios of one point after another, the base one first.

    Of a search these are the trials of its first round; those of the later ones depend on results.
    """
    excluded = not_made(document.spec.axes, document.spec.strategy)
    scenarios = _scenarios(document, excluded)
    for point in draw_points(document.spec.sampling, _blocks(document), excluded):
        yield from _point_trials(point, scenarios)


def trials_at(document: BacktestSweep, points: Iterable[Values]) -> Iterator[Trial]:
    """Yield the trials of `points`, each given by its values of the choice axes, in all scenarios.

    Raises
    ------
    SpecError
        If the axes have no such point.
    """
    scenarios = _scenarios(document, not_made(document.spec.axes, document.spec.strategy))
    space = SearchSpace(document)
    for values in points:
        point = space.point(values)
        if point is not None:
            yield from _point_trials(point, scenarios)


def count_trials(document: BacktestSweep) -> int:
    """Return how many distinct trials there are; of a search, how many there are at most.

    A search that has tried every point of its axes ends before its last round.
    """
    spec = document.spec
    if spec.sampling.method in ("grid", "search"):
        return most_trials(document)
    excluded = not_made(spec.axes, spec.strategy)
    masks = [scenario.mask for scenario in _scenarios(document, excluded)]
    points = draw_points(spec.sampling, _blocks(document), excluded)
    if not excluded:
        return sum(len(masks) for _ in points)
    return sum(1 for point in points for mask in masks if not point.mask & mask)


def most_trials(document: BacktestSweep) -> int:
    """Return how many distinct trials there are; of points that are drawn, how many there are at most.

    None is made for it, so that it takes no longer for a million than for ten.
    """
    spec = document.spec
    scenarios = scenario_values(spec.data, spec.axes)
    if spec.sampling.method == "grid":
        return count_grid_trials(_blocks(document), not_made(spec.axes, spec.strategy), scenarios)
    return _most_points(document) * math.prod(len(values) for values in scenarios.values())


def dead_axes(document: BacktestSweep) -> list[DeadAxis]:
    """Return the axes that change nothing for a profile: where they have several values, or matter to no profile."""
    return list(dead_axes_of(document.spec.axes, document.spec.strategy))


def engines_without(document: BacktestSweep) -> list[str]:
    """Return in sentences what the engines of the document cannot solve: trials that are therefore not made."""
    return gap_sentences(engine_gaps(document.spec.axes, document.spec.strategy))


def solve_axes(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the axes of a trial's `values` that determine its weights."""
    return tuple(axis for axis in values if axis not in EVALUATION_AXES)


def longest_lookback(document: BacktestSweep) -> int:
    """Return the longest lookback in rows, which fixes the first test row of every trial."""
    axes = document.spec.axes
    if axes.lookback is None:
        return document.spec.walk_forward.train or TRAIN_ROWS
    return max(axes.lookback) if isinstance(axes.lookback, tuple) else axes.lookback.high


def _most_points(document: BacktestSweep) -> int:
    """Return how many points can be drawn: no more than are asked for, no more than there are."""
    most = document.spec.sampling.most_points or 0
    sizes = [block.most_points for block in _blocks(document)]
    return most if None in sizes else min(most, sum(size or 0 for size in sizes))


def _blocks(document: BacktestSweep) -> tuple[Block, ...]:
    spec = document.spec
    return choice_blocks(spec.axes, spec.strategy, spec.walk_forward.train)


def _scenarios(document: BacktestSweep, excluded: Excluded) -> list[_Scenario]:
    """Return every combination of scenario values, the base first."""
    axes = scenario_values(document.spec.data, document.spec.axes)
    columns = [[make_item(excluded, axis, value) for value in axes[axis]] for axis in SCENARIOS]
    found = []
    for number, items in enumerate(itertools.product(*columns)):
        mask = items[0].mask & items[1].mask & items[2].mask
        values = dict(zip(SCENARIOS, (item.value for item in items), strict=True))
        fragments = dict(zip(SCENARIOS, (item.fragment for item in items), strict=True))
        found.append(_Scenario(values, fragments, mask, number == 0))
    return found


def _point_trials(point: Point, scenarios: list[_Scenario]) -> Iterator[Trial]:
    """Yield a point's trials: ids are hashes of canonical JSON put together from its parts."""
    items: tuple[Item, ...] = point.items
    choices = dict(zip(point.axes, (item.value for item in items), strict=True))
    fragments = dict(zip(point.axes, (item.fragment for item in items), strict=True))
    point_order, solve_order, order = _orders(point.axes)
    point_id = _digest([fragments[axis] for axis in point_order])
    solves: dict[tuple[Any, Any], str] = {}
    for scenario in scenarios:
        if point.mask & scenario.mask:
            continue
        parts = fragments | scenario.fragments
        solved = (scenario.values["data"], scenario.values["engine"])
        if solved not in solves:
            solves[solved] = _digest([parts[axis] for axis in solve_order])
        trial_id = _digest([parts[axis] for axis in order])
        yield Trial(trial_id, solves[solved], point_id, choices | scenario.values, scenario.base)


@lru_cache(maxsize=256)
def _orders(axes: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the sorted axes of a point, of its solve and of its trials, which are the same for all of a profile."""
    order = tuple(sorted((*axes, *SCENARIOS)))
    return tuple(sorted(axes)), tuple(axis for axis in order if axis not in EVALUATION_AXES), order


def _digest(fragments: list[bytes]) -> str:
    """Return the short digest of the mapping whose sorted members are `fragments`."""
    return hashlib.sha256(b"{" + b",".join(fragments) + b"}").hexdigest()[:SHORT_DIGITS]
