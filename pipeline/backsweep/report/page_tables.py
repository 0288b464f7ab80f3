"""The tables of report.html: leaders, series side by side, scenarios, failures, data, times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from backsweep.report.metric_text import metric_text, ordered, shown
from backsweep.report.page_parts import Cell, Markup, code, header, number, table, text
from backsweep.report.timing_matrix import (
    TimeMatrix,
    milliseconds_text,
    other_work,
    seconds_text,
    time_matrix,
)

__all__ = [
    "comparison_table",
    "data_tables",
    "failure_table",
    "leader_table",
    "scenario_table",
    "spread_table",
    "time_tables",
]


def leader_table(summary: Mapping[str, Any]) -> str:
    """Return the leaders with their axes and all metrics, the objective first."""
    leaders, axes, objective = summary["leaders"], summary["axes"], summary["objective"]
    if not leaders:
        return "<p>No competing trial finished with a value of the objective.</p>"
    metrics = ordered(leaders[0]["metrics"])
    metrics.sort(key=lambda name: name != objective)
    failed = any(leader["failedWindows"] for leader in leaders)
    heads = [header("#", style="n"), header("trial"), *(header(axis) for axis in axes)]
    heads += [_metric_header(name, objective) for name in metrics]
    heads += [header("failed windows", style="n")] if failed else []
    rows = []
    for leader in leaders:
        row = [number(str(leader["rank"])), code(leader["trial"])]
        row += [text(leader["axes"][axis]) for axis in axes]
        row += [_metric_cell(name, leader["metrics"][name], objective) for name in metrics]
        row += [number(f"{leader['failedWindows']:,}")] if failed else []
        rows.append(row)
    return table(heads, rows, style="leaders")


def comparison_table(summary: Mapping[str, Any]) -> str:
    """Return the metrics of procedure, winner and yardstick side by side, each pair over the same rows."""
    columns: list[tuple[str, str, Mapping[str, float | None]]] = []
    if summary["procedure"]:
        columns += [
            ("procedure", "since its first choice", summary["procedure"]),
            ("yardstick", "the same rows", summary["procedureYardstick"] or {}),
        ]
    if summary["leaders"]:
        columns.append(("winner", "all ranked rows", summary["leaders"][0]["metrics"]))
    columns.append(("yardstick", "all ranked rows", summary["yardstick"]))
    if summary["holdout"] and summary["holdoutYardstick"]:
        columns += [
            ("winner", "holdout", summary["holdout"]),
            ("yardstick", "holdout", summary["holdoutYardstick"]),
        ]
    names = ordered(dict.fromkeys(name for _, _, metrics in columns for name in metrics))
    rows = [
        [header(name, shown(name).unit, shown(name).meaning)]
        + [number(metric_text(name, metrics.get(name))) for _, _, metrics in columns]
        for name in names
    ]
    heads = [header("metric"), *(header(who, rows_of, style="n") for who, rows_of, _ in columns)]
    return table(heads, rows, style="compare")


def scenario_table(summary: Mapping[str, Any]) -> str:
    """Return how winner and order fare in each scenario; nothing where there is the base alone."""
    scenarios, objective = summary["sensitivity"], summary["objective"]
    if len(scenarios) < 2:
        return ""
    axes = [
        axis for axis in scenarios[0]["scenario"] if len({item["scenario"].get(axis, "-") for item in scenarios}) > 1
    ]
    heads = [header(axis) for axis in axes] + [
        header("trials", style="n"),
        header(f"winner's {objective}", shown(objective).unit, style="n"),
        header("its rank", style="n"),
        header("leader here"),
        header(f"its {objective}", shown(objective).unit, style="n"),
        header("rank correlation", "with the base", style="n"),
    ]
    rows = [
        [text(item["scenario"].get(axis, "-")) for axis in axes]
        + [
            number(f"{item['trials']:,}"),
            number(metric_text(objective, item["winnerValue"])),
            number(f"{item['winnerRank']:,}" if item["winnerRank"] else metric_text("", None)),
            code(item["leader"]) if item["leader"] else text(metric_text("", None)),
            number(metric_text(objective, item["leaderValue"])),
            number(metric_text("", item["rankCorrelation"])),
        ]
        for item in scenarios
    ]
    return table(heads, rows)


def spread_table(summary: Mapping[str, Any]) -> str:
    """Return how far the objective spreads over each value of each axis, as bars on one scale."""
    found, objective = summary["spread"], summary["objective"]
    if not found:
        return ""
    low, high = min(item["lowest"] for item in found), max(item["highest"] for item in found)
    rows, above = [], ""
    for item in found:
        axis = "" if item["axis"] == above else item["axis"]
        above = item["axis"]
        places = [_place(item[name], low, high) for name in ("lowest", "median", "highest")]
        bar = (
            f'<span class="bar" aria-hidden="true"><i style="left:{places[0]:.1f}%;right:{100.0 - places[2]:.1f}%"></i>'
            f'<b style="left:{places[1]:.1f}%"></b></span>'
        )
        start = "first" if axis else ""
        rows.append(
            [text(axis, start), text(item["value"], start), number(f"{item['trials']:,}", start)]
            + [number(metric_text(objective, item[name]), start) for name in ("lowest", "median", "highest")]
            + [Cell(Markup(bar), f"range {start}".strip())]
        )
    heads = [header("axis"), header("value"), *(header(name, style="n") for name in ("trials", "lowest"))]
    heads += [header("median", style="n"), header("highest", style="n")]
    ends = f"{metric_text(objective, low)} to {metric_text(objective, high)} {shown(objective).unit}".strip()
    return table([*heads, header("lowest to highest, median marked", ends)], rows, style="spread")


def failure_table(summary: Mapping[str, Any]) -> str:
    """Return the first failed trials with their reasons."""
    rows = [[code(failure["trial"]), text(failure["error"], "prose")] for failure in summary["failures"]]
    return table([header("trial"), header("reason")], rows) if rows else ""


def data_tables(summary: Mapping[str, Any], datasets: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return what each data set holds and where it came from, with what its publisher warns of."""
    rows, told = [], []
    for (label, provenance), found in zip(datasets, summary["data"], strict=True):
        origin = provenance.get("origin") or {}
        rows.append(
            [
                text(label),
                number(f"{found['rows']:,}"),
                number(f"{found['assets']:,}"),
                text(f"{found['first']} to {found['last']}"),
                code(str(provenance.get("sha256") or "-"), "digest"),
                code(found["digest"], "digest"),
            ]
        )
        if origin.get("title"):
            told.append(f"<p><b>{escape(label)}</b>: {escape(str(origin['title']))}.</p>")
        caveats = "".join(f"<li>{escape(str(caveat))}</li>" for caveat in origin.get("caveats", []))
        told += [f"<ul>{caveats}</ul>"] if caveats else []
    heads = [
        header("data set"),
        header("rows", style="n"),
        header("assets", style="n"),
        header("days"),
        header("sha256 of the file"),
        header("digest of the returns"),
    ]
    return table(heads, rows) + "".join(told)


