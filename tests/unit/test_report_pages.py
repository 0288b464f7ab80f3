"""The pages of a run folder: valid, self-contained, escaped, and honest about what was and was not computed."""

from __future__ import annotations

import base64
import re
import struct
import sys
from html import unescape
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from backsweep.errors import UserError
from backsweep.report.pages import Curves, Sweep, render
from backsweep_api.documents import read_document
from backsweep_api.identity import result_fields, spec_digest

HOSTILE = '<script>alert("1")</script>&\'"'
VOID = {"meta", "img", "path", "rect"}
TIMINGS = {
    "stages": {"plan": 0.01, "solve and simulate": 1.5},
    "cells": [
        {"stage": "covariance", "estimator": "oas", "seconds": 0.25},
        {"stage": "hrp", "estimator": "oas", "seconds": 0.1234},
        {"stage": "min_cvar", "estimator": "returns", "seconds": 1.0},
        {"stage": "simulate", "estimator": "daily", "seconds": 0.125},
    ],
}
METRICS = {"sharpe": 1.234, "cagr": 0.1567, "max_drawdown": -0.4321, "psr": 0.99999, "calmar": None}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def make_summary(**changes: Any) -> dict[str, Any]:
    leader = {
        "rank": 1,
        "trial": "0123456789abcdef",
        "axes": {"profile": "hrp", "covariance": "oas"},
        "metrics": METRICS,
        "failedWindows": 0,
    }
    data = {"rows": 999, "assets": 3, "first": "2001-01-02", "last": "2004-12-30", "digest": "d" * 64}
    summary: dict[str, Any] = {
        "trials": {"total": 12, "cached": 0, "failed": 0, "ruined": 0, "ever": 12},
        "objective": "sharpe",
        "axes": ["profile", "covariance"],
        "leaders": [leader],
        "failures": [],
        "verdict": ["Procedure: gave 0.7 with switching.", "PBO: of halves.", "Verdict: passed PSR; not passed PBO."],
        "procedure": {"sharpe": 0.777},
        "procedureYardstick": {"sharpe": 0.888},
        "yardstick": {"sharpe": 0.999},
        "holdout": None,
        "holdoutYardstick": None,
        "luck": {"dsrEver": 0.5, "overfitting": 0.625, "superiorAbility": 0.185},
        "spread": [],
        "sensitivity": [],
        "data": [data],
        "speedup": None,
        "withoutSpeedup": "",
        "cost": None,
        "windows": 40,
        "computed": {"blocks": 1, "solveUnits": 5, "simulations": 12},
    }
    return {**summary, **changes}


def make_sweep(**changes: Any) -> Sweep:
    given: dict[str, Any] = {
        "name": "weekly",
        "spec_digest": "5" * 64,
        "result_digest": "a" * 64,
        "document": {"apiVersion": "backsweep.dev/v1alpha1", "spec": {"x": 1}},
        "datasets": [("prices", {"sha256": "f" * 64})],
    }
    return Sweep(**{**given, **changes})


def make_curves(rows: int = 900, held: int = 0) -> Curves:
    random = np.random.default_rng(3)
    dates = np.arange(np.datetime64("2001-03-01"), np.datetime64("2001-03-01") + rows)
    net = random.normal(0.0005, 0.01, (2, rows))
    procedure = net[0, 504 : rows - held] if rows - held > 504 else None
    return Curves(dates, rows - held, net[0], net[1], procedure, 504)


def page_of(summary: dict[str, Any], **changes: Any) -> str:
    sweep = changes.get("sweep", make_sweep())
    pages = render(sweep, summary, changes.get("timings", TIMINGS), changes.get("curves", make_curves()))
    return pages["report.html"].decode()


def words_of(page: str) -> str:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return " ".join(" ".join(reader.text).split())


def test_the_pages_are_the_same_bytes_for_the_same_values() -> None:
    first, second = (render(make_sweep(), make_summary(), TIMINGS, make_curves()) for _ in range(2))
    assert first == second
    assert sorted(first) == ["heatmap.png", "report.html"]


