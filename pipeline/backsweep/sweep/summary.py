"""A finished sweep as plain values: what the command line prints, --json gives and report.html shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backsweep.plan.labels import label_of
from backsweep.sweep.axis_spread import axis_spread
from backsweep.sweep.comparison import Comparison
from backsweep.sweep.compute import Computed
from backsweep.sweep.judgement import Judgement
from backsweep.sweep.parity import parity_rows
from backsweep.sweep.result import plain_numbers
from backsweep.sweep.series import SweepSeries

__all__ = ["LEADERS", "summarise"]

LEADERS = 20


def summarise(
    series: SweepSeries, computed: Computed, comparison: Comparison, judgement: Judgement, metric: str
) -> dict[str, Any]:
    """Return the summary of a sweep: counts, leaders, verdict, procedure, yardstick, holdout, scenarios, data."""
    table = series.table
    axes = _shown_axes(series)
    order = comparison.ranking.order.tolist()[:LEADERS]
    return plain_numbers(  # type: ignore[no-any-return]  # a dict stays a dict
        {
            "trials": {
                "total": len(table),
                "cached": computed.cached_trials,
                "failed": table.failed,
                "ruined": table.status.count("ruined"),
                "ever": judgement.trials_ever,
            },
            "objective": metric,
            "axes": axes,
            "leaders": [_leader(series, row, place, axes) for place, row in enumerate(order, start=1)],
            "failures": _failures(series),
            "verdict": judgement.sentences,
            "procedure": comparison.procedure_metrics or None,
            "procedureYardstick": comparison.procedure_yardstick or None,
            "yardstick": comparison.yardstick_metrics,
            "holdout": comparison.holdout or None,
            "holdoutYardstick": comparison.holdout_yardstick or None,
            "luck": _luck(comparison, judgement),
            "spread": axis_spread(table, comparison.ranking.order.tolist(), metric, axes),
            "sensitivity": [
                {
                    "scenario": {axis: label_of(value) for axis, value in comparison.scenarios[item.scenario].items()},
                    "trials": item.trials,
                    "winnerValue": item.winner_value,
                    "winnerRank": item.winner_rank,
                    "leader": None if item.leader < 0 else table.trials[item.leader].id,
                    "leaderValue": item.leader_value,
                    "rankCorrelation": item.rank_correlation,
                }
                for item in comparison.sensitivity
            ],
            "parity": parity_rows(series, comparison.parity, computed.seconds),
            "data": [
                {
                    "rows": len(returns.dates),
                    "assets": len(returns.symbols),
                    "first": str(returns.dates[0]),
                    "last": str(returns.dates[-1]),
                    "digest": returns.digest,
                }
                for returns in series.plan.datasets
            ],
            "windows": series.plan.counts()["windows"],
            "computed": {
                "blocks": computed.blocks,
                "solveUnits": computed.solve_units,
                "simulations": computed.simulations,
            },
        }
    )


def _leader(series: SweepSeries, row: int, place: int, axes: list[str]) -> dict[str, Any]:
    table = series.table
    trial = table.trials[row]
    return {
        "rank": place,
        "trial": trial.id,
        "axes": {axis: label_of(trial.values.get(axis)) for axis in axes},
        "metrics": {name: values[row] for name, values in table.metrics.items()},
        "failedWindows": int(table.failed_windows[row]),
    }


def _luck(comparison: Comparison, judgement: Judgement) -> dict[str, float | None]:
    """Return the one number of each test; None where it had nothing to work on."""
    return {
        "dsrEver": judgement.dsr_ever,
        "overfitting": None if comparison.overfitting is None else comparison.overfitting.probability,
        "superiorAbility": None if comparison.superior is None else comparison.superior.p_consistent,
    }


def _shown_axes(series: SweepSeries) -> list[str]:
    """Return the axes in which trials differ, and the profile in any case."""
    seen: dict[str, dict[int, Any]] = {}  # by identity: the values of an axis are few objects that many trials share
    for trial in series.table.trials:
        for axis, value in trial.values.items():
            seen.setdefault(axis, {})[id(value)] = value
    labels = {axis: {label_of(value) for value in values.values()} for axis, values in seen.items()}
    one_for_all = ("costs", "engine")  # of the trials that are ranked, which are those of the base
    return [
        axis for axis, values in labels.items() if axis == "profile" or (len(values) > 1 and axis not in one_for_all)
    ]


def _failures(series: SweepSeries) -> list[Mapping[str, str]]:
    """Return the first failed trials, with the first line of their reason."""
    table = series.table
    failed = [row for row, status in enumerate(table.status) if status == "failed"]
    return [
        {"trial": table.trials[row].id, "error": (table.error[row] or "").partition("\n")[0]}
        for row in failed[:LEADERS]
    ]
