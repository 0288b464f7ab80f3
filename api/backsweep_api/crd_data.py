"""CEL of the admission policy for spec.data, which is a mapping or a list of them."""

from __future__ import annotations

from collections.abc import Mapping

from backsweep_api.crd_fields import all_of
from backsweep_api.crd_values import shown
from backsweep_api.spec.checks import OneOf

__all__ = ["DATA_VARIABLES"]

JOINED = ".filter(text, text != '').join('; ')"
DATA = "object.spec.data"
ENTRY = "entry.value"
LABEL = (
    f"has({ENTRY}.label) ? {ENTRY}.label : has({ENTRY}.name) ? {ENTRY}.name : !has({ENTRY}.uri) ? '' : "
    f"{ENTRY}.uri.startsWith('store://') ? {ENTRY}.uri.split('@')[0] : {ENTRY}.uri"
)


def _kinds() -> str:
    """Return the CEL that refuses what is no mapping."""
    word = f"type({ENTRY}) == string ? {shown(OneOf(), ENTRY)} : {ENTRY} == null ? 'null' : string({ENTRY})"
    other = f"(type({ENTRY}) == list ? 'a list' : {word})"
    told = f"string(entry.at) + ': found ' + {other} + '; write a mapping, such as {{name: sp500-20}}'"
    wrong = f"variables.data.filter(entry, type({ENTRY}) != map).map(entry, {told}).join('; ')"
    none = "'spec.data: found an empty list; write at least one value'"
    empty = f"(type({DATA}) == list && {DATA}.size() == 0 ? {none} : '')"
    return all_of([empty, wrong])


def _rules() -> str:
    """Return the CEL of DataSet's own rules."""
    both = f"string(entry.at) + ': found name ' + {ENTRY}.name + ' and uri ' + {ENTRY}.uri + '; write one of them'"
    neither = "string(entry.at) + ': found neither name nor uri; write name for a bundled data set or uri for a table'"
    format_ = f"string(entry.at) + '.format: found ' + {ENTRY}.format + ', but ' + {ENTRY}.name "
    format_ += "+ ' is bundled; leave format out'"
    days = f"string(entry.at) + '.start: found ' + {ENTRY}.start + ', which is after end ' + {ENTRY}.end "
    days += "+ '; write an earlier day'"
    texts = [
        f"(has({ENTRY}.name) && has({ENTRY}.uri) ? {both} : '')",
        f"(!has({ENTRY}.name) && !has({ENTRY}.uri) ? {neither} : '')",
        f"(has({ENTRY}.name) && has({ENTRY}.format) ? {format_} : '')",
        f"(has({ENTRY}.start) && has({ENTRY}.end) && {ENTRY}.start > {ENTRY}.end ? {days} : '')",
        _twice("benchmark", f"{ENTRY}.benchmark"),
        _twice("features", f"{ENTRY}.features.map(table, table.name)"),
        _place("uri", f"{ENTRY}.uri", f"has({ENTRY}.uri)"),
        _place("universe", f"{ENTRY}.universe", f"has({ENTRY}.universe)"),
        _tables(),
    ]
    return f"variables.data.filter(entry, type({ENTRY}) == map).map(entry, {all_of(texts)}){JOINED}"


def _twice(field: str, names: str) -> str:
    """Return the CEL that refuses a name that stands in a list twice."""
    told = f"string(entry.at) + '.{field}[' + string(j) + ']: found ' + {names}[j] + ' a second time; write each once'"
    second = f"j < {names}.size() && {names}.indexOf({names}[j]) < j"
    return f"(has({ENTRY}.{field}) ? variables.indices.filter(j, {second}).map(j, {told}).join('; ') : '')"


def _place(path: str, uri: str, there: str) -> str:
    """Return the CEL that refuses tables that no cluster reads."""
    at = f"string(entry.at) + '.{path}: ' + {uri}"
    return (
        f"({there} && {uri}.startsWith('file://') ? {at} + ' is a file of one machine; a cluster needs an s3:// URI' : "
        f"{there} && {uri}.startsWith('https://') ? {at} + ' is not built in this release: no table is downloaded; "
        "copy it, and write an s3:// URI' : '')"
    )


def _tables() -> str:
    """Return the same for the tables of a strategy."""
    uri = f"{ENTRY}.features[j].uri"
    at = f"string(entry.at) + '.features[' + string(j) + '].uri: ' + {uri}"
    told = (
        f"{uri}.startsWith('file://') ? {at} + ' is a file of one machine; a cluster needs an s3:// URI' : "
        f"{uri}.startsWith('https://') ? {at} + ' is not built in this release: no table is downloaded; "
        "copy it, and write an s3:// URI' : ''"
    )
    tables = f"variables.indices.filter(j, j < {ENTRY}.features.size())"
    return f"(has({ENTRY}.features) ? {tables}.map(j, {told}){JOINED} : '')"


def _labels() -> str:
    """Return the CEL that refuses two data sets of one name."""
    labels = "variables.data_labels"
    first = f"{labels}.indexOf({labels}[i])"
    told = f"variables.data[i].at + ': is called ' + {labels}[i] + ' like data[' + string({first}) + "
    told += "']; write a label of its own'"
    return f"variables.indices.filter(i, i < {labels}.size() && {first} < i).map(i, {told}).join('; ')"


def _yardsticks() -> str:
    """Return the CEL that refuses market and beta where the data name no market."""
    axes = "object.spec.axes"
    lacks = "' + label + ' names none; write benchmark there, or leave "
    market = f"string(row.at) + ': found market, which holds the symbols of data.benchmark, but {lacks}market out'"
    beta = "'spec.axes.constraints[' + string(i) + '].beta: is measured against the symbols of data.benchmark, but "
    beta += f"{lacks}beta out'"
    limited = f"{axes}.constraints[i] != null && has({axes}.constraints[i].beta)"
    markets = f"variables.profile_rows.filter(row, row.name == 'market').map(row, {market}).join('; ')"
    betas = f"(has({axes}) && has({axes}.constraints) ? variables.indices.filter(i, i < {axes}.constraints.size() && "
    betas += f"{limited}).map(i, {beta}).join('; ') : '')"
    return f"variables.data_bare.map(label, {all_of([markets, betas])}){JOINED}"


DATA_VARIABLES: Mapping[str, str] = {
    "data": f"!has({DATA}) ? [] : type({DATA}) == list ? variables.indices.filter(i, i < {DATA}.size()).map(i, "
    f"{{'at': dyn('spec.data[' + string(i) + ']'), 'value': dyn({DATA}[i])}}) : "
    f"[{{'at': dyn('spec.data'), 'value': dyn({DATA})}}]",
    "data_labels": f"variables.data.all(entry, type({ENTRY}) == map) ? variables.data.map(entry, {LABEL}) : []",
    "data_bare": f"variables.data.filter(entry, type({ENTRY}) == map && (!has({ENTRY}.benchmark) || "
    f"{ENTRY}.benchmark.size() == 0)).map(entry, {LABEL})",
    "data_kinds_problems": _kinds(),
    "data_problems": _rules(),
    "data_labels_problems": _labels(),
    "data_benchmark_problems": _yardsticks(),
}
"""Variables of the policy that read spec.data; profile_rows must stand before them."""
