"""Engines side by side: what is pooled, what is told of times and conventions, how the page shows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from backsweep.arrays import Weights
from backsweep.report.page_parity import parity_section, small_text
from backsweep.solve.engines.conventions import convention
from backsweep.sweep.parity import compare_engines, parity_result, parity_rows
from backsweep.units import Estimator, Solve, SolveTask, SolveUnit

NAN = float("nan")
BASE = {"profile": "min_variance", "covariance": "sample", "data": "d", "costs": {}, "rebalance": "window"}


def trial(engine: str, lookback: int, solve: str) -> Any:
    return SimpleNamespace(values={**BASE, "lookback": lookback, "engine": engine}, solve=solve)


class FakeSeries:
    """Four solves of two windows: native and a peer, two lookbacks; native's second window failed at the longer."""

    def __init__(self) -> None:
        native = Solve("min_variance", {}, Estimator("sample"), None, None, np.arange(2))
        peer = Solve("min_variance", {}, Estimator("sample"), None, None, np.arange(2), engine="skfolio")
        self.table = SimpleNamespace(
            trials=[trial(engine, rows, f"{engine} {rows}") for rows in (60, 90) for engine in ("native", "skfolio")]
        )
        self.tasks = [
            SolveTask(item.solve, native if "native" in item.solve else peer, self._units(item.solve), frozenset(), ())
            for item in self.table.trials
        ]
        self.plan = SimpleNamespace(
            tasks=dict(enumerate(self.tasks)), present={"native 60", "skfolio 60"}, datasets=[None]
        )

    def _units(self, name: str) -> tuple[SolveUnit, ...]:
        return (SolveUnit(name, 0, 2),)

    def task_of(self, row: int) -> SolveTask:
        return self.tasks[row]

    def weights(self, row: int) -> Weights:
        values = [
            [[0.5, 0.5], [0.2, 0.8]],
            [[0.5, 0.5], [0.3, 0.7]],
            [[0.4, 0.6], [NAN, NAN]],
            [[0.6, 0.4], [0.5, 0.5]],
        ]
        residuals = [[0.0, 1e-16], [1e-3, 2e-3], [2e-16, NAN], [4e-3, NAN]]
        failures = {1: "why"} if row == 2 else {}
        return Weights(np.array(values[row]), np.array(residuals[row]), failures)


SERIES: Any = FakeSeries()


def test_windows_are_pooled_over_lookbacks_and_failures_counted_apart() -> None:
    (found,) = parity_result(compare_engines(SERIES))
    assert found == {
        "engine": "skfolio",
        "values": {"profile": "min_variance", "covariance": "sample"},
        "windows": 3,
        "worst": pytest.approx(0.2),
        "median": pytest.approx(0.1),
        "certificate": 2e-16,
        "peerCertificate": 4e-3,
        "failedWindows": 1,
        "peerFailedWindows": 0,
    }


def test_times_are_of_what_this_run_solved_with_natives_share_of_the_estimates() -> None:
    # the shorter lookback was in the store: two windows each are left, and four share the covariances
    seconds = {
        ("min_variance", "sample"): 0.002,
        ("min_variance by skfolio", "sample"): 0.2,
        ("covariance", "sample"): 0.004,
    }
    table = parity_rows(SERIES, compare_engines(SERIES), seconds)
    (row,) = table["rows"]
    assert row["secondsAWindow"] == pytest.approx(0.001 + 0.001)
    assert row["peerSecondsAWindow"] == pytest.approx(0.1)
    assert row["timeRatio"] == pytest.approx(50)
    assert table["axes"] == ["profile"]
    assert parity_rows(SERIES, [], seconds) is None


def test_what_a_peer_means_otherwise_is_said() -> None:
    def said(engine: str, profile: str, covariance: str, **parameters: Any) -> str | None:
        return convention(engine, Solve(profile, parameters, Estimator(covariance), None, None, np.arange(2)))

    assert said("skfolio", "min_variance", "ledoit_wolf") is None
    assert said("skfolio", "hrp", "sample", leafOrder=True) is None
    assert said("pyportfolioopt", "hrp", "sample", leafOrder=False) is None
    assert said("pyportfolioopt", "hrp", "oas", leafOrder=False) == "rounds correlations to six digits"
    assert said("pyportfolioopt", "min_variance", "ewma") == "takes plain means off before it weighs"
    assert said("skfolio", "hrp", "gerber", leafOrder=False) == (
        "takes the standard deviation with ddof 0; orders leaves optimally; grows its tree from the sample correlation"
    )


def test_the_page_shows_the_table_and_what_was_not_made_or_nothing() -> None:
    assert parity_section({"parity": None, "notMade": []}) == ""
    parity = parity_rows(SERIES, compare_engines(SERIES), {})
    shown = parity_section({"parity": parity, "notMade": ["pyportfolioopt has no <nco>"]})
    assert "2.0e-01" in shown
    assert "<li>pyportfolioopt has no &lt;nco&gt;</li>" in shown
    assert [small_text(value) for value in (None, 0.0, 3.14e-5)] == ["–", "0", "3.1e-05"]  # noqa: RUF001
