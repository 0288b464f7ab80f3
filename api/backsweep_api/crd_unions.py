"""CEL of the admission policy for the axes that hold names or mappings, and for values that stand in an axis twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from backsweep_api.crd_data import DATA_VARIABLES
from backsweep_api.crd_fields import all_of
from backsweep_api.crd_points import POINT_VARIABLES
from backsweep_api.crd_values import listed, quoted, refusal
from backsweep_api.fields import fields_of
from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Named
from backsweep_api.spec.checks import OneOf
from backsweep_api.spec.constraints import EVERYONE, Universe
from backsweep_api.spec.names import LabelText
from backsweep_api.spec.profiles import (
    COVARIANCE_DEFAULTS,
    ERC,
    EXPECTED_RETURNS_DEFAULTS,
    PROFILE_DEFAULTS,
    Covariance,
    CovarianceName,
    ExpectedReturns,
    ExpectedReturnsName,
    Profile,
    ProfileName,
)

__all__ = ["VARIABLES"]

MOST_COMPARED = 100  # values of an axis that are compared with each other
JOINED = ".filter(text, text != '').join('; ')"
NUMBER_OF = "string(row.value.size()) + (row.value.size() == 1 ? ' value' : ' values')"
FOUND = (
    "(type(row.value) != list ? (row.value == null ? 'null' : string(row.value)) : "
    f"row.value.size() == 0 ? 'an empty list' : 'a list of ' + {NUMBER_OF})"
)
AXES = "object.spec.axes"

Parameters = Mapping[str, Mapping[str, Any]]


def _rows(axis: str) -> str:
    """Return the CEL that lists an axis' values with their paths and names."""
    value = f"{AXES}.{axis}[i]"
    name = f"type({value}) == string ? {value} : type({value}) == map && has({value}.name) ? {value}.name : ''"
    row = f"{{'at': dyn('spec.axes.{axis}[' + string(i) + ']'), 'value': dyn({value}), 'name': dyn({name})}}"
    rows = f"variables.indices.filter(i, i < {AXES}.{axis}.size()).map(i, {row})"
    return f"has({AXES}) && has({AXES}.{axis}) ? {rows} : []"


def _mapping_words(model: type[Named]) -> str:
    """Return what a value of the axis may be, as `problems` says it."""
    names = list(fields_of(model))
    return f"; write a name, or a mapping ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"


def _kinds(axis: str, model: type[Named], right: str) -> list[str]:
    """Return the CEL that refuses values that are no name and no mapping, and mappings without a name."""
    neither = f"string(row.at) + ': found ' + {FOUND} + {quoted(_mapping_words(model))}"
    nameless = f"string(row.at) + {quoted(f'.name: is missing; write {right}')}"
    return [
        f"type(row.value) != string && type(row.value) != map ? {neither} : ''",
        f"type(row.value) == map && !has(row.value.name) ? {nameless} : ''",
    ]


def _named(axis: str, model: type[Named], words: tuple[str, ...], defaults: Parameters) -> str:
    """Return the CEL of what is wrong with the names of an axis and the parameters they do not take."""
    aliases = [alias for alias, _ in ERC] if axis == "profile" else []
    right = one_of(words)
    unknown = f"string(row.at) + ': ' + {refusal(OneOf(words=words), 'row.value')}"
    return _each_row(
        axis,
        [
            *_kinds(axis, model, right),
            f"type(row.value) == string && !(row.value in {listed([*words, *aliases])}) ? {unknown} : ''",
            f"type(row.value) == map ? {_foreign(model, defaults)} : ''",
        ],
    )


def _foreign(model: type[Named], defaults: Parameters) -> str:
    """Return the CEL that refuses the parameters of another name."""
    parameters = [name for name in fields_of(model) if name != "name"]
    takes = {name: list(values) for name, values in defaults.items()}
    says = {name: f"takes {one_of(values)}" for name, values in takes.items()}
    owners = {key: one_of(name for name, values in takes.items() if key in values) for key in parameters}
    value, name = _meant("row.value[key]"), _meant("row.name")
    shown = f"(type(row.value[key]) == string ? '\"' + string({value}) + '\"' : string(row.value[key]))"
    told = f"string(row.at) + '.' + key + ': found ' + {shown} + ', but ' + {name} + ' ' + "
    told += (
        f"(row.name in {_map(says)} ? {_map(says)}[row.name] : 'takes no parameters') + '; ' + key + ' belongs to ' + "
    )
    told += f"{_map(owners)}[key]"
    foreign = f"key in {listed(parameters)} && !(row.name in {_map(takes)} && key in {_map(takes)}[row.name])"
    return f"row.value.filter(key, row.value[key] != null && {foreign}).map(key, {told}).join('; ')"


def _meant(name: str) -> str:
    """Return the CEL of the name that a name or its alias means."""
    for alias, means in ERC:
        name = f"({name} == {quoted(alias)} ? {quoted(means)} : {name})"
    return name


def _map(values: Mapping[str, Any]) -> str:
    """Return a CEL map of texts, or of lists of texts."""
    parts = [f"{quoted(k)}: {quoted(v) if isinstance(v, str) else listed(v)}" for k, v in values.items()]
    return "{" + ", ".join(parts) + "}"


def _universes() -> str:
    """Return the CEL of what is wrong with the values of axes.universe."""
    right = next(item.right for item in get_args(LabelText)[1:])
    nothing = "', which lists no symbols; write all, or name and symbols'"
    all_listed = "'.name: found all, which is every asset; write another name for a list of symbols'"
    listing = "type(row.value) == map && has(row.value.symbols)"
    return _each_row(
        "universe",
        [
            *_kinds("universe", Universe, right),
            f"row.name == '{EVERYONE}' && {listing} ? string(row.at) + {all_listed} : ''",
            f"row.name != '' && row.name != '{EVERYONE}' && !({listing}) ? "
            f"string(row.at) + ': found ' + row.name + {nothing} : ''",
        ],
    )


