"""CEL of the admission policy for what is drawn from the axes: ranges, a strategy's parameters, exclusions."""

from __future__ import annotations

from collections.abc import Mapping

from backsweep_api.crd_fields import all_of
from backsweep_api.crd_values import quoted, shown
from backsweep_api.spec.checks import LARGEST_SCALAR, Scalar

__all__ = ["POINT_VARIABLES"]

JOINED = ".filter(text, text != '').join('; ')"
AXES = "object.spec.axes"
LOOKBACK = f"{AXES}.lookback"
STRATEGY = "object.spec.strategy"
PARAMETERS = f"{STRATEGY}.parameters"
METHOD = "object.spec.sampling.method"
HAS_LOOKBACK = f"has({AXES}) && has({LOOKBACK})"
HAS_PARAMETERS = f"has({STRATEGY}) && has({PARAMETERS})"


def _columns() -> str:
    """Return the CEL that lists lookback and the strategy's parameters: lists or ranges."""
    row = f"{{'at': dyn('spec.axes.lookback'), 'short': dyn('lookback'), 'value': dyn({LOOKBACK})}}"
    lookback = f"{HAS_LOOKBACK} ? [{row}] : []"
    each = (
        "{'at': dyn('spec.strategy.parameters.' + key), 'short': dyn('parameters.' + key), 'value': dyn("
        + f"{PARAMETERS}[key])}}"
    )
    return f"({lookback}) + ({HAS_PARAMETERS} ? {PARAMETERS}.map(key, {each}) : [])"


def _kinds() -> str:
    """Return the CEL that refuses what is no list and no range, and lists without values."""
    value = "column.value"
    shown = f"(type({value}) == string ? '\"' + {value} + '\"' : {value} == null ? 'null' : string({value}))"
    wrong = f"string(column.at) + ': found ' + {shown} + '; write a list, such as [' + {shown} + ']'"
    empty = "string(column.at) + ': found an empty list; write at least one value'"
    told = all_of(
        [
            f"(type({value}) != list && type({value}) != map ? {wrong} : '')",
            f"(type({value}) == list && {value}.size() == 0 ? {empty} : '')",
        ]
    )
    return f"variables.columns.map(column, {told}){JOINED}"


def _scalars() -> str:
    """Return the CEL that refuses a parameter's values that are no single values, and those given twice."""
    value = "column.value[i]"
    found = f"(type({value}) == map ? 'a mapping' : type({value}) == list ? 'a list' : {value} == null ? 'null' : "
    found += f"{shown(Scalar(), value)})"
    at = "string(column.at) + '[' + string(i) + ']"
    wrong = f"{at}: found ' + {found} + {quoted(f'; write {Scalar().right}')}"
    number = f"double({value}) <= {LARGEST_SCALAR} && double({value}) >= -{LARGEST_SCALAR}"
    single = f"(type({value}) == string ? {value}.size() <= {Scalar().longest} : type({value}) in [dyn(int), "
    single += f"dyn(double)] ? {number} : type({value}) == bool)"
    first = f"column.value.indexOf({value})"
    again = f"{at}: is the same as ' + string(column.short) + '[' + string({first}) + ']; write each value once'"
    told = f"{single} ? ({first} < i && i < 100 ? {again} : '') : {wrong}"
    lists = "variables.columns.filter(column, string(column.short) != 'lookback' && type(column.value) == list)"
    each = f"variables.indices.filter(i, i < column.value.size()).map(i, {told}){JOINED}"
    return f"{lists}.map(column, {each}){JOINED}"


def _ranges() -> str:
    """Return the CEL of a range's own rules."""
    low, high, step = (f"range.value.{name}" for name in ("low", "high", "step"))
    down = f"string(range.at) + '.low: found ' + string({low}) + ', not below high ' + string({high}) "
    down += "+ '; write less than high'"
    log = f"string(range.at) + '.low: found ' + string({low}) + ' with log: true; write a number above 0'"
    span = f"double({high}) - double({low})"
    long = f"string(range.at) + '.step: found ' + string({step}) + ', more than the range; write at most ' "
    long += f"+ string({span})"
    told = all_of(
        [
            f"({low} >= {high} ? {down} : '')",
            f"(has(range.value.log) && range.value.log && {low} <= 0 ? {log} : '')",
            f"(has({step}) && {low} < {high} && double({step}) > {span} ? {long} : '')",
        ]
    )
    return f"variables.ranges.map(range, {told}){JOINED}"


