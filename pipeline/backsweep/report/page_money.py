"""What report.html says of the compute behind a run: how much faster than one process, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from backsweep.report.page_parts import header, number, table, text
from backsweep.report.timing_matrix import seconds_text

__all__ = ["cost_section", "speedup_section"]

HEADS = (
    ("one process", "serial time"),
    ("this run", "by the clock"),
    ("workers", ""),
    ("speedup", "times"),
    ("efficiency", "% a worker"),
)


def speedup_section(summary: Mapping[str, Any]) -> str:
    """Return the run against one process, or why that cannot be told; nothing where nobody asked."""
    found = summary["speedup"]
    if found is None:
        why = summary["withoutSpeedup"]
        return f'<p class="quiet">{escape(why)}</p>' if why else ""
    baseline = seconds_text(found["baselineSeconds"])
    ratio = f"{found['ratio']:.2f}"
    if found["baselineError"]:
        baseline += f" ± {seconds_text(found['baselineError'])}"
        ratio += f" ± {found['ratioError']:.2f}"
    heads = [header(name, unit, style="n") for name, unit in HEADS]
    row = [baseline, seconds_text(found["wallSeconds"]), f"{found['workers']:,}", ratio]
    cells = [*(number(words) for words in row), number(f"{100 * found['efficiency']:.0f}")]
    told = f'<p class="quiet">{escape(_told(found))}</p>'
    return told + table([header("computing"), *heads], [[text("this run"), *cells]])


def cost_section(summary: Mapping[str, Any]) -> str:
    """Return the simulated cost by stage; nothing where the document has no prices."""
    found = summary["cost"]
    if found is None:
        return ""
    told = (
        f"<p>{escape(found['amount'])} {escape(found['currency'])}, simulated: what the compute held would have cost "
        f"until this report was written.</p>"
        f'<p class="quiet">Prices: {escape(found["prices"])}. Held: {escape(found["resources"])}.</p>'
    )
    heads = [
        header("stage"),
        header("cores", "seconds", style="n"),
        header("memory", "GiB seconds", style="n"),
        header("cost", found["currency"], style="n"),
    ]
    rows = [
        [
            text(stage["stage"]),
            number(f"{stage['coreSeconds']:,.2f}"),
            number(f"{stage['gibSeconds']:,.2f}"),
            number(stage["amount"]),
        ]
        for stage in found["stages"]
    ]
    cores = sum(stage["coreSeconds"] for stage in found["stages"])
    memory = sum(stage["gibSeconds"] for stage in found["stages"])
    rows.append([text("all"), number(f"{cores:,.2f}"), number(f"{memory:,.2f}"), number(found["amount"])])
    return told + table(heads, rows)


def _told(found: Mapping[str, Any]) -> str:
    if found["baselineMethod"] == "serial":
        return "One process computed everything, so the run is its own baseline."
    if found["baselineMethod"] == "full":
        return "Everything this run computed was computed again by one process, to the same bytes."
    return (
        f"{found['measured']:,} of {found['pieces']:,} pieces of the work were done again by one process, drawn by "
        f"their size; the error is that of the sample, not of a machine that others use, too."
    )
