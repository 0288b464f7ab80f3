"""Predicted time and memory, from a static table: packing must be the same on every machine and every day.

The figures are microseconds a window on one core of the machine that docs/benchmarks.md names, at 20, 100 and 500
assets and 252 training rows; between and beyond them the logarithms are interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from backsweep.units import Solve, SolveTask

__all__ = ["PEAK_BYTES_BASE", "predicted_bytes", "simulation_seconds", "solve_seconds"]

SIZES = (20.0, 100.0, 500.0)

PROFILE_MICROSECONDS: Mapping[str, tuple[float, float, float]] = {
    "equal_weight": (0.5, 1, 4),
    "market": (0.5, 1, 4),
    "benchmark": (0.5, 1, 4),
    "inverse_volatility": (1, 2, 8),
    "min_variance": (16, 180, 1_600),
    "max_sharpe": (12, 180, 1_600),
    "max_diversification": (16, 180, 1_600),
    "risk_parity": (18, 150, 2_300),
    "hrp": (20, 300, 7_000),
    "herc": (30, 400, 9_000),
    "nco": (45, 650, 12_000),
    "min_cvar": (320, 4_000, 30_000),
    "barbell": (20, 220, 2_500),
    "strategy": (2_000, 5_000, 20_000),
}
ESTIMATOR_MICROSECONDS: Mapping[str, tuple[float, float, float]] = {
    "sample": (12, 80, 1_500),
    "ledoit_wolf": (12, 110, 2_500),
    "oas": (10, 90, 2_000),
    "ewma": (14, 90, 1_700),
    "denoised": (70, 900, 27_000),
    "gerber": (30, 300, 8_000),
}
PEER_MICROSECONDS: Mapping[str, tuple[float, float, float]] = {
    "skfolio": (12_000, 25_000, 600_000),
    "pyportfolioopt": (14_000, 60_000, 500_000),
    "nco by skfolio": (300_000, 350_000, 1_500_000),
    "min_cvar by skfolio": (15_000, 170_000, 900_000),
    "min_cvar by pyportfolioopt": (11_000, 150_000, 900_000),
}
CONSTRAINED_MICROSECONDS = (150.0, 1_500.0, 90_000.0)
IN_TURN_MICROSECONDS = (400.0, 2_000.0, 150_000.0)  # beside that, where windows wait for each other: batches of one
CVAR_PROGRAM_MICROSECONDS = (5_500.0, 14_000.0, 70_000.0)  # of a window whose bounds are not all: see `min_cvar`
CVAR_PROGRAM_ROWS = 252  # it has a row a training row, and takes so much longer with more
BEYOND_BOUNDS = ("groupCaps", "gross", "beta", "turnoverLimit")
LEAF_ORDER_MICROSECONDS = (30.0, 1_000.0, 50_000.0)
SIMULATION_MICROSECONDS_PER_ROW = {"window": 0.06, "daily": 0.06}  # at 20 assets
METRICS_MICROSECONDS_PER_ROW = 0.02
UNIT_MICROSECONDS = 300.0  # naming, storing and reporting a unit
PEAK_BYTES_BASE = 130 << 20  # the process with numpy and pyarrow imported


def solve_seconds(task: SolveTask, assets: int, windows: int, training_rows: float) -> float:
    """Return the predicted seconds of solving `windows` windows of a task."""
    solve = task.solve
    if _is_cvar_program(solve):
        each = _at(CVAR_PROGRAM_MICROSECONDS, assets) * max(1.0, training_rows / CVAR_PROGRAM_ROWS)
    else:
        each = _at(_profile_microseconds(solve), assets)
    if solve.covariance is not None:
        each += _at(ESTIMATOR_MICROSECONDS[solve.covariance.name], assets) / 4  # shared by the profiles of a block
    if solve.constraints is not None:
        each += _at(CONSTRAINED_MICROSECONDS, assets)
        if solve.sequential:
            each += _at(IN_TURN_MICROSECONDS, assets)
    if solve.parameters.get("leafOrder"):
        each += _at(LEAF_ORDER_MICROSECONDS, assets)
    return windows * each * 1e-6 + len(task.units) * UNIT_MICROSECONDS * 1e-6


def simulation_seconds(task: SolveTask, assets: int, rows: int) -> float:
    """Return the predicted seconds of a task's simulations and their metrics."""
    seconds = 0.0
    for rule in {simulation.rebalance for simulation in task.simulations}:
        seconds += rows * SIMULATION_MICROSECONDS_PER_ROW[rule] * assets / 20 * 1e-6
    each = rows * METRICS_MICROSECONDS_PER_ROW + UNIT_MICROSECONDS
    return seconds + len(task.simulations) * each * 1e-6


def predicted_bytes(trials: int, assets: int, rows: int, slices: int = 16) -> int:
    """Return the predicted peak memory of one process of a sweep: the results table grows, nothing else does."""
    table = trials * (24 * 8 + slices * 3 * 8 + 400)
    batch = 8 * 32 * 2**20
    return PEAK_BYTES_BASE + table + min(batch, 40 * 8 * rows * assets) + 2 * 8 * rows * assets


def _profile_microseconds(solve: Solve) -> tuple[float, float, float]:
    """Return the figures of a profile by its engine; a peer has one set, but for what takes much longer."""
    if solve.is_native:
        return PROFILE_MICROSECONDS.get(solve.profile, PROFILE_MICROSECONDS["strategy"])
    return PEER_MICROSECONDS.get(solve.stage, PEER_MICROSECONDS[solve.engine])


def _is_cvar_program(solve: Solve) -> bool:
    """Whether minimum CVaR goes to HiGHS window by window; an empty list and null ask for nothing."""
    constraints = solve.constraints or {}
    return solve.profile == "min_cvar" and any(constraints.get(name) not in (None, []) for name in BEYOND_BOUNDS)


def _at(figures: tuple[float, float, float], assets: int) -> float:
    """Return the figure at `assets`, by straight lines between logarithms."""
    size = math.log(max(assets, 1))
    knots = [math.log(value) for value in SIZES]
    left = 0 if size <= knots[1] else 1
    slope = math.log(figures[left + 1] / figures[left]) / (knots[left + 1] - knots[left])
    return math.exp(math.log(figures[left]) + slope * (size - knots[left]))
