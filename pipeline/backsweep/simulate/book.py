"""Keeps the book of one walk-forward: positions set at decision rows, drift, trades, shorts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from backsweep.arrays import Float, Returns, Windows, read_only
from backsweep.errors import InvariantError, SolveError
from backsweep.simulate.daily import drift_through_rows, keep_rows
from backsweep.simulate.openings import Targets
from backsweep.simulate.path import Path, stop_at_ruin
from backsweep.simulate.stretches import stretches
from backsweep.simulate.window import drift_windows, keep_windows

__all__ = ["OnFailure", "Rule", "positions", "simulate"]

Rule = Literal["window", "daily"]
OnFailure = Literal["hold", "fail"]


def simulate(weights: Float, windows: Windows, returns: Returns, rule: Rule, on_failure: OnFailure = "fail") -> Path:
    """Simulate target weights over all test rows, because what was decided is not what is held.

    Positions are set at the close of row test_start - 1, so that the first test row earns them and
    carries their cost. `window`: buy and hold to the next window. `daily`: back to target at every
    close. Cash, 1 - sum(w), earns the riskless return (and pays it where it is negative).

    - An asset that cannot be traded at a close keeps its drifted weight f. With target t, the
      tradable targets are multiplied by (1 - sum f) / (1 - sum t), sums over such assets, so that a
      fully invested target stays fully invested. They are not where 1 - sum t is 0 or less (there
      is nothing to scale), nor where the target holds a short (that could lever it without bound;
      cash takes the difference); and they are never turned into shorts: the factor is at least 0.
    - A delisted asset earns its delisting return on delisted_row and is cash from that close on. It
      is not traded and costs nothing.
    - A failed window (NaN) under `hold` does not trade: what is held drifts through it, under `daily`
      too; before the first purchase all is cash.
    - When wealth falls to nothing (1e-12 of the row before, or under 0) the book is closed: that
      row's return is at or under -1, returns, trades and shorts after it are 0.

    Parameters
    ----------
    weights : (K, N) float64, fractions of wealth, in the columns of `Returns.symbols`; a row of
        NaN is a failed window. No row may be NaN in part.
    windows : the walk-forward; consecutive windows meet.
    returns : the data set.
    rule : "window" or "daily".
    on_failure : "hold" or "fail", what a failed window does.

    Returns
    -------
    Path over rows test_start[0] to test_stop[-1] (T' of them), simple returns as fractions.

    NaN policy: NaN weights are failed windows; no NaN comes out.

    Raises
    ------
    SolveError : a window failed and `on_failure` is "fail".
    InvariantError : shapes, windows or weights that no earlier stage may hand over.

    Source : DESIGN section 7; against money and shares counted row by row in
    tests/property/test_simulate_money.py and against bt 1.1 in tests/reference/test_simulate_bt.py.
    """
    _check(weights, windows, returns, rule, on_failure)
    keep = keep_windows if rule == "window" else keep_rows
    start, rows = int(windows.test_start[0]), int(windows.test_stop[-1] - windows.test_start[0])
    gross, traded, short = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    targets, held = Targets.of(weights), np.zeros(weights.shape[1])
    # After a ruin the arithmetic of the same stretch goes on with wealth 0; those rows are cut off.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for stretch in stretches(windows, returns):
            pages = keep(stretch, targets.part(stretch.windows), held)
            part = slice(stretch.start - start, stretch.start - start + stretch.cash.size)
            gross[part] = pages.gross.reshape(-1)
            traded[part] = pages.traded.reshape(-1)
            short[part] = pages.short.reshape(-1)
            held = pages.closing
            ruined = stop_at_ruin(gross[: part.stop])
            if ruined is not None:
                traded[ruined + 1 :] = 0.0
                short[ruined + 1 :] = 0.0
                held = np.zeros_like(held)
                break
        else:
            ruined = None
    return Path(start, read_only(gross), read_only(traded), read_only(short), read_only(held), ruined)


def positions(weights: Float, windows: Windows, returns: Returns, rule: Rule, on_failure: OnFailure = "fail") -> Float:
    """Return what `simulate` held, because a researcher asks what the portfolio was on a day.

    Parameters
    ----------
    weights, windows, returns, rule, on_failure : as for `simulate`.

    Returns
    -------
    (T', N) float64, each asset's drifted weight at the close of each test row, before any trade at
    that close, as a fraction of wealth; the rest is cash. 0 from the row an asset delists on, and 0
    from the row of a ruin on.

    NaN policy: as `simulate`.

    Raises
    ------
    SolveError, InvariantError : as `simulate`.

    Source : DESIGN section 6, `open(...).positions(id)`; tests/property/test_simulate_money.py.
    """
    path = simulate(weights, windows, returns, rule, on_failure)
    drift = drift_windows if rule == "window" else drift_through_rows
    held = np.zeros((len(path.gross), weights.shape[1]))
    targets, before = Targets.of(weights), np.zeros(weights.shape[1])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for stretch in stretches(windows, returns):
            drifted = drift(stretch, targets.part(stretch.windows), before)
            held[stretch.start - path.start :][: len(drifted)] = drifted
            before = drifted[-1]
    if path.ruined_row is not None:
        held[path.ruined_row :] = 0.0
    return held


def _check(weights: Float, windows: Windows, returns: Returns, rule: str, on_failure: str) -> None:
    """Raise where `simulate` cannot start."""
    shape = (len(windows), len(returns.symbols))
    if weights.shape != shape or shape[1] == 0:
        raise InvariantError(f"weights must be (windows, assets) = {shape} with an asset; found {weights.shape}")
    if rule not in ("window", "daily") or on_failure not in ("hold", "fail"):
        raise InvariantError(
            f"the rule must be window or daily, on_failure hold or fail; found {rule} and {on_failure}"
        )
    failed = np.isnan(weights).all(axis=1)
    bad = ~failed & ~np.isfinite(weights).all(axis=1)
    if bad.any():
        raise InvariantError(f"the weights of window {int(bad.argmax())} are NaN or infinite in part")
    if on_failure == "fail" and failed.any():
        date = returns.dates[int(windows.test_start[int(failed.argmax())])]
        raise SolveError(f"{failed.sum()} of {len(windows)} windows have no portfolio, the first is tested from {date}")
