"""axes.exclude as masks: one bit for each exclusion, so that a point is tested by a few bitwise ands."""

from __future__ import annotations

from backsweep_api.canonical import canonical_json, canonical_value
from backsweep_api.choices import SCENARIOS, Block, split_profile
from backsweep_api.spec.axes import Axes
from backsweep_api.spec.data import DataSet

__all__ = ["Excluded", "active_mask", "choice_only_mask", "excluded_values", "scenario_values", "value_mask"]

Excluded = tuple[dict[str, bytes], ...]


def excluded_values(axes: Axes) -> Excluded:
    """Return for each exclusion its axis values as canonical JSON."""
    universes = {universe.name: universe.normalised() for universe in axes.universe}
    found = []
    for exclusion in axes.exclude:
        values = dict(exclusion.values)
        if exclusion.profile is not None:
            name, own = split_profile(exclusion.profile)
            values = own | values | {"profile": name}
        if "universe" in values:
            values["universe"] = universes.get(values["universe"], values["universe"])
        found.append({axis: canonical_json(value) for axis, value in values.items()})
    return tuple(found)


def scenario_values(data: tuple[DataSet, ...], axes: Axes) -> dict[str, tuple[object, ...]]:
    """Return the values of the scenario axes, each base first."""
    return {
        "data": tuple(entry.axis_value for entry in data),
        "engine": axes.engine,
        "costs": tuple(canonical_value(costs.normalised()) for costs in axes.costs),
    }


def active_mask(excluded: Excluded, block: Block) -> int:
    """Return the exclusions that can match a point of `block`: all their choice axes are live for it."""
    return sum(
        1 << bit
        for bit, values in enumerate(excluded)
        if all(axis in block.values or axis in SCENARIOS for axis in values)
    )


def choice_only_mask(excluded: Excluded) -> int:
    """Return the exclusions that name no scenario."""
    return sum(1 << bit for bit, values in enumerate(excluded) if not any(axis in SCENARIOS for axis in values))


def value_mask(excluded: Excluded, axis: str, fragment: bytes) -> int:
    """Return the exclusions that a point with this value of `axis` can still match."""
    return sum(1 << bit for bit, values in enumerate(excluded) if values.get(axis, fragment) == fragment)
