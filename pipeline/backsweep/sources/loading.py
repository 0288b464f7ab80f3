"""One entry of spec.data to one data set: find it, read it, resolve it, say where it came from."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backsweep.arrays import Dates, FeatureTable, Float, Returns
from backsweep.data.resolution import Resolution, resolve
from backsweep.data.tables import DataOptions, MembershipTable
from backsweep.errors import DataError
from backsweep.sources.bundles import open_bundled
from backsweep.sources.files import TableFile, open_table
from backsweep.sources.tables import feature_table, membership_table, value_table

__all__ = ["LoadedData", "Opener", "lineage_of", "load"]

Opener = Callable[[str, str | None], TableFile]
"""Reads the table a uri names, in the format given (None: by its suffix)."""

_FIELDS = frozenset(
    {"name", "uri", "label", "kind", "format", "start", "end", "calendar", "universe", "benchmark", "missing"}
    | {"delistingReturn", "riskFree", "periods", "features"}
)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedData:
    """A data set, ready for the stages, and where it came from.

    Parameters
    ----------
    label : the entry's label, else its name or its uri as written.
    returns : what the stages work on.
    prices : (T + 1, N) float64, NaN where there is no price; row t + 1 is row t of `returns`; None
        for a table of returns.
    price_dates : (T + 1,) datetime64[D]; None for a table of returns.
    lineage : the same for every cut of one source: 16 hex digits of its name or uri, and its kind.
    provenance : what was read, as JSON types; the same in every run on the same files.
    features : name -> table, for strategies.
    """

    label: str
    returns: Returns
    prices: Float | None
    price_dates: Dates | None
    lineage: str
    provenance: dict[str, Any]
    features: dict[str, FeatureTable]


def load(entry: Mapping[str, Any], folder: Path, opener: Opener | None = None) -> LoadedData:
    """Load one entry of `spec.data`, with the names the document has.

    Parameters
    ----------
    entry : the entry; None is the same as leaving a field out. `universe` is the uri of a membership
        table, `benchmark` a list of symbols, `features` a list of {name, uri, format}.
    folder : where relative paths start.
    opener : reads the tables; files alone unless given.

    Raises
    ------
    DataError
        One sentence for the first thing that is wrong; nothing is left half made.
    NotBuiltError
        A uri that the opener does not read.
    """
    read = opener or (lambda uri, format: open_table(uri, folder, format))
    given = {field: value for field, value in entry.items() if value is not None}
    for field in given:
        if field not in _FIELDS:
            raise DataError(f"data.{field} is not a field of spec.data")
    place, kind = _place(given), str(given.get("kind", "prices"))
    if kind not in ("prices", "returns"):
        raise DataError(f"data.kind is {kind!r}; write prices or returns")
    origin: dict[str, Any] = {}
    if "name" in given:
        file, origin = open_bundled(place)
        if kind != origin["kind"] or given.get("format", file.format) != file.format:
            raise DataError(f"data.name {place} holds {origin['kind']}; leave out data.kind and data.format")
    else:
        file = read(place, given.get("format"))
    table, column = value_table(file, kind)
    universe, universe_file = _universe(given.get("universe"), read)
    resolution = resolve(table, _options(given, universe))
    features, feature_files = _features(given.get("features", ()), read)
    provenance = {
        **_described(file),
        "kind": kind,
        "column": column,
        "rows_read": len(table.dates),
        "resolved": _resolved(resolution),
        "origin": origin,
        "universe": universe_file,
        "features": feature_files,
    }
    return LoadedData(
        label=str(given.get("label", _unversioned(place))),
        returns=resolution.returns,
        prices=resolution.prices,
        price_dates=resolution.price_dates,
        lineage=lineage_of(given),
        provenance=provenance,
        features=features,
    )


def lineage_of(entry: Mapping[str, Any]) -> str:
    """Return the id that trials on any part of one source are counted under.

    Dates, calendar and universe are left out: a second look at the same prices from another angle
    is still a second look. So is one at another version of a data set of the store.
    """
    source = entry.get("name") or posixpath.normpath(_unversioned(str(entry["uri"])).removeprefix("file://"))
    identity = json.dumps({"kind": entry.get("kind") or "prices", "source": source}, sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _unversioned(place: str) -> str:
    """Return store://NAME of store://NAME@version, anything else as it is."""
    return place.partition("@")[0] if place.startswith("store://") else place


def _place(given: Mapping[str, Any]) -> str:
    """Return the name or the uri, whichever of the two is given."""
    if ("name" in given) == ("uri" in given):
        raise DataError("data needs either name (a bundled set) or uri (a file), not both and not neither")
    return str(given.get("name", given.get("uri")))


def _options(given: Mapping[str, Any], universe: MembershipTable | None) -> DataOptions:
    """Return the entry's options with their defaults."""
    return DataOptions(
        kind=given.get("kind", "prices"),
        start=_date("start", given.get("start")),
        end=_date("end", given.get("end")),
        calendar=given.get("calendar"),
        missing=given.get("missing", "error"),
        delisting_return=_number("delistingReturn", given.get("delistingReturn", 0.0)),
        risk_free=_number("riskFree", given.get("riskFree", 0.0)),
        benchmark=tuple(given.get("benchmark", ())),
        periods=given.get("periods"),
        membership=universe,
    )


def _date(field: str, text: str | None) -> np.datetime64 | None:
    """Read a date of the document."""
    if text is None:
        return None
    try:
        if len(text) != len("1990-01-02"):
            raise ValueError
        return np.datetime64(text, "D")
    except ValueError as error:
        raise DataError(f"data.{field} is {text!r}, which is not a date; write it as 1990-01-02") from error


def _number(field: str, value: Any) -> float:
    """Read a number of the document, which may be a decimal string."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"data.{field} is {value!r}, which is not a number; write a fraction such as 0.02") from error


def _universe(uri: str | None, read: Opener) -> tuple[MembershipTable | None, dict[str, Any] | None]:
    """Return the membership table and what was read."""
    if uri is None:
        return None, None
    file = read(uri, None)
    return membership_table(file), _described(file)


def _features(
    given: Sequence[Mapping[str, Any]], read: Opener
) -> tuple[dict[str, FeatureTable], dict[str, dict[str, Any]]]:
    """Return the tables for strategies and what was read for each."""
    tables: dict[str, FeatureTable] = {}
    described: dict[str, dict[str, Any]] = {}
    for place in given:
        name = str(place["name"])
        if name in tables:
            raise DataError(f'data.features names "{name}" twice')
        file = read(str(place["uri"]), place.get("format"))
        tables[name] = feature_table(file)
        described[name] = _described(file)
    return tables, described


def _described(file: TableFile) -> dict[str, Any]:
    """Say which bytes were read."""
    return {"source": file.source, "format": file.format, "sha256": file.sha256, "bytes": file.size_bytes}


def _resolved(resolution: Resolution) -> dict[str, Any]:
    """Say what came of them."""
    returns = resolution.returns
    return {
        "digest": returns.digest,
        "rows": len(returns.dates),
        "assets": len(returns.symbols),
        "first": str(returns.dates[0]),
        "last": str(returns.dates[-1]),
        "periods": returns.periods,
    }
