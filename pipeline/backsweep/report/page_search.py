"""The section of report.html that says how a search went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backsweep.report.metric_text import metric_text
from backsweep.report.page_parts import header, number, table

__all__ = ["search_section"]


def search_section(summary: Mapping[str, Any]) -> str:
    """Return the best value by the end of each round of a search; nothing for any other sweep."""
    search, objective = summary.get("search"), summary["objective"]
    if not search:
        return ""
    ended = "every point of the axes was tried" if search["exhausted"] else "that is all it was asked for"
    done, asked = len(search["rounds"]), search["roundsAsked"]
    told = (
        f'<p class="quiet">Each round was proposed from the complete rounds before it; it ended after {done:,} of '
        f"{asked:,} rounds: {ended}.</p>"
    )
    heads = [header("round", style="n"), header("points", style="n"), header(objective, "best so far", style="n")]
    rows = [
        [number(f"{place:,}"), number(f"{each['points']:,}"), number(metric_text(objective, each["best"]))]
        for place, each in enumerate(search["rounds"], start=1)
    ]
    return told + table(heads, rows, style="search")
