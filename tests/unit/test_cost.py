"""The simulated cost of a run: what every stage held is counted once, and the parts are the whole to the last digit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.report.page_money import cost_section, speedup_section
from backsweep.sweep.cost import Held, Use, computing_uses, cost_record, stage_use
from backsweep_api.pricing import Prices

PRICES = Prices("USD", Decimal("0.036"), Decimal("0.0036"), "a test's prices")
WORKER = Held(Decimal(1), Decimal(2))
CELLS = {
    ("hrp", "sample"): 3.0,
    ("covariance", "sample"): 1.0,
    ("simulate", "daily"): 2.0,
    ("measure", "metrics"): 0.5,
    ("store", "returns"): 0.25,
    ("store", "weights"): 0.25,
}
seconds = st.floats(0.0, 1e5, allow_nan=False)


def test_what_workers_did_and_what_they_waited_is_all_they_held() -> None:
    uses = computing_uses("solve and simulate", WORKER, 2, 10.0, CELLS)
    assert {use.stage.partition(": ")[2]: use.core_seconds for use in uses} == {
        "solving": Decimal(4),
        "simulating": Decimal(2),
        "measuring": Decimal("0.5"),
        "storing": Decimal("0.5"),
        "waiting": Decimal(13),
    }
    assert sum(use.gib_seconds for use in uses) == 40


def test_workers_cannot_have_been_busier_than_the_clock_allows() -> None:
    uses = computing_uses("solve and simulate", WORKER, 1, 3.5, CELLS)
    assert sum(use.core_seconds for use in uses) == Decimal("3.5")
    assert uses[-1].stage.endswith("waiting")
    assert abs(uses[-1].core_seconds) < Decimal("1e-20")


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(CELLS)), seconds), st.integers(1, 64), seconds)
def test_busy_and_waiting_always_add_up(cells: dict[tuple[str, str], float], workers: int, clock: float) -> None:
    uses = computing_uses("solve and simulate", WORKER, workers, clock, cells)
    assert all(use.core_seconds > Decimal("-1e-15") for use in uses)
    assert abs(sum(use.core_seconds for use in uses) - Decimal(f"{clock:.6f}") * workers) < Decimal("1e-15")


def test_a_known_cost() -> None:
    both = WORKER * Decimal(2) + Held(Decimal(1), Decimal(1))
    record = cost_record(PRICES, [stage_use("plan", WORKER, 50.0), stage_use("compare", both, 100.0)], "two and a head")
    assert record["stages"] == [
        {"stage": "plan", "coreSeconds": 50.0, "gibSeconds": 100.0, "amount": "0.000600"},
        {"stage": "compare", "coreSeconds": 300.0, "gibSeconds": 500.0, "amount": "0.003500"},
    ]
    assert (record["amount"], record["currency"], record["simulated"]) == ("0.004100", "USD", True)


@settings(deadline=None, max_examples=100)
@given(st.lists(seconds, max_size=20))
def test_stages_add_up_to_the_amount_exactly(spent: list[float]) -> None:
    record = cost_record(PRICES, [stage_use(f"stage {index}", WORKER, each) for index, each in enumerate(spent)], "")
    assert sum((Decimal(stage["amount"]) for stage in record["stages"]), Decimal(0)) == Decimal(record["amount"])


def test_the_report_shows_each_stage_and_the_whole() -> None:
    record = cost_record(PRICES, [Use("plan & <more>", Decimal(36000), Decimal(0))], "one process")
    shown = cost_section({"cost": record})
    assert "0.360000 USD, simulated" in shown
    assert "plan &amp; &lt;more&gt;" in shown
    assert shown.count("36,000.00") == 2
    assert cost_section({"cost": None}) == speedup_section({"speedup": None, "withoutSpeedup": ""}) == ""


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [("sample", 5.0, ["60.0 s ± 5.00 s", "1.88 ± 0.16", ">94<", "7 of 90 pieces"]), ("full", 0.0, ["60.0 s", "1.88<"])],
)
def test_the_report_shows_the_speedup_with_its_error(method: str, error: float, words: list[str]) -> None:
    record = {
        "baselineSeconds": 60.0,
        "baselineError": error,
        "wallSeconds": 32.0,
        "ratio": 1.875,
        "ratioError": error / 32.0,
        "efficiency": 0.9375,
        "workers": 2,
        "baselineMethod": method,
        "measured": 7,
        "pieces": 90,
    }
    shown = speedup_section({"speedup": record})
    assert all(word in shown for word in words), shown


def test_the_report_says_why_there_is_no_speedup() -> None:
    assert "was begun &lt;before&gt;" in speedup_section({"speedup": None, "withoutSpeedup": "was begun <before>"})
