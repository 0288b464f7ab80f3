"""min_cvar and risk_parity on real windows against HiGHS (exact) and skfolio (to its own accuracy)."""

from __future__ import annotations

import gzip
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from backsweep.arrays import Float
from backsweep.solve import min_cvar, risk_parity
from backsweep.solve.cvar_program import tail_mean
from backsweep.solve.problem import Problem

skfolio = pytest.importorskip("skfolio")


@pytest.fixture(scope="module")
def daily() -> Float:
    path = resources.files("skfolio").joinpath("datasets/data/sp500_dataset.csv.gz")
    with resources.as_file(path) as file, gzip.open(file, "rt") as text:
        prices = pd.read_csv(text, index_col=0)
    return np.ascontiguousarray(prices.pct_change().iloc[1:].to_numpy())


def windows(daily: Float, lookback: int, every: int) -> Float:
    rolling = np.lib.stride_tricks.sliding_window_view(daily, lookback, axis=0)
    return rolling[::every].transpose(0, 2, 1)


def least_cvar(returns: Float, tail_rows: float) -> float:
    """The Rockafellar-Uryasev program as printed, by HiGHS' interior point with crossover."""
    from scipy.optimize import linprog

    rows, assets = returns.shape
    found = linprog(
        np.concatenate([np.zeros(assets), [1.0], np.full(rows, 1 / tail_rows)]),
        A_ub=np.hstack([-returns, -np.ones((rows, 1)), -np.eye(rows)]) * 100,
        b_ub=np.zeros(rows),
        A_eq=np.concatenate([np.ones(assets), np.zeros(rows + 1)])[None],
        b_eq=[1.0],
        bounds=[(0, None)] * assets + [(None, None)] + [(0, None)] * rows,
        method="highs-ipm",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize("lookback", [63, 126, 252, 504])
def test_every_window_of_sp500_is_optimal_by_its_gap(daily: Float, lookback: int) -> None:
    solution = min_cvar.solve(Problem(returns=windows(daily, lookback, 20)))
    assert not solution.failures
    assert (solution.certificate <= 1e-12).all()
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize(("lookback", "confidence"), [(63, 0.95), (100, 0.95), (126, 0.9), (252, 0.95), (504, 0.99)])
def test_the_least_cvar_is_that_of_highs(daily: Float, lookback: int, confidence: float) -> None:
    batch = windows(daily, lookback, 960)
    solution = min_cvar.solve(Problem(returns=batch, parameters={"confidence": confidence}))
    tail_rows = (1 - confidence) * lookback
    ours = tail_mean(-np.matmul(batch, solution.weights[:, :, None])[:, :, 0], tail_rows)
    exact = np.array([least_cvar(one, tail_rows) for one in batch])
    np.testing.assert_allclose(ours, exact, rtol=1e-10, atol=1e-12)


def test_an_asset_without_a_price_move_takes_all_where_it_never_loses(daily: Float) -> None:
    # RRC (column 16) does not move in its first 68 rows
    solution = min_cvar.solve(Problem(returns=daily[None, :63]))
    assert solution.weights[0, 16] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_skfolio_agrees_on_the_least_cvar(daily: Float) -> None:
    from skfolio import RiskMeasure
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    batch = windows(daily, 252, 1900)
    solution = min_cvar.solve(Problem(returns=batch))
    for returns, weights in zip(batch, solution.weights, strict=True):
        peer = MeanRisk(risk_measure=RiskMeasure.CVAR, objective_function=ObjectiveFunction.MINIMIZE_RISK)
        theirs = np.asarray(peer.fit(returns).weights_)
        ours_value = tail_mean(-(returns @ weights), 12.6)
        theirs_value = tail_mean(-(returns @ (theirs / theirs.sum())), 12.6)
        assert ours_value <= theirs_value + 1e-12
        assert theirs_value - ours_value <= 1e-6


@pytest.mark.filterwarnings("ignore")
def test_skfolio_agrees_on_equal_risk_contributions(daily: Float) -> None:
    from skfolio import RiskMeasure
    from skfolio.optimization import RiskBudgeting

    batch = windows(daily, 252, 1900)
    covariance = np.stack([np.cov(one, rowvar=False) for one in batch])
    solution = risk_parity.solve(Problem(covariance=covariance))
    assert (solution.certificate <= 1e-13).all()
    for returns, weights in zip(batch, solution.weights, strict=True):
        theirs = np.asarray(RiskBudgeting(risk_measure=RiskMeasure.VARIANCE).fit(returns).weights_)
        np.testing.assert_allclose(weights, theirs, atol=1e-3)


@pytest.mark.parametrize("lookback", [63, 252])
def test_every_window_of_sp500_has_equal_risk_contributions_but_the_one_with_a_constant_asset(
    daily: Float, lookback: int
) -> None:
    batch = windows(daily, lookback, 20)
    centred = batch - batch.mean(axis=1, keepdims=True)
    solution = risk_parity.solve(Problem(covariance=centred.transpose(0, 2, 1) @ centred / (lookback - 1)))
    assert set(solution.failures) == ({0} if lookback == 63 else set())
    assert np.nanmax(solution.certificate) <= 1e-13