def time_tables(timings: Mapping[str, Any]) -> str:
    """Return stages by the clock, and the picture's numbers for those who cannot see it."""
    named = [(f"step {name}", spent) for name, spent in timings.get("steps", {}).items()]
    stages = table(
        [header("stage"), header("by the clock", style="n")],
        [[text(stage), number(seconds_text(spent))] for stage, spent in [*named, *timings["stages"].items()]],
    )
    work = other_work(timings)
    if not work:
        return f'<div class="beside">{stages}</div>'
    inside = table(
        [header("inside solve and simulate"), header("all processes", style="n")],
        [[text(what), number(seconds_text(spent))] for what, spent in work],
    )
    matrix = time_matrix(timings)
    numbers = f"<details><summary>The picture as numbers</summary>{_matrix_table(matrix)}</details>"
    return f'<div class="beside">{stages}{inside}</div>{numbers if matrix.rows else ""}'


def _matrix_table(matrix: TimeMatrix) -> str:
    rows = [
        [
            text(name),
            *(number("" if math.isnan(spent) else milliseconds_text(spent)) for spent in values),
            number(milliseconds_text(total)),
        ]
        for name, values, total in zip(
            matrix.rows, matrix.milliseconds.tolist(), matrix.row_totals.tolist(), strict=True
        )
    ]
    heads = [header("milliseconds"), *(header(name, style="n") for name in matrix.columns), header("all", style="n")]
    return table(heads, rows)


def _metric_header(name: str, objective: str) -> Cell:
    return header(name, shown(name).unit, shown(name).meaning, "n objective" if name == objective else "n")


def _metric_cell(name: str, value: float | None, objective: str) -> Cell:
    return number(metric_text(name, value), "objective" if name == objective else "")


def _place(value: float, low: float, high: float) -> float:
    """Return where a value lies between the ends, in per cent."""
    return 100.0 * (value - low) / (high - low) if high > low else 50.0
