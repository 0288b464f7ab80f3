"""Compares the finished trials of a sweep: who leads, and whether to believe it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.aggregate.block_length import mean_block_length
from backsweep.aggregate.deflated_sharpe import (
    CORRELATION_CHUNK,
    Deflation,
    correlation_sums,
    deflate,
    mean_correlation,
)
from backsweep.aggregate.overfitting import Overfitting, overfitting
from backsweep.aggregate.ranking import Ranking, competing, rank_trials
from backsweep.aggregate.sensitivity import ScenarioResult, sensitivity
from backsweep.aggregate.superior_ability import (
    SPA_CHUNK,
    SPA_DRAWS,
    SuperiorAbility,
    bootstrap_counts,
    superior_ability,
    superior_ability_part,
)
from backsweep.arrays import Float, Integer
from backsweep.measure.metrics import measure
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe
from backsweep.simulate import net_returns, simulate
from backsweep.solve.unit import solve_run
from backsweep.sweep.procedure import Procedure, run_procedure
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.table import TrialTable
from backsweep.sweep.work import no_timer
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


def compare(series: SweepSeries, rules: Rules) -> Comparison:
    """Rank the competing base trials, add the column `dsr`, and test whether the winner is luck."""
    table = series.table
    profiles = [profile_options(trial.values)[0] for trial in table.trials]
    competes = competing(profiles, np.array([trial.base for trial in table.trials]))
    rows = [row for row in np.flatnonzero(competes).tolist() if table.returns[row]]
    rows.sort(key=lambda row: table.trials[row].id)
    deflation = _deflate(series, rows)
    ids = [trial.id for trial in table.trials]
    ranking = rank_trials(table.metrics[rules.metric], rules.goal, ids, table.status, competes)
    ranked = series.plan.evaluations[0].ranked_rows
    yardstick = _yardstick(series, rules.costs)
    procedure = run_procedure(series, rows, rules.metric, rules.goal, rules.costs, ranked)
    scenarios, results = _scenarios(table, profiles, rules, ranking.winner)
    held = range(ranked, len(yardstick))
    first = None if procedure is None else procedure.first
    return Comparison(
        ranking=ranking,
        deflation=deflation,
        overfitting=overfitting(table.slices[rows]) if len(rows) > 1 else None,
        superior=_superior(series, rows, yardstick[:ranked], ranking.winner, rules.seed),
        procedure=procedure,
        yardstick=yardstick,
        yardstick_metrics=_metrics(series, yardstick[:ranked], 0),
        procedure_metrics={} if procedure is None else _metrics(series, procedure.net, procedure.first),
        procedure_yardstick={} if first is None else _metrics(series, yardstick[first:ranked], first),
        holdout={} if ranking.winner is None else _metrics(series, series.net(ranking.winner)[ranked:], ranked),
        holdout_yardstick=_metrics(series, yardstick[ranked:], ranked) if len(held) > 1 else {},
        sensitivity=results,
        scenarios=scenarios,
    )


def _deflate(series: SweepSeries, rows: Sequence[int]) -> Deflation | None:
    """Add the column `dsr`, against the best of this sweep's own worthless trials, and return how it was deflated."""
    table = series.table
    missing = np.full(len(table), np.nan)
    if not rows:
        table.metrics["dsr"] = missing
        return None
    ranked = series.plan.evaluations[0].ranked_rows
    sums = (correlation_sums(nets) for _, nets in series.chunks(rows, CORRELATION_CHUNK, ranked))
    row_sharpe = row_sharpes(series)
    deflation = deflate(row_sharpe[np.array(rows)], mean_correlation(sums), len(rows))
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
    (weights,) = solve_run([Solve("benchmark", {}, None, None, None, columns)], windows, returns, no_timer)
    full = np.zeros((len(windows), len(returns.symbols)))
    full[:, columns] = weights.values
    full[list(weights.failures)] = np.nan
    path = simulate(full, windows, returns, "window", "hold")
    return net_returns(path, costs.slippage_bps, costs.commission_bps, costs.borrow_rate, returns.periods)


def _superior(
    series: SweepSeries, rows: Sequence[int], yardstick: Float, winner: int | None, seed: int
) -> SuperiorAbility | None:
    if winner is None:
        return None
    ranked = len(yardstick)
    mean_block = mean_block_length(np.asarray(series.net(winner)[:ranked]) - yardstick)
    counts = bootstrap_counts(ranked, SPA_DRAWS, mean_block, seed)
    parts = [
        superior_ability_part(nets, yardstick, counts, mean_block) for _, nets in series.chunks(rows, SPA_CHUNK, ranked)
    ]
    return superior_ability(parts, mean_block)


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
