"""Compares the finished trials of a sweep: who leads, and whether to believe it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.aggregate.block_length import mean_block_length
from backsweep.aggregate.deflated_sharpe import Deflation, deflate, mean_correlation
from backsweep.aggregate.overfitting import Overfitting, overfitting
from backsweep.aggregate.ranking import Ranking, competing, rank_trials
from backsweep.aggregate.sensitivity import ScenarioResult, sensitivity
from backsweep.aggregate.superior_ability import SuperiorAbility, superior_ability
from backsweep.arrays import Float, Integer
from backsweep.measure.metrics import measure
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe
from backsweep.simulate import net_returns, simulate
from backsweep.solve.unit import solve_run
from backsweep.sweep.parity import Parity, compare_engines
from backsweep.sweep.parts import Ask, Part, Question, chunks_of
from backsweep.sweep.procedure import Procedure, procedure_windows, run_procedure
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.table import TrialTable
from backsweep.sweep.work import no_timer
from backsweep.trial import spread
from backsweep.units import Costs, Solve
from backsweep_api.options import profile_options

__all__ = ["Comparison", "Rules", "compare"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a sweep is judged.

    Parameters
    ----------
    metric, goal : the objective.
    costs : the base cost level.
    seed : of the bootstrap.
    """

    metric: str
    goal: str
    costs: Costs
    seed: int


@dataclass(slots=True, eq=False)
class Comparison:
    """What the trials say together; None where a test has nothing to work on.

    Attributes
    ----------
    deflation : with the sweep's own number of trials.
    yardstick : (T',) net returns of the equal weight of the eligible universe, base costs.
    holdout : of the winner and the yardstick, on rows that never rank: metric -> value.
    sensitivity : the base scenario first.
    scenarios : the values of the scenario axes, by number.
    parity : native and each peer on the same solves; empty without peers.
    """

    ranking: Ranking
    deflation: Deflation | None
    overfitting: Overfitting | None
    superior: SuperiorAbility | None
    procedure: Procedure | None
    yardstick: Float
    yardstick_metrics: dict[str, float]
    procedure_metrics: dict[str, float]
    procedure_yardstick: dict[str, float]
    holdout: dict[str, float]
    holdout_yardstick: dict[str, float]
    sensitivity: list[ScenarioResult]
    scenarios: list[dict[str, Any]]
    parity: list[Parity]


def compare(series: SweepSeries, rules: Rules, ask: Ask) -> Comparison:
    """Rank the competing base trials, add the column `dsr`, and test whether the winner is luck.

    Parameters
    ----------
    ask : reads the stored series of the trials, here or where the workers are.
    """
    table = series.table
    profiles = [profile_options(trial.values)[0] for trial in table.trials]
    competes = competing(profiles, np.array([trial.base for trial in table.trials]))
    rows = [row for row in np.flatnonzero(competes).tolist() if table.returns[row]]
    rows.sort(key=lambda row: table.trials[row].id)
    ranked = series.plan.evaluations[0].ranked_rows
    yardstick = _yardstick(series, rules.costs)
    question = _question(series, rows, yardstick[:ranked], rules) if rows else None
    parts = ask(list(chunks_of(series, rows, question)), question) if question else []
    deflation = _deflate(series, rows, parts)
    ids = [trial.id for trial in table.trials]
    ranking = rank_trials(table.metrics[rules.metric], rules.goal, ids, table.status, competes)
    procedure = run_procedure(series, rows, parts, rules.costs, ranked) if rows else None
    scenarios, results = _scenarios(table, profiles, rules, ranking.winner)
    first = None if procedure is None else procedure.first
    holdout = len(yardstick) > ranked + 1 and ranking.winner is not None
    return Comparison(
        ranking=ranking,
        deflation=deflation,
        overfitting=overfitting(table.slices[rows]) if len(rows) > 1 else None,
        superior=superior_ability((part.superior for part in parts), question.mean_block) if question else None,
        procedure=procedure,
        yardstick=yardstick,
        yardstick_metrics=_metrics(series, yardstick[:ranked], 0),
        procedure_metrics={} if procedure is None else _metrics(series, procedure.net, procedure.first),
        procedure_yardstick={} if first is None else _metrics(series, yardstick[first:ranked], first),
        holdout=_metrics(series, series.net(ranking.winner or 0)[ranked:], ranked) if holdout else {},
        holdout_yardstick=_metrics(series, yardstick[ranked:], ranked) if holdout else {},
        sensitivity=results,
        scenarios=scenarios,
        parity=compare_engines(series),
    )