def test_the_picture_in_the_page_is_the_file_beside_it() -> None:
    pages = render(make_sweep(), make_summary(), TIMINGS, make_curves())
    found = re.search(r"data:image/png;base64,([A-Za-z0-9+/=]+)", pages["report.html"].decode())
    assert found is not None
    assert base64.b64decode(found.group(1)) == pages["heatmap.png"]


def test_the_page_needs_no_network_no_script_and_no_other_file() -> None:
    page = page_of(make_summary())
    reader = Reader()
    reader.feed(page)
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(reader.tags)
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not [value for name, value in reader.attributes if name in {"src", "href"} and not value.startswith("data:")]
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert ("http-equiv", "Content-Security-Policy") in reader.attributes


def test_what_comes_from_outside_is_escaped_wherever_it_stands() -> None:
    leader = {
        "rank": 1,
        "trial": HOSTILE,
        "axes": {HOSTILE: HOSTILE},
        "metrics": {HOSTILE: 1.0, "sharpe": None},
        "failedWindows": 3,
    }
    scenario = {"winnerValue": 1.0, "winnerRank": 1, "leader": HOSTILE, "leaderValue": 1.0, "rankCorrelation": 1.0}
    summary = make_summary(
        axes=[HOSTILE],
        objective=HOSTILE,
        leaders=[leader],
        verdict=[HOSTILE, f"PBO: {HOSTILE}", f"Verdict: {HOSTILE}"],
        failures=[{"trial": HOSTILE, "error": HOSTILE}],
        trials={"total": 2, "cached": 0, "failed": 1, "ruined": 1, "ever": 2},
        spread=[{"axis": HOSTILE, "value": HOSTILE, "trials": 1, "lowest": 1.0, "median": 1.0, "highest": 1.0}],
        sensitivity=[{**scenario, "trials": 1, "scenario": {HOSTILE: text}} for text in (HOSTILE, "-")],
    )
    origin = {"title": HOSTILE, "caveats": [HOSTILE]}
    sweep = make_sweep(
        name=HOSTILE,
        spec_digest=HOSTILE,
        document={HOSTILE: [HOSTILE]},
        datasets=[(HOSTILE, {"sha256": HOSTILE, "origin": origin})],
    )
    cells = [{"stage": HOSTILE, "estimator": HOSTILE, "seconds": 0.5}]
    page = page_of(summary, sweep=sweep, timings={"stages": {HOSTILE: 1.0}, "cells": cells})
    words_of(page)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 20


def test_the_first_thing_said_is_what_the_procedure_was_worth() -> None:
    words = words_of(page_of(make_summary()))
    places = [words.index(text) for text in ("Gave 0.7 with switching.", "Passed PSR; not passed PBO.", "Of halves.")]
    assert places == sorted(places)
    assert words.index("0.78") < words.index("0.89") < words.index("1.23")  # procedure, its yardstick, winner
    assert "62.5 %" in words
    assert "0.185" in words


def test_a_metric_that_is_not_defined_is_a_dash_and_a_probability_is_never_certain() -> None:
    page = page_of(make_summary())
    row = re.search(r"<tr><th[^>]*>1</th>(.*?)</tr>", page.split('class="leaders"')[1])
    assert row is not None
    assert re.findall(r'<td class="n[^"]*">([^<]*)</td>', row.group(1)) == [
        "1.23",
        "–",  # noqa: RUF001
        "15.7",
        "−43.2",  # noqa: RUF001
        "&gt; 99.9",
    ]


def test_failures_are_counted_and_shown_with_their_reasons() -> None:
    failures = [{"trial": "feed", "error": "max_sharpe: no asset earns more than the riskless rate"}]
    trials = {"total": 12, "cached": 0, "failed": 3, "ruined": 2, "ever": 12}
    words = words_of(page_of(make_summary(failures=failures, trials=trials)))
    assert "3 trials of 12 failed and did not compete. The first 1:" in words
    assert "no asset earns more than the riskless rate" in words
    assert "2 of all 12 trials lost everything" in words
    assert "Failures" not in words_of(page_of(make_summary()))


