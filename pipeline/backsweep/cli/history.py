"""Commands on what was committed to a store: history, diff."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backsweep.cli.tables import format_table
from backsweep.plan.labels import label_of
from backsweep.report.metric_text import metric_text

if TYPE_CHECKING:
    from backsweep.stores.opening import AnyStore

__all__ = ["diff", "history"]

SHOWN = 10
DIGITS = 12


def history(options: argparse.Namespace) -> int:
    """Print every result that was committed, or every manifest that used an object."""
    from backsweep.flow.finished.history import history as committed
    from backsweep.flow.finished.history import sweep_at
    from backsweep.flow.finished.tracing import uses_of

    bucket = options.endpoint_url, options.region
    found = sweep_at(options.sweep, *bucket) if options.sweep and options.store is None else None
    store, name = found or (_store(options), options.sweep)
    if options.object:
        used = [each for each in uses_of(store, options.object) if name in (None, each["name"])]
        _print_json(used) if options.json else _print_uses(used, options.object, store)
        return 0
    listed = committed(store, name)
    _print_json(listed) if options.json else _print_history(listed, store)
    return 0


def diff(options: argparse.Namespace) -> int:
    """Print what differs between two finished sweeps; exit 0 where their results are equal, else 1."""
    from backsweep.flow.finished.difference import compare_sweeps, open_side
    from backsweep.flow.finished.reopen import is_address

    places, bucket = (options.a, options.b), (options.endpoint_url, options.region)
    used = options.store is not None or any(is_address(place) for place in places)  # of a bucket that is meant
    buckets = [bucket if is_address(place) or not used else (None, None) for place in places]
    sides = [open_side(place, lambda: _store(options), *each) for place, each in zip(places, buckets, strict=True)]
    found = compare_sweeps(*sides)
    _print_json(found) if options.json else _print_difference(found)
    return 0 if found["equal"] else 1


def _store(options: argparse.Namespace) -> AnyStore:
    from backsweep.flow.prepare import LOCAL_STORE
    from backsweep.stores.opening import open_store

    return open_store(options.store or LOCAL_STORE, options.endpoint_url, options.region)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1)
    sys.stdout.write("\n")


def _print_history(listed: Sequence[Mapping[str, Any]], store: AnyStore) -> None:
    if not listed:
        sys.stdout.write(f"nothing was committed to {store.uri} yet\n")
        return
    headers = ["when", "sweep", "document", "manifest", "", "result", "data", "trials", "best", "", "", "seconds"]
    sys.stdout.write(format_table(headers, [_history_row(each) for each in listed]))
    sys.stdout.write("* stands now; the others were replaced. Compare two: backsweep diff MANIFEST MANIFEST\n")
    for each in listed:
        if each["problem"]:
            sys.stdout.write(f"{each['manifest'][:DIGITS]}: damaged: {each['problem']}\n")
        if not each["parentKept"]:
            sys.stdout.write(
                f"{each['manifest'][:DIGITS]}: the manifest it replaced, {each['parent'][:DIGITS]}, is not kept in "
                "the store, nor those before it\n"
            )


def _history_row(each: Mapping[str, Any]) -> list[str]:
    place = [
        _when(each),
        each["name"],
        each["specDigest"][:8],
        each["manifest"][:DIGITS],
        "*" if each["stands"] else "",
    ]
    if each["problem"]:
        return [*place, "damaged", *["-"] * 6]
    best = each["best"]
    leader = ["-", "-", "-"]
    if best is not None:
        leader = [best["trial"], best["metric"], metric_text(best["metric"], best["value"])]
    data = " ".join(f"{item['label']}:{item['digest'][:8]}" for item in each["data"])
    return [
        *place,
        each["resultDigest"][:DIGITS],
        data,
        f"{each['trials']['total']:,}",
        *leader,
        f"{each['wallSeconds']:.1f}",
    ]


def _place(each: Mapping[str, Any]) -> list[str]:
    stands = "*" if each["stands"] else ""
    return [_when(each), each["name"], each["specDigest"][:8], each["manifest"][:DIGITS], stands]


def _when(each: Mapping[str, Any]) -> str:
    return str(each["startedAt"] or "-")[:19].replace("T", " ")


def _print_uses(used: Sequence[Mapping[str, Any]], digest: str, store: AnyStore) -> None:
    if not used:
        sys.stdout.write(f"no manifest in {store.uri} used {digest}\n")
        return
    rows = [
        [
            *_place(each),
            each["resultDigest"][:DIGITS],
            use["as"],
            use.get("unit", "")[:16],
        ]
        for each in used
        for use in each["uses"]
    ]
    headers = ["when", "sweep", "document", "manifest", "", "result", "used as", "of unit"]
    sys.stdout.write(format_table(headers, rows))
    manifests = f"{len(used):,} manifest{'s' if len(used) > 1 else ''}"
    sys.stdout.write(f"* stands now; {manifests} used it\n")


def _print_difference(found: Mapping[str, Any]) -> None:
    write = sys.stdout.write
    for side in ("a", "b"):
        described = found[side]
        write(
            f"{side.upper()}  {described['name']}, {_when(described)}, manifest {described['manifest'][:DIGITS]}, "
            f"result {described['resultDigest'][:DIGITS]}\n"
        )
    write("the results are equal\n" if found["equal"] else "")
    _print_inputs(found["inputs"])
    _print_data(found["inputs"]["data"])
    units = found["units"]
    if units["onlyA"] or units["onlyB"]:
        write(
            f"\nUnits: {units['common']:,} in both, {len(units['onlyA']):,} only in A, {len(units['onlyB']):,} only in "
            "B\n"
        )
    if units["otherBytes"]:
        listed = " ".join(unit_id[:16] for unit_id in units["otherBytes"][:SHOWN])
        write(f"\n{len(units['otherBytes']):,} units have one id and other bytes, which is a bug or damage: {listed}\n")
    _print_trials(found["trials"], equal=found["equal"])


def _print_inputs(inputs: Mapping[str, Any]) -> None:
    rows = [
        [what, each["path"], *_two_sides(each)]
        for what in ("document", "environment", "versions")
        for each in inputs[what]
    ]
    if rows:
        sys.stdout.write("\nInputs that differ:\n")
        sys.stdout.write(format_table(["", "field", "A", "B"], rows))


def _two_sides(each: Mapping[str, Any]) -> list[str]:
    if "onlyA" in each:
        return [f"only here: {label_of(each[side])}" if each[side] else "" for side in ("onlyA", "onlyB")]
    return [label_of(each["a"]), label_of(each["b"])]


def _print_data(datasets: Sequence[Mapping[str, Any]]) -> None:
    if not datasets:
        return
    sys.stdout.write("\nData that differ:\n")
    rows = [
        [
            each["label"],
            side.upper(),
            held["digest"][:DIGITS],
            held["first"],
            held["last"],
            f"{held['rows']:,}",
            f"{held['assets']:,}",
        ]
        for each in datasets
        for side in ("a", "b")
        if (held := each[side])
    ]
    sys.stdout.write(format_table(["data set", "", "digest", "first day", "last day", "rows", "assets"], rows))
    for each in datasets:
        if "changedReturns" not in each:
            sys.stdout.write(f"  {each['label']}: only in {'A' if each['a'] else 'B'}\n")
            continue
        parts = [f"{each['rowsOnlyA']:,} days only in A, {each['rowsOnlyB']:,} only in B"]
        parts += [
            f"assets only in {side}: {', '.join(each[f'assetsOnly{side}'][:SHOWN])}"
            for side in ("A", "B")
            if each[f"assetsOnly{side}"]
        ]
        changed = f"{each['changedReturns']:,} returns differ on days and assets that both have"
        if each["firstChange"]:
            changed += f", first {each['firstChange']['asset']} on {each['firstChange']['date']}"
        sys.stdout.write(f"  {each['label']}: {'; '.join([*parts, changed])}\n")


def _print_trials(trials: Mapping[str, Any], *, equal: bool) -> None:
    write = sys.stdout.write
    write(f"\nTrials: {len(trials['onlyA']):,} only in A, {len(trials['onlyB']):,} only in B, ")
    write(f"{trials['common']:,} in both, {trials['equal']:,} of these equal to the bit\n")
    if equal:
        return
    for side in ("A", "B"):
        _print_only(trials[f"only{side}"], side, trials["varied"])
    if trials["otherStatus"]:
        write(f"{trials['otherStatus']:,} ended otherwise: another status, error or number of failed windows\n")
    changed = [each for each in trials["metrics"] if each["differ"]]
    if changed:
        write("\nMetrics of the trials in both:\n")
        rows = [[each["metric"], f"{each['differ']:,}", f"{each['inOneOnly']:,}", *_worst(each)] for each in changed]
        headers = ["metric", "differ", "in one only", "worst difference", "A", "B", "trial"]
        write(format_table(headers, rows))
    if trials["moved"]:
        metric = trials["objective"]
        write(f"\nMoved most by {metric}:\n")
        rows = [
            [
                each["trial"],
                _axes(each["axes"], trials["varied"]),
                _number(each["a"]),
                _number(each["b"]),
                f"{each['rankA']:,}",
                f"{each['rankB']:,}",
            ]
            for each in trials["moved"]
        ]
        write(format_table(["trial", "axes", "A", "B", "rank in A", "rank in B"], rows))
    if trials["rankCorrelation"] is not None:
        write(f"rank correlation by {trials['objective']}: {trials['rankCorrelation']:.4f}\n")
    _print_winner(trials["winner"], trials["varied"])


def _print_only(trials: Sequence[Mapping[str, Any]], side: str, varied: Sequence[str]) -> None:
    if trials:
        sys.stdout.write(f"\nOnly in {side}{f', the first {SHOWN}' if len(trials) > SHOWN else ''}:\n")
        rows = [[each["trial"], _axes(each["axes"], varied)] for each in trials[:SHOWN]]
        sys.stdout.write(format_table(["trial", "axes"], rows))


def _print_winner(winner: Mapping[str, Any], varied: Sequence[str]) -> None:
    names = [
        "none" if winner[side] is None else f"{winner[side]['trial']} ({_axes(winner[side]['axes'], varied)})"
        for side in ("a", "b")
    ]
    sys.stdout.write(f"winner: {' -> '.join(names)}\n" if winner["changed"] else f"winner in both: {names[0]}\n")


def _worst(each: Mapping[str, Any]) -> list[str]:
    if each["worst"] is None:
        return ["-"] * 4
    return [f"{each['worst']:.3g}", _number(each["a"]), _number(each["b"]), each["trial"]]


def _axes(axes: Mapping[str, Any], varied: Sequence[str]) -> str:
    """Return a trial's axis values in a few words; what all trials of both sweeps share is left out."""
    return " ".join(_plain(value) for axis, value in axes.items() if axis in varied)


def _plain(value: Any) -> str:
    """Return an axis value as the leaders' table shows it; the trials table keeps mappings as JSON."""
    return label_of(json.loads(value)) if isinstance(value, str) and value[:1] in ("{", "[") else label_of(value)


def _number(value: float) -> str:
    return f"{value:.6g}"