def _each_row(axis: str, texts: list[str]) -> str:
    told = all_of([f"({text})" for text in texts])
    return f"variables.{axis}_rows.map(row, {told}){JOINED}"


def _own(parameter: str, defaults: Parameters) -> str:
    """Return the CEL of a parameter's value, its name's default where it is not given."""
    known = {name: values[parameter] for name, values in defaults.items() if parameter in values}
    literal = "{" + ", ".join(f"{quoted(name)}: {_literal(value)}" for name, value in known.items()) + "}"
    default = f"row.name in {literal} ? dyn({literal}[row.name]) : dyn(null)" if known else "dyn(null)"
    return f"type(row.value) == map && has(row.value.{parameter}) ? dyn(row.value.{parameter}) : {default}"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else repr(value)


def _keys(model: type[Named], axis: str, defaults: Parameters) -> str:
    """Return the CEL that spells an axis' values one way: the name, then every parameter with its default."""
    parameters = [f"({_own(name, defaults)})" for name in fields_of(model) if name != "name"]
    name = _meant("row.name") if axis == "profile" else "row.name"
    return f"variables.{axis}_rows.map(row, [dyn({name}), {', '.join(parameters)}])"


def _plain_keys() -> dict[str, str]:
    """Return by axis the CEL that spells its values one way, where they are no names with parameters."""
    either = "has(set.{0}) ? dyn(set.{0}) : dyn(null)"
    limits = ", ".join(f"({either.format(name)})" for name in ("gross", "turnoverLimit", "beta"))
    groups = "(has(set.groupCaps) ? dyn(set.groupCaps) : dyn([]))"
    spelled = "set == null ? [dyn(0), dyn(1), dyn(1), dyn(null), dyn(null), dyn(null), dyn([])] : "
    spelled += f"[dyn(set.minWeight), dyn(set.maxWeight), dyn(set.net), {limits}, {groups}]"
    return {
        "linkage": f"{AXES}.linkage",
        "leafOrder": f"{AXES}.leafOrder",
        "rebalance": f"{AXES}.rebalance",
        "engine": f"{AXES}.engine",
        "lookback": f"{AXES}.lookback",
        "costs": f"{AXES}.costs.map(cost, [dyn(cost.slippageBps), dyn(cost.commissionBps), "
        "dyn(double(cost.borrowRate))])",
        "constraints": f"{AXES}.constraints.map(set, {spelled})",
        "universe": "variables.universe_rows.map(row, type(row.value) == map && has(row.value.symbols) ? "
        "dyn(row.value.symbols) : dyn(row.name))",
    }


def _repeated(axis: str) -> str:
    """Return the CEL that names the values that stand in an axis twice."""
    keys = f"variables.{axis}_keys"
    first = f"{keys}.indexOf({keys}[i])"
    told = f"'spec.axes.{axis}[' + string(i) + ']: is the same as {axis}[' + string({first}) + "
    told += "']; write each value once'"
    few = f"variables.indices.filter(i, i < {keys}.size() && i < {MOST_COMPARED} && {first} < i)"
    return f"{few}.map(i, {told}).join('; ')"


def _second_names() -> str:
    """Return the CEL that refuses two lists of symbols of one name."""
    names = "variables.universe_names"
    keys = "variables.universe_keys"
    second = f"i < {names}.size() && {names}.indexOf({names}[i]) < i && {keys}.indexOf({keys}[i]) == i"
    told = "'spec.axes.universe[' + string(i) + '].name: found ' + "
    told += f"{names}[i] + ' a second time; write a name of its own'"
    return f"variables.indices.filter(i, {second}).map(i, {told}).join('; ')"


def _variables() -> dict[str, str]:
    """Return the policy's variables, each after those it reads."""
    named: list[tuple[str, type[Named], Any, Parameters]] = [
        ("profile", Profile, ProfileName, PROFILE_DEFAULTS),
        ("covariance", Covariance, CovarianceName, COVARIANCE_DEFAULTS),
        ("expectedReturns", ExpectedReturns, ExpectedReturnsName, EXPECTED_RETURNS_DEFAULTS),
    ]
    found = {f"{axis}_rows": _rows(axis) for axis in (*(name for name, *_ in named), "universe")}
    found["universe_names"] = "variables.universe_rows.map(row, row.name)"
    for axis, model, _, defaults in named:
        found[f"{axis}_keys"] = _keys(model, axis, defaults)
    for axis, keys in _plain_keys().items():
        there = f"has({AXES}) && has({AXES}.{axis})" + (
            f" && type({AXES}.{axis}) == list" if axis == "lookback" else ""
        )
        found[f"{axis}_keys"] = f"{there} ? {keys} : []"
    axes = [key.removesuffix("_keys") for key in found if key.endswith("_keys")]
    told = {f"{axis}_names_problems": _named(axis, model, get_args(words), own) for axis, model, words, own in named}
    told["universe_problems"] = _universes()
    told["universe_names_problems"] = _second_names()
    twice = {f"{axis}_twice_problems": _repeated(axis) for axis in axes}
    return {**found, **DATA_VARIABLES, **told, **twice, **POINT_VARIABLES}


VARIABLES: Mapping[str, str] = _variables()
"""Variables of the policy by name; those that end in _problems are texts that must be empty."""
