"""Commands on the data sets of a store: data import, push, list, show."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backsweep.cli.tables import format_table
from backsweep.errors import DataError

if TYPE_CHECKING:
    from backsweep.flow.data_sets import Imported
    from backsweep.stores.opening import AnyStore

__all__ = ["data"]

MEBIBYTE = 2**20


def data(options: argparse.Namespace) -> int:
    """Run one of the actions."""
    actions = {"import": _import, "push": _push, "list": _list, "show": _show}
    return actions[options.action](options)


def _import(options: argparse.Namespace) -> int:
    from backsweep.flow.data_sets import import_data

    store = _store(options)
    folder = Path(options.folder)
    done = import_data(store, folder, _name(options, folder), _now())
    _report(done, store, options.json)
    return 0


def _push(options: argparse.Namespace) -> int:
    """Copy a version from the local store, or a folder, to another store."""
    from backsweep.flow.data_sets import import_data, push_data
    from backsweep.flow.prepare import LOCAL_STORE
    from backsweep.stores.data_versions import versions
    from backsweep.stores.opening import open_store

    target = _store(options)
    source = open_store(options.source or LOCAL_STORE)
    folder = Path(options.place)
    if folder.is_dir() and "@" not in options.place:
        if options.name is None and versions(source, options.place):
            raise DataError(
                f"{options.place}: it is a folder here and a data set of {source.uri}; write ./{options.place} for the "
                f"folder, {options.place}@VERSION for the data set"
            )
        done = import_data(target, folder, _name(options, folder), _now())
    else:
        if options.name is not None:
            raise DataError(f"--name {options.name}: a data set keeps its name when it is pushed; leave it out")
        done = push_data(source, options.place, target, _now())
    _report(done, target, options.json)
    return 0


def _list(options: argparse.Namespace) -> int:
    from backsweep.stores.data_versions import names, read_version, versions

    store = _opened(options)
    rows = []
    for name in names(store):
        log = versions(store, name)
        record = read_version(store, log[-1].version)
        rows.append({**dataclasses.asdict(log[-1]), "versions": len(log), **_figures(record)})
    if options.json:
        _print_json(rows)
        return 0
    if not rows:
        sys.stdout.write(f"no data sets in {store.uri}; backsweep data import FOLDER brings one\n")
        return 0
    headers = ["name", "newest", "versions", "first", "last", "rows", "files", "MiB", "imported"]
    sys.stdout.write(format_table(headers, [_cells(row) for row in rows]))
    return 0


def _cells(row: Mapping[str, Any]) -> list[str]:
    counts = [f"{row['rows']:,}", f"{row['files']:,}", f"{row['bytes'] / MEBIBYTE:.1f}"]
    return [row["name"], row["version"][:16], str(row["versions"]), row["first"], row["last"], *counts, _when(row)]


def _when(row: Mapping[str, Any]) -> str:
    """Return the time of an import to the second."""
    return f"{row['imported_at'][:19].replace('T', ' ')} UTC"


def _show(options: argparse.Namespace) -> int:
    """Print what a version holds, and the versions of its name."""
    from backsweep.stores.data_versions import find_version, read_version, versions

    store = _opened(options)
    found = find_version(store, options.place)
    record = read_version(store, found.version)
    log = versions(store, found.name)
    if options.json:
        _print_json({**dataclasses.asdict(found), "record": record, "log": [dataclasses.asdict(each) for each in log]})
        return 0
    columns = ", ".join(f"{column['name']} {column['type']}" for column in record["columns"][:8])
    more = len(record["columns"]) - 8
    lines = [
        ("version", found.version),
        ("imported", f"{_when(dataclasses.asdict(found))} from {found.source}"),
        ("holds", f"{record['symbols']:,} assets, {record['first']} to {record['last']}, {record['rows']:,} rows"),
        ("layout", record["layout"]),
        ("columns", f"{columns}{f' and {more} more' if more > 0 else ''}"),
        ("files", f"{len(record['files']):,}, {record['bytes'] / MEBIBYTE:.1f} MiB"),
        ("in a document", f"data: {{uri: store://{found.name}@{found.version[:16]}}}"),
    ]
    sys.stdout.write(f"{found.name}\n" + "".join(f"  {name:<14} {value}\n" for name, value in lines))
    sys.stdout.write("\nVersions, the newest first:\n")
    cells = [
        [str(each.number), each.version[:16], _when(dataclasses.asdict(each)), each.source] for each in reversed(log)
    ]
    sys.stdout.write(format_table(["", "version", "imported", "from"], cells))
    return 0


def _report(done: Imported, store: AnyStore, as_json: bool) -> None:
    record = done.record
    if as_json:
        described = {**dataclasses.asdict(done.entry), "isNew": done.is_new, **_figures(record)}
        _print_json({**described, "sentFiles": done.sent_files, "sentBytes": done.sent_bytes, "store": store.uri})
        return
    entry = done.entry
    held = f"{record['symbols']:,} assets, {record['first']} to {record['last']}, {record['rows']:,} rows"
    known = "" if done.is_new else ", which was its newest already"
    sys.stdout.write(
        f"{entry.name}@{entry.version[:16]}: {held} in {len(record['files']):,} files{known}\n"
        f"sent   {done.sent_files:,} files, {done.sent_bytes / MEBIBYTE:.1f} MiB\n"
        f"store  {store.uri}\n"
        f"use    data: {{uri: store://{entry.name}}}\n"
    )


def _figures(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in ("layout", "symbols", "rows", "first", "last", "bytes")} | {
        "files": len(record["files"])
    }


def _name(options: argparse.Namespace, folder: Path) -> str:
    from backsweep.flow.data_sets import name_of

    if options.name is not None:
        return str(options.name)
    name = name_of(folder)
    if not name:
        raise DataError(f"{folder}: its own name cannot be that of a data set; give --name NAME")
    return name


def _store(options: argparse.Namespace) -> AnyStore:
    """Open a store that is to be written to."""
    store = _opened(options)
    store.probe()
    return store


def _opened(options: argparse.Namespace) -> AnyStore:
    from backsweep.flow.prepare import LOCAL_STORE
    from backsweep.stores.opening import open_store

    return open_store(options.store or LOCAL_STORE, options.endpoint_url, options.region)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")  # noqa: TID251  # the clock is read here


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")