def _drawing() -> str:
    """Return the CEL that refuses ranges a method cannot list, and a method that wants some."""
    listing = (
        f"string(range.at) + ': found a range, which ' + {METHOD} + ' cannot list; write a list, or sampling.method "
    )
    listing += "sobol or search'"
    sobol = (
        "'spec.sampling.method: found sobol, which draws from ranges, but no axis has one; write random, or a range "
    )
    sobol += "such as lookback: {low: 63, high: 504}'"
    return (
        f"{METHOD} in ['grid', 'random'] ? variables.ranges.map(range, {listing}).join('; ') : "
        f"{METHOD} == 'sobol' && variables.ranges.size() == 0 ? {sobol} : ''"
    )


def _strategy() -> str:
    """Return the CEL of rules between profile, strategy, training rows and lookback."""
    rows = "variables.profile_rows"
    used = f"{rows}.filter(row, row.name == 'strategy')"
    has_profile = f"has({AXES}) && has({AXES}.profile)"
    train = "object.spec.walkForward"
    profile = "'spec.axes.profile: is missing; write a list of profiles, such as [hrp, min_variance]'"
    missing = f"{used}[0].at + ': found strategy, but spec.strategy is missing; write its entrypoint there'"
    unused = (
        "'spec.strategy: is given, but axes.profile does not list it; add strategy there, or leave axes.profile out'"
    )
    both = f"'spec.walkForward.train: found ' + string({train}.train) + ', but axes.lookback is given, too; "
    both += "write one of them'"
    empty = "'spec.axes.profile: found an empty list; write at least one value'"
    return all_of(
        [
            f"(!({has_profile}) && !has({STRATEGY}) ? {profile} : '')",
            f"({has_profile} && {AXES}.profile.size() == 0 ? {empty} : '')",
            f"({used}.size() > 0 && !has({STRATEGY}) ? {missing} : '')",
            f"({has_profile} && {used}.size() == 0 && has({STRATEGY}) ? {unused} : '')",
            f"(has({train}) && has({train}.train) && {HAS_LOOKBACK} ? {both} : '')",
        ]
    )


def _exclusions() -> str:
    """Return the CEL of an exclusion's own rules."""
    value = f"{AXES}.exclude[i]"
    at = "'spec.axes.exclude[' + string(i) + ']"
    nothing = f"{at}: found nothing; name at least one axis and its value'"
    null = f"{at}.' + key + \": found null; write one of the axis' values, or leave it out\""
    twice = f"{at}.' + key + ': is given in profile, too; write ' + key + ' in one place'"
    told = all_of(
        [
            f"({value}.size() == 0 ? {nothing} : '')",
            f"{value}.filter(key, key != 'constraints' && {value}[key] == null).map(key, {null}).join('; ')",
            f"(has({value}.profile) && type({value}.profile) == map ? "
            f"{value}.profile.filter(key, key != 'name' && key in {value}).map(key, {twice}).join('; ') : '')",
        ]
    )
    rows = f"variables.indices.filter(i, i < {AXES}.exclude.size()).map(i, {told}){JOINED}"
    return f"has({AXES}) && has({AXES}.exclude) ? {rows} : ''"


POINT_VARIABLES: Mapping[str, str] = {
    "columns": _columns(),
    "ranges": "variables.columns.filter(column, type(column.value) == map && has(column.value.low) && "
    "has(column.value.high))",
    "columns_problems": _kinds(),
    "scalars_problems": _scalars(),
    "ranges_problems": _ranges(),
    "drawing_problems": _drawing(),
    "strategy_problems": _strategy(),
    "exclude_problems": _exclusions(),
}
"""Variables of the policy that read what is drawn from; profile_rows must stand before them."""
