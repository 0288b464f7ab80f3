"""Predictions are static, grow with what they predict, and pass through the table's own figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from backsweep.arrays import Windows
from backsweep.plan.packing import LONGEST_SECONDS, Family, pack
from backsweep.plan.prediction import ESTIMATOR_MICROSECONDS, PROFILE_MICROSECONDS, predicted_bytes, solve_seconds
from backsweep.units import Costs, Estimator, Evaluation, Simulation, Solve, SolveTask, SolveUnit

CHEAP = Costs(5, 1, 0)


GROUPS = {"groupCaps": [{"name": "first", "assets": ["A"], "max": 0.4}]}
# Microseconds of processor time a window: 60, 12 and 3 windows of 252 rows (sp500-20, synthetic-100, synthetic-500 of
# tests/benchmarks/cases.py), divided by how much slower the machine was at that moment than docs/benchmarks.md says.
# Of turnoverLimit the geometric mean of 0.5 and 0.1: the tighter it is, the longer minimum CVaR takes.
MEASURED = [
    ("min_cvar", {"maxWeight": 0.2}, (597, 3_207, 25_449)),
    ("min_cvar", GROUPS, (5_622, 13_410, 66_789)),
    ("min_cvar", {"turnoverLimit": 0.2}, (5_730, 35_025, 383_250)),
    ("min_variance", {"turnoverLimit": 0.2}, (295, 3_754, 718_600)),
    ("hrp", {"turnoverLimit": 0.2}, (805, 3_040, 53_720)),
    ("hrp", {"turnoverLimit": None, "groupCaps": []}, (135, 862, 25_745)),
]


def task(
    profile: str, windows: int = 512, runs: int = 1, name: str = "s", constraints: Mapping[str, Any] | None = None
) -> SolveTask:
    """Return a solve of `runs` units of `windows` windows with one simulation."""
    units = tuple(SolveUnit(f"{name}{run}", run * windows, (run + 1) * windows) for run in range(runs))
    solve = Solve(profile, {}, Estimator("sample"), None, constraints, np.arange(20))
    simulation = Simulation(f"{name} simulated", name, "window", CHEAP)
    return SolveTask(name, solve, units, frozenset(unit.id for unit in units), (simulation,))


def family(tasks: list[SolveTask], windows: int, assets: int = 20) -> Family:
    rows = np.arange(windows, dtype=np.int64)
    every = Windows(rows, rows + 252, 20 * rows + 300, 20 * rows + 320)
    return Family(0, every, Evaluation(20 * windows, hold_on_failure=False), assets, 20 * windows, tasks)


@pytest.mark.parametrize(("assets", "place"), [(20, 0), (100, 1), (500, 2)])
def test_the_table_is_met_at_its_own_sizes(assets: int, place: int) -> None:
    found = solve_seconds(task("hrp"), assets, 1_000_000, 252)
    expected = PROFILE_MICROSECONDS["hrp"][place] + ESTIMATOR_MICROSECONDS["sample"][place] / 4
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("profile", "constraints", "measured"), MEASURED)
def test_what_constraints_cost_is_predicted_within_a_factor(
    profile: str, constraints: Mapping[str, Any], measured: tuple[float, float, float]
) -> None:
    for assets, microseconds in zip((20, 100, 500), measured, strict=True):
        predicted = solve_seconds(task(profile, constraints=constraints), assets, 1_000_000, 252)
        assert 1 / 5 < predicted / microseconds < 5, assets


@pytest.mark.parametrize(("lookback", "microseconds"), [(126, 5_648), (504, 11_969), (1008, 23_826)])
def test_minimum_cvar_beyond_bounds_takes_longer_with_the_rows_it_trains_on(lookback: int, microseconds: float) -> None:
    limited = task("min_cvar", constraints={"turnoverLimit": 0.2})
    assert solve_seconds(limited, 20, 1_000_000, lookback) == pytest.approx(microseconds, rel=0.25)


def test_more_assets_and_more_trials_cost_more() -> None:
    seconds = [solve_seconds(task("min_cvar"), assets, 100, 252) for assets in (1, 20, 50, 100, 300, 500, 900)]
    assert seconds == sorted(seconds)
    assert predicted_bytes(100_000, 20, 8000) > predicted_bytes(1_000, 20, 8000)


def test_short_solves_are_packed_together_and_simulated_where_they_are_solved() -> None:
    tasks = [task("hrp", name=f"s{number}") for number in range(50)]
    first, second = pack([family(tasks, 512)], 1)
    assert not second
    assert 1 < len(first) < 50
    assert [each.id for block in first for each in block.tasks] == [each.id for each in tasks]
    assert all(each.simulations for block in first for each in block.tasks)


def test_a_long_solve_is_cut_into_its_units_and_simulated_afterwards() -> None:
    long = task("min_cvar", runs=3, name="long")
    first, second = pack([family([long], 1536, assets=500)], 2)
    assert [block.tasks[0].missing for block in first] == [{"long0"}, {"long1"}, {"long2"}]
    assert all(block.seconds > LONGEST_SECONDS for block in first)
    assert not any(block.tasks[0].simulations for block in first)
    (later,) = second
    assert later.tasks[0].simulations == long.simulations
    assert not later.tasks[0].missing


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_packing_loses_and_repeats_nothing(processes: int) -> None:
    tasks = [task(profile, name=f"{profile}{number}") for number in range(9) for profile in ("hrp", "min_cvar", "nco")]
    first, second = pack([family(tasks, 512, assets=100)], processes)
    missing = [unit for block in first for each in block.tasks for unit in each.missing]
    simulated = [item.id for block in [*first, *second] for each in block.tasks for item in each.simulations]
    assert sorted(missing) == sorted(unit.id for each in tasks for unit in each.units)
    assert sorted(simulated) == sorted(item.id for each in tasks for item in each.simulations)
