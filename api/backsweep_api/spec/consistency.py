"""Rules between the sections of the spec, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import SCENARIOS, Block, axis_sizes, choice_blocks
from backsweep_api.counting import count_grid_points
from backsweep_api.engines import engine_gaps, useless_engines
from backsweep_api.exclusions import excluded_values, scenario_values
from backsweep_api.spec.axes import Axes
from backsweep_api.spec.base import Problem
from backsweep_api.spec.data import DataSet
from backsweep_api.spec.ranges import Range
from backsweep_api.spec.sampling import Sampling, Strategy
from backsweep_api.spec.walk_forward import WalkForward

__all__ = ["MOST_TRIALS", "inconsistencies"]

MOST_TRIALS = 1_000_000
MOST_NAMED = 8  # values of an axis that a sentence lists
Spelled = dict[bytes, None]  # the distinct values of a list as canonical JSON, in their order; of a range none


def inconsistencies(
    data: tuple[DataSet, ...], axes: Axes, sampling: Sampling, strategy: Strategy | None, walk: WalkForward
) -> Iterator[Problem]:
    """Yield what is wrong between the sections, each with its path below spec."""
    yield from _data_problems(data, axes)
    yield from _strategy_problems(axes, strategy)
    if walk.train is not None and axes.lookback is not None:
        yield ("walkForward", "train"), f"found {walk.train}, but axes.lookback is given, too; write one of them"
    drawing = list(_sampling_problems(axes, sampling, strategy))
    yield from drawing
    if axes.profile is None and strategy is None:
        return
    blocks = choice_blocks(axes, strategy, walk.train)
    yield from _engine_problems(axes, strategy)
    yield from _size_problems(data, axes, sampling, blocks)
    if any(True for exclusion in axes.exclude for _ in exclusion.rules()):
        return  # each is told by itself
    broken = list(_exclusion_problems(data, axes, blocks))
    yield from broken
    small = sum(block.points for block in blocks) <= MOST_TRIALS
    listed = sampling.method == "grid" and not drawing
    if axes.exclude and not broken and small and listed and not count_grid_points(blocks, excluded_values(axes)):
        yield ("axes", "exclude"), "leaves nothing to run; write fewer exclusions"


def _data_problems(data: tuple[DataSet, ...], axes: Axes) -> Iterator[Problem]:
    """Yield clashes of labels, and yardsticks without symbols."""
    labels = [entry.axis_value for entry in data]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            yield ("data", index), f"is called {label} like data[{labels.index(label)}]; write a label of its own"
    for index, entry in enumerate(data):
        if entry.benchmark:
            continue
        for position, profile in enumerate(axes.profile or ()):
            if profile.name == "market":
                yield (
                    ("axes", "profile", position),
                    f"found market, which holds the symbols of data.benchmark, but {labels[index]} names none; "
                    f"write benchmark there, or leave market out",
                )
        for position, constraints in enumerate(axes.constraints):
            if constraints is not None and constraints.beta is not None:
                yield (
                    ("axes", "constraints", position, "beta"),
                    f"is measured against the symbols of data.benchmark, but {labels[index]} names none; "
                    f"write benchmark there, or leave beta out",
                )


def _strategy_problems(axes: Axes, strategy: Strategy | None) -> Iterator[Problem]:
    """Yield a strategy that nothing uses, and a use of none."""
    if axes.profile is None:
        if strategy is None:
            yield ("axes", "profile"), "is missing; write a list of profiles, such as [hrp, min_variance]"
        return
    positions = [index for index, profile in enumerate(axes.profile) if profile.name == "strategy"]
    if positions and strategy is None:
        yield (
            ("axes", "profile", positions[0]),
            "found strategy, but spec.strategy is missing; write its entrypoint there",
        )
    if strategy is not None and not positions:
        yield (
            ("strategy",),
            "is given, but axes.profile does not list it; add strategy there, or leave axes.profile out",
        )


def _sampling_problems(axes: Axes, sampling: Sampling, strategy: Strategy | None) -> Iterator[Problem]:
    """Yield ranges that the method cannot draw from, and a method that wants some."""
    ranges: list[tuple[str | int, ...]] = []
    if axes.lookback_range is not None:
        ranges.append(("axes", "lookback"))
    if strategy is not None:
        drawn = [name for name, values in strategy.parameters.items() if isinstance(values, Range)]
        ranges.extend(("strategy", "parameters", name) for name in sorted(drawn))
    if sampling.method in ("grid", "random"):
        for path in ranges:
            yield (
                path,
                f"found a range, which {sampling.method} cannot list; write a list, or sampling.method sobol or search",
            )
    elif sampling.method == "sobol" and not ranges:
        yield (
            ("sampling", "method"),
            f"found {sampling.method}, which draws from ranges, but no axis has one; write random, or a range "
            f"such as lookback: {{low: 63, high: 504}}",
        )


def _engine_problems(axes: Axes, strategy: Strategy | None) -> Iterator[Problem]:
    """Yield a base engine that cannot solve every choice, and engines that solve none of the profiles."""
    useless = set(useless_engines(axes, strategy))
    for index in sorted(useless - {0}):
        yield ("axes", "engine", index), f"found {axes.engine[index]}, which has none of the profiles; leave it out"
    for gap in engine_gaps(axes, strategy):
        if gap.engine == axes.engine[0]:
            told = "and by the first engine all choices are ranked; write native first, or leave that choice out"
            yield ("axes", "engine", 0), f"{gap.reason}, {told}"
            return


def _size_problems(
    data: tuple[DataSet, ...], axes: Axes, sampling: Sampling, blocks: tuple[Block, ...]
) -> Iterator[Problem]:
    """Yield a sweep that is too large, and a sample larger than what it is drawn from."""
    points = sum(block.points for block in blocks)
    scenarios = len(data) * len(axes.engine) * len(axes.costs)
    drawn = points if sampling.method == "grid" else (sampling.most_points or 1)
    if drawn * scenarios > MOST_TRIALS:
        path = ("axes",) if sampling.method == "grid" else ("sampling", "count")
        yield (
            path,
            f"found {drawn * scenarios:,} trials; a sweep has at most {MOST_TRIALS:,}: write fewer values, "
            f"or draw fewer points by sampling",
        )
    elif sampling.method == "random" and drawn > points:
        yield (
            ("sampling", "count"),
            f"found {drawn}, more than the axes have distinct points ({points}); write fewer, or method grid",
        )


def _exclusion_problems(data: tuple[DataSet, ...], axes: Axes, blocks: tuple[Block, ...]) -> Iterator[Problem]:
    """Yield exclusions that name what is not there, match nothing or take a base scenario away."""
    scenarios = scenario_values(data, axes)
    spelled = _spelled_columns(blocks)
    for index, exclusion in enumerate(excluded_values(axes)):
        path = ("axes", "exclude", index)
        wrong = [_unknown_value(axis, value, axes, spelled, scenarios) for axis, value in exclusion.items()]
        if any(wrong):
            for axis, sentence in zip(exclusion, wrong, strict=True):
                if sentence:
                    yield (*path, *axis.split(".")), sentence
            continue
        choices = {axis: value for axis, value in exclusion.items() if axis not in SCENARIOS}
        if not any(all(value in block.get(axis, ()) for axis, value in choices.items()) for block in spelled):
            yield (
                path,
                "matches no point, because one of its axes changes nothing for the profiles it names; leave it out",
            )
        named = [axis for axis in exclusion if axis in SCENARIOS]
        if named and all(exclusion[axis] == canonical_json(scenarios[axis][0]) for axis in named):
            yield (
                (*path, named[0]),
                "is the base, the first value, by which choices are ranked, so it is always run; "
                "leave it out to exclude the choice itself",
            )


def _spelled_columns(blocks: tuple[Block, ...]) -> list[dict[str, Spelled]]:
    """Return the values of each block's axes as canonical JSON; what blocks share is spelled once."""
    known: dict[int, Spelled] = {}
    found = []
    for block in blocks:
        for column in block.values.values():
            if id(column) not in known:
                known[id(column)] = {canonical_json(item): None for item in column} if isinstance(column, tuple) else {}
        found.append({axis: known[id(column)] for axis, column in block.values.items()})
    return found


def _unknown_value(
    axis: str, value: bytes, axes: Axes, blocks: list[dict[str, Spelled]], scenarios: dict[str, tuple[object, ...]]
) -> str | None:
    """Return a sentence if `value` is none of the axis' values."""
    if axis in SCENARIOS:
        columns = [{canonical_json(item): None for item in scenarios[axis]}]
    else:
        columns = list({id(block[axis]): block[axis] for block in blocks if axis in block}.values())
        if not all(columns):
            return "is drawn from a range, so no one value can be excluded; leave it out"
        if not columns:
            return None if axis in axis_sizes(axes, None) else "is no parameter of spec.strategy; leave it out"
    if any(value in column for column in columns):
        return None
    spelled = list(dict.fromkeys(item for column in columns for item in column))
    listed = ", ".join(item.decode() for item in spelled[:MOST_NAMED])
    more = f" or one of {len(spelled) - MOST_NAMED} more" if len(spelled) > MOST_NAMED else ""
    return f"found {value.decode()}, which is no value of {axis}; write one of {listed}{more}"
