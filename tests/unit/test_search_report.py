"""The report says how a search went, and whether it ended early."""

from __future__ import annotations

import re
from typing import Any

from backsweep.report.page_search import search_section


def summary(rounds: list[dict[str, Any]], *, exhausted: bool) -> dict[str, Any]:
    return {"objective": "sharpe", "search": {"rounds": rounds, "roundsAsked": 4, "exhausted": exhausted}}


def test_each_round_is_a_row_with_its_points_and_the_best_so_far() -> None:
    rounds: list[dict[str, Any]] = [{"points": 8, "best": None}, {"points": 1_200, "best": 0.8163}]
    page = search_section(summary(rounds, exhausted=True))
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page) == ["8", "\N{EN DASH}", "1,200", "0.82"]
    assert "it ended after 2 of 4 rounds: every point of the axes was tried." in page


def test_a_search_that_ran_all_its_rounds_says_so() -> None:
    page = search_section(summary([{"points": 8, "best": 1.0}] * 4, exhausted=False))
    assert "it ended after 4 of 4 rounds: that is all it was asked for." in page


def test_what_is_no_search_has_no_such_section() -> None:
    assert search_section({"objective": "sharpe"}) == ""
