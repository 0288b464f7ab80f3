"""The serial time behind a speedup: an honest sample of pieces that are the work, no more and no less."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.flow.prepare import Prepared, prepare, read_sweep
from backsweep.plan.pieces import Piece, cut_pieces
from backsweep.sweep.speedup import Speedup, draw, estimate_total

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: baseline}
spec:
  data: {name: sp500-20, start: "1998-01-02", end: "2014-12-31"}
  storage: {uri: "file://STORE"}
  axes:
    profile: [equal_weight, min_variance, hrp, max_sharpe, min_cvar]
    covariance: [sample, oas]
    lookback: [126, 252]
    rebalance: [window, daily]
    constraints: [{}, {turnoverLimit: 0.5}]
    costs: [{slippageBps: 5, commissionBps: 1}, {slippageBps: 20, commissionBps: 1}]
"""
MEASURED = {
    ("min_variance", "sample"): 4.0,
    ("min_variance", "oas"): 1.0,
    ("covariance", "sample"): 0.5,
    ("hrp", "oas"): 0.25,
    ("simulate", "daily"): 2.0,
    ("measure", "metrics"): 0.5,
    ("store", "weights"): 0.125,
    ("store", "returns"): 0.125,
}
sizes = st.lists(st.floats(0.01, 10.0), min_size=2, max_size=60)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("baseline")
    return prepare(read_sweep(DOCUMENT.replace("STORE", str(folder / "store")), []), Path())


def pieces_of(prepared: Prepared, longest: float) -> list[Piece]:
    return cut_pieces(prepared.plan.families(), MEASURED, lambda total: longest)


def test_pieces_share_out_the_measured_seconds(prepared: Prepared) -> None:
    for longest in (math.inf, 0.05):
        assert sum(piece.seconds for piece in pieces_of(prepared, longest)) == pytest.approx(sum(MEASURED.values()))


def test_without_measured_seconds_pieces_are_as_long_as_predicted(prepared: Prepared) -> None:
    pieces = cut_pieces(prepared.plan.families(), {}, lambda total: math.inf)
    assert sum(piece.seconds for piece in pieces) == pytest.approx(prepared.plan.predicted_seconds(), rel=0.1)


@pytest.mark.parametrize("longest", [math.inf, 0.05, 1e-6])
def test_pieces_are_every_window_and_every_simulation_once(prepared: Prepared, longest: float) -> None:
    windows: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    simulations: Counter[str] = Counter()
    for piece in pieces_of(prepared, longest):
        for task in piece.block.tasks:
            simulations.update(simulation.id for simulation in task.simulations)
            for unit in task.units:
                if unit.id in task.missing:
                    windows[piece.block.data, task.id].update(range(unit.start, unit.stop))
    for key, task in prepared.plan.tasks.items():
        assert windows[key] == Counter(range(task.units[-1].stop)), task.solve.profile
    assert simulations == Counter(set(prepared.plan.simulation_ids))


def test_a_piece_is_cut_where_it_is_long_but_not_into_windows_that_cost_more(prepared: Prepared) -> None:
    for piece in pieces_of(prepared, 0.05):
        lengths = {unit.stop - unit.start for task in piece.block.tasks for unit in task.units}
        if piece.block.tasks[0].missing:
            assert piece.seconds <= 0.05 or min(lengths) < 64
            assert piece.share == 1.0 or min(lengths) >= 32


def test_what_shares_an_estimate_stays_together(prepared: Prepared) -> None:
    together = [
        {task.solve.profile for task in piece.block.tasks}
        for piece in pieces_of(prepared, math.inf)
        if len(piece.block.tasks) > 1
    ]
    assert {"min_variance", "hrp", "max_sharpe"} in together
    assert not any("min_cvar" in profiles or "equal_weight" in profiles for profiles in together)


@settings(deadline=None, max_examples=100)
@given(sizes, st.floats(0.05, 1.0), st.integers(0, 2**32))
def test_a_sample_is_drawn_by_size_and_repeats_itself(given_sizes: list[float], share: float, seed: int) -> None:
    total = sum(given_sizes)
    drawn = draw(given_sizes, share * total, seed)
    assert drawn == draw(given_sizes, share * total, seed)
    assert drawn == sorted(drawn)
    hits = Counter(drawn)
    for index, size in enumerate(given_sizes):
        expected = len(drawn) * size / total
        assert math.floor(expected - 1e-9) <= hits[index] <= math.ceil(expected + 1e-9)


def test_a_sample_has_two_draws_at_least_and_keeps_to_its_budget_otherwise() -> None:
    assert len(draw([5.0, 5.0], 0.1, 1)) == 2
    equal = [0.01] * 1000
    assert len(draw(equal, 0.3, 7)) == pytest.approx(30, abs=1)


@settings(deadline=None, max_examples=100)
@given(sizes, st.floats(0.5, 2.0), st.integers(0, 2**32))
def test_what_goes_by_size_is_estimated_without_error(given_sizes: list[float], factor: float, seed: int) -> None:
    drawn = draw(given_sizes, 0.2 * sum(given_sizes), seed)
    found, error = estimate_total(given_sizes, drawn, {index: factor * given_sizes[index] for index in drawn})
    assert found == pytest.approx(factor * sum(given_sizes))
    assert error < 1e-6 * found


def test_the_estimate_is_unbiased_and_its_error_is_no_boast() -> None:
    random = np.random.default_rng(5)
    given_sizes = random.lognormal(0.0, 1.0, 300).tolist()
    true = [size * ratio for size, ratio in zip(given_sizes, random.lognormal(0.1, 0.3, 300), strict=True)]
    found = []
    for seed in range(400):
        drawn = draw(given_sizes, 0.1 * sum(given_sizes), seed)
        found.append(estimate_total(given_sizes, drawn, {index: true[index] for index in drawn}))
    totals, errors = np.array(found).T
    assert totals.mean() == pytest.approx(sum(true), rel=0.01)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(totals.std(), rel=0.4)
    assert np.mean(np.abs(totals - sum(true)) < 2 * errors) > 0.85


def test_all_of_it_measured_leaves_no_error() -> None:
    found, error = estimate_total([1.0, 2.0], [0, 1, 1], {0: 3.0, 1: 2.0})
    assert found == pytest.approx(3.0 * (3.0 + 1.0 + 1.0) / 3)
    assert error == 0.0


def test_a_speedup_by_the_names_of_a_status() -> None:
    speedup = Speedup(60.0, 3.0, "sample", 32.0, 2, 37, 640)
    plain = speedup.as_plain()
    assert {name: plain[name] for name in ("baselineSeconds", "wallSeconds", "ratio", "efficiency")} == {
        "baselineSeconds": 60.0,
        "wallSeconds": 32.0,
        "ratio": 1.875,
        "efficiency": 0.9375,
    }
    assert plain["sentence"] == (
        "speedup 1.88 ± 0.09 of 2 workers, efficiency 94 %: 32.0 s by the clock, serially 60.0 s ± 3.0 s, measured on "
        "37 of 640 pieces of the work"
    )
    serial = Speedup(5.0, 0.0, "serial", 5.0, 1, 0, 0).as_plain()
    assert (serial["ratio"], serial["efficiency"], serial["baselineMethod"]) == (1.0, 1.0, "serial")