def _question(series: SweepSeries, rows: Sequence[int], yardstick: Float, rules: Rules) -> Question:
    """Return what is asked of the series; blocks are as long as the lead of the highest Sharpe ratio needs."""
    ranked = len(yardstick)
    sharpe = series.table.metrics["sharpe"][rows]
    leader = rows[int(np.argmax(np.where(np.isnan(sharpe), -np.inf, sharpe)))]
    _, stops = procedure_windows(series, rows, ranked)
    return Question(
        ranked=ranked,
        start=int(series.windows_of(rows[0]).test_start[0]),
        yardstick=yardstick,
        mean_block=mean_block_length(np.asarray(series.net(leader)[:ranked]) - yardstick),
        seed=rules.seed,
        stops=stops,
        metric=rules.metric,
        goal=rules.goal,
    )


def _deflate(series: SweepSeries, rows: Sequence[int], parts: Sequence[Part]) -> Deflation | None:
    """Add the column `dsr`, against the best of this sweep's own worthless trials, and return how it was deflated."""
    table = series.table
    if not rows:
        table.metrics["dsr"] = np.full(len(table), np.nan)
        return None
    ranked = series.plan.evaluations[0].ranked_rows
    row_sharpe = row_sharpes(series)
    correlation = mean_correlation(part.correlation for part in parts)
    deflation = deflate(row_sharpe[np.array(rows)], correlation, len(rows))
    table.metrics["dsr"] = probabilistic_sharpe(
        row_sharpe, ranked, table.metrics["skew"], table.metrics["kurtosis"], deflation.benchmark
    )
    return deflation


def row_sharpes(series: SweepSeries) -> Float:
    """Return the (M,) Sharpe ratios a row: never annualised, as PSR and DSR take them."""
    periods = [returns.periods for returns in series.plan.datasets]
    roots = np.array([math.sqrt(periods[series.data_of(row)]) for row in range(len(series.table))])
    sharpes: Float = series.table.metrics["sharpe"] / roots
    return sharpes


def _yardstick(series: SweepSeries, costs: Costs) -> Float:
    """Return the net returns of equal weight of the eligible universe on the base data set."""
    returns = series.plan.datasets[0]
    windows = next(windows for (data, _), windows in series.plan.windows.items() if data == 0)
    columns = np.setdiff1d(np.arange(len(returns.symbols)), returns.benchmark).astype(np.int64)
    solve = Solve("benchmark", {}, None, None, None, columns)
    (weights,) = solve_run([solve], windows, returns, no_timer)
    path = simulate(spread(weights, solve, len(returns.symbols)), windows, returns, "window", "hold")
    return net_returns(path, costs.slippage_bps, costs.commission_bps, costs.borrow_rate, returns.periods)


def _metrics(series: SweepSeries, net: Float, first: int) -> dict[str, float]:
    """Return the metrics of one net series that starts `first` test rows in, on the base data set."""
    if len(net) < 2:
        return {}
    returns = series.plan.datasets[0]
    windows = next(windows for (data, _), windows in series.plan.windows.items() if data == 0)
    start = int(windows.test_start[0]) + first
    riskless = returns.risk_free[start : start + len(net)]
    found = measure(net[None], net[None], np.zeros((1, len(net))), returns.periods, riskless).metrics
    unknown = {"turnover", "cost_drag"}
    return {name: float(values[0]) for name, values in found.items() if name not in unknown}


def _scenarios(
    table: TrialTable, profiles: Sequence[str], rules: Rules, winner: int | None
) -> tuple[list[dict[str, Any]], list[ScenarioResult]]:
    """Number the scenarios and choices, and say how order and winner fare in each."""
    if winner is None:
        return [], []
    scenarios: dict[tuple[str, ...], int] = {}
    described: list[dict[str, Any]] = []
    points: dict[str, int] = {}
    scenario: Integer = np.zeros(len(table), dtype=np.int64)
    choice: Integer = np.zeros(len(table), dtype=np.int64)
    base_key = _scenario_key(table.trials[winner].values)
    scenarios[base_key] = 0
    described.append(_scenario_of(table.trials[winner].values))
    for row, trial in enumerate(table.trials):
        key = _scenario_key(trial.values)
        if key not in scenarios:
            scenarios[key] = len(scenarios)
            described.append(_scenario_of(trial.values))
        scenario[row] = scenarios[key]
        choice[row] = points.setdefault(trial.point, len(points))
    able = competing(profiles, np.ones(len(table), dtype=np.bool_))
    finished = np.array([status == "ok" for status in table.status])
    values = np.where(able & finished, table.metrics[rules.metric], np.nan)
    ids = [trial.id for trial in table.trials]
    return described, sensitivity(values, rules.goal, ids, choice, scenario, winner)


def _scenario_of(values: Mapping[str, Any]) -> dict[str, Any]:
    return {axis: values[axis] for axis in ("data", "costs", "engine") if axis in values}


def _scenario_key(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(repr(values[axis]) for axis in ("data", "costs", "engine") if axis in values)
