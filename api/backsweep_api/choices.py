"""What each profile reads: the axes that are live for it, and the values they take.

An axis is dead for a profile whose portfolios cannot depend on it (linkage for max_sharpe). Points that differ
only in dead axes are one trial. A value that stands in a profile's own mapping (linkage of
{name: hrp, linkage: ward}) holds in place of the axis, and is the trial's value of that axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backsweep_api.canonical import canonical_value
from backsweep_api.spec.axes import Axes
from backsweep_api.spec.profiles import CORES, LIVE_AXES, PROFILE_DEFAULTS, Profile
from backsweep_api.spec.ranges import Range, RowRange
from backsweep_api.spec.sampling import Strategy
from backsweep_api.spec.walk_forward import TRAIN_ROWS

__all__ = [
    "AXES",
    "CHOICES",
    "OWN_AXES",
    "SCENARIOS",
    "Block",
    "DeadAxis",
    "axis_sizes",
    "choice_blocks",
    "dead_axes_of",
    "live_axes",
    "split_profile",
]

CHOICES = (
    "profile",
    "covariance",
    "expectedReturns",
    "lookback",
    "linkage",
    "leafOrder",
    "constraints",
    "universe",
    "parameters",  # one axis for each: parameters.<name>, in the order of their names
    "rebalance",
)
SCENARIOS = ("data", "engine", "costs")
AXES = (*CHOICES, *SCENARIOS)  # trials are numbered with the last axis running fastest
OWN_AXES = ("linkage", "leafOrder")  # axes that a profile's own mapping can fix

Values = tuple[Any, ...] | RowRange | Range


@dataclass(frozen=True, slots=True)
class Block:
    """All points of one value of axes.profile: the product of its live choice axes' values.

    `values` is in the order of AXES and begins with the profile itself.
    """

    index: int
    profile: Profile
    values: dict[str, Values]

    @property
    def points(self) -> int:
        """How many points there are; ranges count as one value."""
        return math.prod(len(values) for values in self.values.values() if isinstance(values, tuple))

    @property
    def most_points(self) -> int | None:
        """How many points there are, each step of a range counted; None where a range has no step."""
        sizes = [len(values) if isinstance(values, tuple) else values.count for values in self.values.values()]
        return None if None in sizes else math.prod(size or 0 for size in sizes)


@dataclass(frozen=True, slots=True)
class DeadAxis:
    """An axis that changes nothing for a profile, and why."""

    profile: str
    axis: str
    reason: str


def live_axes(profile: Profile, strategy: Strategy | None) -> tuple[str, ...]:
    """Return the choice axes that change what `profile` gives, in the order of CHOICES, itself left out."""
    if profile.name == "strategy":
        live = {"lookback", "universe", "parameters"}
        if strategy is None or strategy.kind == "profile":
            live.add("rebalance")
    elif profile.name == "barbell":
        live = {*LIVE_AXES[profile.core or PROFILE_DEFAULTS["barbell"]["core"]], "lookback"}
    else:
        live = set(LIVE_AXES[profile.name])
    return tuple(axis for axis in CHOICES if axis in live)


def choice_blocks(axes: Axes, strategy: Strategy | None, train: int | None) -> tuple[Block, ...]:
    """Return one block for each value of axes.profile, in the order of the document."""
    profiles = axes.profile or ((Profile.model_validate("strategy"),) if strategy is not None else ())
    shared = _shared_values(axes, train)
    parameters = {} if strategy is None else strategy.parameters
    blocks = []
    for index, profile in enumerate(profiles):
        name, own = split_profile(profile)
        values: dict[str, Values] = {"profile": (name,)}
        for axis in live_axes(profile, strategy):
            if axis == "parameters":
                for parameter in sorted(parameters):
                    drawn = parameters[parameter]
                    values[f"parameters.{parameter}"] = drawn if isinstance(drawn, Range) else _canonical(drawn)
            elif axis in own:
                values[axis] = (own[axis],)
            else:
                values[axis] = shared[axis] or (_own_default(profile, axis),)
        blocks.append(Block(index, profile, values))
    return tuple(blocks)


def split_profile(profile: Profile) -> tuple[Any, dict[str, Any]]:
    """Return a profile's value without the axes it fixes, and the values it fixes them to."""
    own = {axis: profile.written[axis] for axis in OWN_AXES if axis in profile.written}
    rest = {key: value for key, value in profile.given.items() if key not in OWN_AXES}
    return canonical_value({"name": profile.name, **rest} if rest else profile.name), own