def test_the_spread_of_an_axis_is_drawn_on_one_scale() -> None:
    ranges = {"hrp": (0.5, 0.75, 1.0), "nco": (1.0, 1.25, 1.5)}
    spread = [
        {"axis": "profile", "value": value, "trials": 7, "lowest": low, "median": median, "highest": high}
        for value, (low, median, high) in ranges.items()
    ]
    page = page_of(make_summary(spread=spread))
    bars = re.findall(r'<i style="left:([0-9.]+)%;right:([0-9.]+)%"></i><b style="left:([0-9.]+)%">', page)
    assert bars == [("0.0", "50.0", "25.0"), ("50.0", "0.0", "75.0")]
    assert "What mattered" not in words_of(page_of(make_summary()))


def test_a_sweep_without_a_winner_says_so() -> None:
    curves = make_curves(300)
    alone = Curves(curves.dates, 300, None, curves.yardstick, None, 0)
    luck = {"dsrEver": None, "overfitting": None, "superiorAbility": None}
    summary = make_summary(leaders=[], procedure=None, procedureYardstick=None, luck=luck)
    page = page_of(summary, curves=alone)
    words = words_of(page)
    assert "No competing trial finished with a value of the objective." in words
    assert "backsweep explain" not in words
    assert 'class="line winner"' not in page
    assert 'class="line procedure"' not in page


def test_a_run_that_found_everything_in_the_store_says_so_in_page_and_picture() -> None:
    timings = {"stages": {"plan": 0.01, "solve and simulate": 0.001}, "cells": []}
    trials = {"total": 12, "cached": 12, "failed": 0, "ruined": 0, "ever": 12}
    pages = render(make_sweep(), make_summary(trials=trials), timings, make_curves())
    words = words_of(pages["report.html"].decode())
    assert "All 12 trials were in the store already; nothing was solved." in words
    assert "The picture as numbers" not in words
    some = render(make_sweep(), make_summary(), timings, make_curves())
    assert pages["heatmap.png"] != some["heatmap.png"]


def test_the_holdout_is_shaded_and_compared_only_where_there_is_one() -> None:
    held = make_summary(holdout={"sharpe": 0.111}, holdoutYardstick={"sharpe": 0.222})
    page = page_of(held, curves=make_curves(900, held=90))
    assert page.count('class="shade"') == 2
    assert "0.11" in words_of(page)
    assert "holdout" in words_of(page)
    assert 'class="shade"' not in page_of(make_summary())


def test_the_document_of_the_page_is_one_that_runs_and_has_the_same_digest() -> None:
    text = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: weekly}
spec:
  data: {name: sp500-20}
  axes:
    profile: [hrp, {name: hrp, linkage: ward}]
    lookback: [126, 252]
    rebalance: [window, daily]
    costs: [{slippageBps: 5, borrowRate: "0.02"}, {slippageBps: 15}]
    exclude: [{lookback: 126, costs: {slippageBps: 15}}]
"""
    document = read_document(text)
    shown = {**document.normalised(), "metadata": {"name": "weekly"}, "spec": result_fields(document)}
    page = page_of(make_summary(), sweep=make_sweep(document=shown))
    found = re.search(r"<summary>weekly\.yaml</summary><pre>(.*?)</pre>", page, re.DOTALL)
    assert found is not None
    assert spec_digest(read_document(unescape(found.group(1)))) == spec_digest(document)


def test_a_value_that_the_document_holds_twice_is_written_twice() -> None:
    costs = {"slippageBps": 5}
    page = page_of(make_summary(), sweep=make_sweep(document={"costs": [costs], "exclude": [costs]}))
    assert page.count("slippageBps: 5") == 2


def test_the_picture_is_a_png_that_grows_with_profiles_and_estimators() -> None:
    sizes = []
    for count in (2, 20):
        cells = [
            {"stage": f"p{row}", "estimator": f"e{column}", "seconds": 0.001 * (row + 1)}
            for row in range(count)
            for column in range(count)
        ]
        picture = render(make_sweep(), make_summary(), {"stages": {"plan": 1.0}, "cells": cells}, make_curves())
        data = picture["heatmap.png"]
        assert data[:16] == b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
        assert data[-8:-4] == b"IEND"
        sizes.append(struct.unpack(">II", data[16:24]))
    assert sizes[0][0] < sizes[1][0]
    assert sizes[0][1] < sizes[1][1]


def test_without_pillow_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UserError, match=r"pip install pillow"):
        render(make_sweep(), make_summary(), TIMINGS, make_curves())
