"""Tables and sentences for people, in plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from backsweep.flow import Finished

__all__ = ["format_table", "print_plan", "print_summary"]

SHOWN_METRICS = ("sharpe", "cagr", "volatility", "max_drawdown", "turnover", "psr", "dsr")
PERCENT = frozenset({"cagr", "volatility", "max_drawdown", "total_return", "cvar_95", "cost_drag"})
SHOWN_LEADERS = 10
WIDTH = 110


def print_summary(finished: Finished, stream: TextIO) -> None:
    """Print leaders, scenarios, verdict and where things are."""
    summary = finished.summary
    metrics = list(dict.fromkeys([summary["objective"], *SHOWN_METRICS]))
    stream.write(f"\nLeaders by {summary['objective']}, out of sample, base costs:\n")
    rows = [
        [str(leader["rank"]), leader["trial"], *leader["axes"].values()]
        + [_number(name, leader["metrics"][name]) for name in metrics]
        for leader in summary["leaders"][:SHOWN_LEADERS]
    ]
    stream.write(format_table(["", "trial", *summary["axes"], *metrics], rows))
    _print_search(summary, stream)
    _print_scenarios(summary, stream)
    _print_parity(summary, stream)
    _print_failures(summary, stream)
    stream.write("\nIs the winner luck?\n")
    for sentence in summary["verdict"]:
        stream.write(textwrap.fill(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ") + "\n")
    seconds = sum(finished.prepared.times.seconds.values())
    stream.write(f"\n{summary['trials']['total']:,} trials in {seconds:.1f} s; result {finished.result_digest[:16]}\n")
    _print_spent(summary, stream)
    stream.write(
        f"run folder  {finished.output} (open report.html)\n"
        f"store       {finished.prepared.store.uri}\n"
        f"check it    backsweep verify {finished.output}\n"
    )


def print_plan(described: Mapping[str, Any], stream: TextIO) -> None:
    """Print what a sweep would compute."""
    lines = [
        ("trials", f"{described['trials']:,}, {described['trialsCached']:,} already in the store"),
        ("distinct solves", f"{described['solves']:,}, {described['windows']:,} windows each"),
        ("solve units", f"{described['solveUnits']:,}, {described['solveUnitsCached']:,} already in the store"),
        ("simulations", f"{described['simulations']:,}, {described['simulationsCached']:,} already in the store"),
        (
            "predicted work",
            f"{described['predictedSeconds']:.1f} s on one core, {described['predictedBytes'] / 2**20:.0f} MiB",
        ),
        ("runs", str(described["place"]["where"])),
        ("predicted times", str(described["place"]["times"])),
        ("store", str(described["store"])),
    ]
    stream.write(f"{described['name']}  (spec {described['specDigest'][:16]})\n")
    if "search" in described:
        search = described["search"]
        stream.write(
            f"  search           at most {search['mostTrials']:,} trials in {search['rounds']:,} rounds, about "
            f"{search['predictedSeconds']:.1f} s on one core; below is round 1, the others depend on results\n"
        )
    for name, value in lines:
        stream.write(f"  {name:<16} {value}\n")
    for dead in described["deadAxes"]:
        stream.write(f"  dead axis        {dead['reason']}\n")
    for reason in described["notMade"]:
        stream.write(f"  engine           {reason}\n")


def format_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns: numbers to the right, words to the left."""
    if not rows:
        return "  (none)\n"
    columns = list(zip(headers, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    numeric = [all(_looks_numeric(cell) for cell in column[1:]) for column in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in (headers, *rows)
    ]
    return "".join(f"  {line}\n" for line in lines)


def _print_search(summary: Mapping[str, Any], stream: TextIO) -> None:
    if "search" not in summary:
        return
    search, metric = summary["search"], summary["objective"]
    found = " ".join(_number(metric, each["best"]) for each in search["rounds"])
    points = sum(each["points"] for each in search["rounds"])
    asked = f"of {search['roundsAsked']}: all points of the axes are tried" if search["exhausted"] else "in all"
    sentence = f"{points:,} points in {len(search['rounds'])} rounds {asked}; best {metric} after each: {found}"
    stream.write(f"\nSearch: {textwrap.fill(sentence, WIDTH)}\n")


def _print_spent(summary: Mapping[str, Any], stream: TextIO) -> None:
    """Print how much faster than one process it was, and what it would have cost."""
    speedup, cost = summary["speedup"], summary["cost"]
    told = summary["withoutSpeedup"] if speedup is None else speedup["sentence"]
    if told:
        stream.write(f"{told}\n")
    if cost is not None:
        stream.write(f"cost {cost['amount']} {cost['currency']}, simulated ({cost['prices']})\n")


def _print_scenarios(summary: Mapping[str, Any], stream: TextIO) -> None:
    if len(summary["sensitivity"]) < 2:
        return
    stream.write("\nWhat if (never ranked against the base):\n")
    varied = [
        axis
        for axis in summary["sensitivity"][0]["scenario"]
        if len({item["scenario"][axis] for item in summary["sensitivity"]}) > 1
    ]
    objective = summary["objective"]
    rows = [
        [item["scenario"][axis] for axis in varied]
        + [_number(objective, item["winnerValue"]), str(item["winnerRank"] or "-"), item["leader"] or "-"]
        + [_number(objective, item["leaderValue"]), _number("", item["rankCorrelation"])]
        for item in summary["sensitivity"]
    ]
    headers = [*varied, f"winner's {objective}", "its rank", "leader", f"its {objective}", "rank correlation"]
    stream.write(format_table(headers, rows))


def _print_parity(summary: Mapping[str, Any], stream: TextIO) -> None:
    """Print what the same solves gave by native and by each peer."""
    parity = summary["parity"]
    if parity:
        stream.write(
            "\nEngines against native (largest difference of a weight in a window; residual 0 is the optimum):\n"
        )
        rows = [
            [row["engine"], *row["axes"].values(), f"{row['windows']:,}"]
            + [_small(row[name]) for name in ("median", "worst", "certificate", "peerCertificate")]
            + [f"{row['failedWindows']:,}", f"{row['peerFailedWindows']:,}"]
            + ["-" if row["timeRatio"] is None else f"{row['timeRatio']:,.0f}"]
            for row in parity["rows"]
        ]
        headers = ["engine", *parity["axes"], "windows", "median", "worst", "native's residual", "its"]
        stream.write(format_table([*headers, "native failed", "its", "times slower"], rows))
        notes = [(f"{row['engine']} {', '.join(row['axes'].values())}", row["note"]) for row in parity["rows"]]
        for note in dict.fromkeys(note for _, note in notes if note):
            told = f"{'; '.join(where for where, said in notes if said == note)}: {note}"
            stream.write(textwrap.fill(told, WIDTH, initial_indent="  - ", subsequent_indent="    ") + "\n")
    for sentence in summary["notMade"]:
        stream.write(textwrap.fill(sentence, WIDTH, initial_indent="  - ", subsequent_indent="    ") + "\n")


def _print_failures(summary: Mapping[str, Any], stream: TextIO) -> None:
    if not summary["failures"]:
        return
    stream.write(f"\n{summary['trials']['failed']:,} trials failed, among them:\n")
    for failure in summary["failures"][:5]:
        stream.write(f"  {failure['trial']}  {failure['error']}\n")


def _small(value: float | None) -> str:
    return "-" if value is None else "0" if value == 0 else f"{value:.1e}"


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if name in PERCENT else f"{value:.2f}"


def _looks_numeric(cell: str) -> bool:
    plain = cell.rstrip("%").replace("e-", "").replace(".", "", 1).replace("-", "", 1).replace(",", "")
    return cell == "-" or plain.isdigit()