def axis_sizes(axes: Axes, strategy: Strategy | None) -> dict[str, int]:
    """Return how many values the document gives each choice axis; a range counts as two."""
    sizes = {"profile": len(axes.profile or ())}
    for axis, values in _shared_values(axes, None).items():
        sizes[axis] = len(values) if isinstance(values, tuple) else 2
    for name, parameter in ({} if strategy is None else strategy.parameters).items():
        sizes[f"parameters.{name}"] = 2 if isinstance(parameter, Range) else len(parameter)
    return sizes


def dead_axes_of(axes: Axes, strategy: Strategy | None) -> Iterator[DeadAxis]:
    """Yield the axes that are dead for a profile: those with several values, and those given for no profile at all."""
    sizes = axis_sizes(axes, strategy)
    blocks = choice_blocks(axes, strategy, None)
    aliases = {field.alias or name: name for name, field in Axes.model_fields.items()}
    for axis, size in sizes.items():
        family = axis.partition(".")[0]
        fixed = [family in OWN_AXES and family in block.profile.written for block in blocks]
        live = [axis in block.values and not own for block, own in zip(blocks, fixed, strict=True)]
        useless = not any(live) and aliases.get(axis) in axes.model_fields_set
        if axis == "profile" or (size < 2 and not useless):
            continue
        for block, alive, own in zip(blocks, live, fixed, strict=True):
            if not alive:
                shown = block.profile.normalised()
                name = shown if isinstance(shown, str) else _spelled(shown)
                yield DeadAxis(name, axis, f"{axis} changes nothing for {name}: {_reason(block.profile, family, own)}")


def _shared_values(axes: Axes, train: int | None) -> dict[str, Any]:
    """Return the values of the axes that all profiles share, () where each has its own default."""
    lookback = axes.lookback if axes.lookback is not None else (train or TRAIN_ROWS,)
    return {
        "covariance": _canonical(value.normalised() for value in axes.covariance),
        "expectedReturns": _canonical(value.normalised() for value in axes.expected_returns),
        "lookback": lookback,
        "linkage": axes.linkage or (),
        "leafOrder": axes.leaf_order or (),
        "constraints": _canonical(None if value is None else value.normalised() for value in axes.constraints),
        "universe": _canonical(value.normalised() for value in axes.universe),
        "rebalance": axes.rebalance,
    }


def _canonical(values: Any) -> tuple[Any, ...]:
    return tuple(canonical_value(value) for value in values)


def _own_default(profile: Profile, axis: str) -> Any:
    """Return what a profile takes for an axis that the document does not give."""
    name = profile.name
    if name == "barbell":
        name = profile.core or PROFILE_DEFAULTS["barbell"]["core"]
    return PROFILE_DEFAULTS[name][axis]


def _spelled(value: dict[str, Any]) -> str:
    """Return a profile with parameters as one writes it in YAML."""
    return (
        "{"
        + ", ".join(f"{key}: {str(item).lower() if isinstance(item, bool) else item}" for key, item in value.items())
        + "}"
    )


def _reason(profile: Profile, axis: str, fixed: bool) -> str:
    """Return why an axis is dead for a profile."""
    if fixed:
        return "it is fixed in the profile's own mapping"
    if profile.name == "strategy":
        return "a whole backtest trades as it likes" if axis == "rebalance" else "the strategy sets its own weights"
    if axis == "parameters":
        return "they belong to the strategy"
    if axis in OWN_AXES:
        return "it does not order leaves" if profile.name == "nco" else "it builds no tree"
    if profile.name in ("market", "benchmark"):
        return "it is a yardstick, not a portfolio choice" if axis == "constraints" else "it holds its symbols equally"
    if axis in ("covariance", "lookback"):
        return "it looks at the returns themselves" if profile.name in CORES else "it estimates nothing"
    if axis == "expectedReturns":
        return "it uses no expected returns"
    return "it does not read it"
