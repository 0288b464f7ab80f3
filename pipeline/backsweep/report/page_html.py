"""report.html: one file that needs no network, no script and no other file, and opens with what it was all worth."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import yaml

from backsweep.report.metric_text import metric_text
from backsweep.report.page_curves import Curves, curve_figures
from backsweep.report.page_money import cost_section, speedup_section
from backsweep.report.page_parity import parity_section
from backsweep.report.page_parts import section
from backsweep.report.page_search import search_section
from backsweep.report.page_style import STYLE
from backsweep.report.page_tables import (
    comparison_table,
    data_tables,
    failure_table,
    leader_table,
    scenario_table,
    spread_table,
    time_tables,
)

__all__ = ["Sweep", "page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Forbids the browser all that the page promises not to need."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """What a report is about.

    Parameters
    ----------
    document : a document with the normalised fields that determine results; running it gives this result again.
    datasets : label and provenance of each data set, in the order of `summary["data"]`.
    """

    name: str
    spec_digest: str
    result_digest: str
    document: Mapping[str, Any]
    datasets: Sequence[tuple[str, Mapping[str, Any]]]


class _PlainDumper(yaml.SafeDumper):
    """Writes a value that occurs twice twice, where YAML would write a name for it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def page(sweep: Sweep, summary: Mapping[str, Any], timings: Mapping[str, Any], curves: Curves, heatmap: bytes) -> bytes:
    """Return report.html."""
    objective = summary["objective"]
    sections = [
        _opening(sweep, summary),
        section("curves", "How they went, out of sample", curve_figures(curves)),
        section("compare", "Side by side", _comparison(summary)),
        section("leaders", f"Leaders by {objective}", _leaders(summary)),
        _unless_empty("spread", "What mattered", _spread(summary)),
        _unless_empty("search", "How the search went", search_section(summary)),
        _unless_empty("scenarios", "What if", _scenarios(summary)),
        _unless_empty("engines", "Engines side by side", parity_section(summary)),
        _unless_empty("failures", "Failures", _failures(summary)),
        section("data", "Data", data_tables(summary, sweep.datasets)),
        section("time", "Where the time went", _time(summary, timings, heatmap)),
        _unless_empty("speedup", "Speedup", speedup_section(summary)),
        _unless_empty("cost", "Cost", cost_section(summary)),
        section("again", "How to reproduce it", _reproduction(sweep, summary)),
    ]
    title = f"{escape(sweep.name)}: Backsweep report"
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><main>{''.join(sections)}"
        f"<footer>Made by Backsweep from the result {escape(sweep.result_digest[:16])}. "
        f"A backtest says how a rule would have done, not how it will do.</footer></main></body></html>\n"
    )
    return text.encode()


def _opening(sweep: Sweep, summary: Mapping[str, Any]) -> str:
    """Return title, what it was worth, the numbers behind that, and the other sentences of the verdict."""
    trials = summary["trials"]
    counts = [f"{trials['total']:,} trials", f"{summary['windows']:,} windows each"]
    first, last = summary["data"][0]["first"], summary["data"][0]["last"]
    counts.append(f"data of {escape(sweep.datasets[0][0])}, {escape(first)} to {escape(last)}")
    said = [_labelled(sentence) for sentence in summary["verdict"]]
    worth = [words for label, words in said[:1]]
    concluded = [words for label, words in said if label == "Verdict"]
    others = [(label, words) for label, words in said[1:] if label != "Verdict"]
    found = "".join(f"<dt>{escape(label)}</dt><dd>{escape(words)}</dd>" for label, words in others)
    return (
        f'<header><p class="eyebrow">Backtest tournament</p><h1>{escape(sweep.name)}</h1>'
        f'<p class="quiet">{" · ".join(counts)}</p></header>'
        f'<div class="worth" id="worth"><h2>What it was worth</h2>'
        f"{''.join(f'<p>{escape(words)}</p>' for words in worth)}"
        f'{"".join(f"""<p class="concluded">{escape(words)}</p>""" for words in concluded)}</div>'
        f"{_tiles(summary)}"
        f'<section id="luck"><h2>Is the winner luck?</h2><dl class="found">{found}</dl></section>'
    )


def _tiles(summary: Mapping[str, Any]) -> str:
    """Return the few numbers to remember, the procedure's first."""
    procedure, yardstick = summary["procedure"] or {}, summary["procedureYardstick"] or {}
    luck = summary["luck"]
    tiles = [
        ("Procedure", metric_text("sharpe", procedure.get("sharpe")), "Sharpe a year, switching costs paid"),
        ("Yardstick", metric_text("sharpe", yardstick.get("sharpe")), "Sharpe a year, on the same rows"),
    ]
    if summary["leaders"]:
        metrics = summary["leaders"][0]["metrics"]
        tiles.append(("Winner", metric_text("sharpe", metrics["sharpe"]), "Sharpe a year, chosen in hindsight"))
    tiles += [
        ("DSR", _percent(metric_text("dsr", luck["dsrEver"])), "probability to beat the luckiest of all trials ever"),
        ("PBO", _percent(metric_text("dsr", luck["overfitting"])), "leaders of one half that fail in the other"),
        ("SPA", _p_value(luck["superiorAbility"]), "p-value of its lead over the yardstick"),
    ]
    shown = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(what)}</small></dd></div>'
        for name, value, what in tiles
    )
    return f'<dl class="tiles">{shown}</dl>'


def _comparison(summary: Mapping[str, Any]) -> str:
    return (
        '<p class="quiet">Compare columns over the same rows only. The yardstick is equal weight of the eligible '
        f"universe at base costs. Point at a name for its meaning.</p>{comparison_table(summary)}"
    )


def _leaders(summary: Mapping[str, Any]) -> str:
    trials, count = summary["trials"], len(summary["leaders"])
    told = f"The first {count:,}, at base costs, on the rows that rank." if count else ""
    if trials["ruined"]:
        told += f" {trials['ruined']:,} of all {trials['total']:,} trials lost everything and rank last."
    return f'<p class="quiet">{told}</p>{leader_table(summary)}'


def _spread(summary: Mapping[str, Any]) -> str:
    shown = spread_table(summary)
    told = (
        f'<p class="quiet">How {escape(summary["objective"])} spreads over the competing trials of each value. Where '
        f"the ranges of an axis lie over each other, its choice mattered little.</p>"
    )
    return told + shown if shown else ""


def _scenarios(summary: Mapping[str, Any]) -> str:
    shown = scenario_table(summary)
    told = '<p class="quiet">The same choices in other scenarios; they are never ranked against the base.</p>'
    return told + shown if shown else ""


def _failures(summary: Mapping[str, Any]) -> str:
    trials, listed = summary["trials"], len(summary["failures"])
    if not trials["failed"]:
        return ""
    among = "" if listed == trials["failed"] else f" The first {listed:,}:"
    noun = "trial" if trials["failed"] == 1 else "trials"
    told = f"<p>{trials['failed']:,} {noun} of {trials['total']:,} failed and did not compete.{among}</p>"
    return told + failure_table(summary)


def _time(summary: Mapping[str, Any], timings: Mapping[str, Any], heatmap: bytes) -> str:
    trials, computed = summary["trials"], summary["computed"]
    told = (
        f"All {trials['total']:,} trials were in the store already; nothing was solved."
        if trials["cached"] == trials["total"]
        else f"{computed['solveUnits']:,} solve units and {computed['simulations']:,} simulations were computed, "
        f"{trials['cached']:,} of {trials['total']:,} trials came from the store."
    )
    picture = base64.b64encode(heatmap).decode()
    return (
        f"<p>{told}</p>"
        f'<img class="picture" alt="Time of each stage, and of each profile and estimator; the tables below hold the '
        f'numbers." src="data:image/png;base64,{picture}">{time_tables(timings)}'
    )


def _reproduction(sweep: Sweep, summary: Mapping[str, Any]) -> str:
    name = shlex.quote(f"{sweep.name}.yaml")
    commands = [
        (f"backsweep run {name}", "with the document below; what the store has is not computed again"),
        ("backsweep verify .", "in the folder of this file: re-hashes everything its manifest names"),
    ]
    if summary["leaders"]:
        best = shlex.quote(summary["leaders"][0]["trial"])
        commands += [
            (f"backsweep explain {best} --run .", "the winner: windows, weights, costs, failures, time"),
            (f"backsweep weights {best} --run . --as-of latest", "its next targets"),
        ]
    width = max(len(command) for command, _ in commands)
    lines = "\n".join(f"{escape(command.ljust(width))}   # {escape(why)}" for command, why in commands)
    document = yaml.dump(sweep.document, Dumper=_PlainDumper, sort_keys=False, default_flow_style=None, width=110)
    return (
        f"<pre>{lines}</pre>"
        f'<p class="quiet">Two runs agree when their result digests do. The document holds every field that '
        f"determines the result, defaults included.</p>"
        f'<dl class="digests"><dt>result</dt><dd><code>{escape(sweep.result_digest)}</code></dd>'
        f"<dt>document</dt><dd><code>{escape(sweep.spec_digest)}</code></dd></dl>"
        f"<details><summary>{escape(sweep.name)}.yaml</summary><pre>{escape(document)}</pre></details>"
    )


def _unless_empty(anchor: str, title: str, body: str) -> str:
    return section(anchor, title, body) if body else ""


def _labelled(sentence: str) -> tuple[str, str]:
    """Return a sentence of the verdict as its label and its words: ``PBO: over ...``."""
    label, colon, words = sentence.partition(": ")
    if not colon or " " in label:
        return "", sentence
    return label, words[:1].upper() + words[1:]


def _p_value(value: float | None) -> str:
    return metric_text("", None) if value is None else f"{value:.3f}"


def _percent(number: str) -> str:
    return number if number == metric_text("", None) else f"{number} %"
