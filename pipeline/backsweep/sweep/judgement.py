"""The verdict of a sweep in plain sentences, from what its trials say together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backsweep.aggregate.deflated_sharpe import Deflation, deflate
from backsweep.aggregate.verdict import DataNotes, Evidence, Holdout, ProcedureResult, Winner, verdict
from backsweep.measure.probabilistic_sharpe import probabilistic_sharpe
from backsweep.sweep.comparison import Comparison, Rules, row_sharpes
from backsweep.sweep.series import SweepSeries

__all__ = ["Judgement", "judge"]

YARDSTICK = "equal weight of the eligible universe"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether to believe the winner.

    Parameters
    ----------
    sentences : for people.
    dsr_ever : the winner's deflated Sharpe ratio against all trials ever run on the data's lineage in this store;
        NaN without a winner. It is no part of the result, because it grows with what else is run.
    """

    sentences: list[str]
    trials_ever: int
    dsr_ever: float


def judge(
    series: SweepSeries, comparison: Comparison, rules: Rules, ever: int, purge: int, origin: Mapping[str, Any]
) -> Judgement:
    """Return the verdict.

    Parameters
    ----------
    ever : distinct trials ever run on the base data's lineage in this store.
    purge : rows between training and test.
    origin : what is known of the base data set (`survivorship`, `dividends`).
    """
    winner = comparison.ranking.winner
    own = comparison.deflation
    ever_deflation, dsr_ever = _ever(series, winner, own, ever)
    ranked = series.plan.evaluations[0].ranked_rows
    evidence = Evidence(
        winner=_winner(series, comparison, rules, ranked, dsr_ever),
        own=own,
        ever=ever_deflation,
        overfitting=comparison.overfitting,
        superior=comparison.superior,
        procedure=_procedure(comparison),
        holdout=_holdout(comparison, len(comparison.yardstick) - ranked),
        notes=DataNotes(bool(origin.get("survivorship", False)), origin.get("dividends"), purge),
        yardstick=YARDSTICK,
        periods=float(series.plan.datasets[0].periods),
    )
    return Judgement(verdict(evidence), ever, dsr_ever)


def _ever(series: SweepSeries, winner: int | None, own: Deflation | None, ever: int) -> tuple[Deflation | None, float]:
    """Deflate by all trials ever run: their number is known, their spread is taken to be this sweep's."""
    if winner is None or own is None:
        return None, math.nan
    table = series.table
    competing = [row for row, trial in enumerate(table.trials) if trial.base and table.returns[row]]
    sharpes = row_sharpes(series)
    deflation = deflate(sharpes[competing], own.correlation, max(ever, own.trials))
    ranked = series.plan.evaluations[0].ranked_rows
    moments = table.metrics["skew"][winner : winner + 1], table.metrics["kurtosis"][winner : winner + 1]
    found = probabilistic_sharpe(sharpes[winner : winner + 1], ranked, *moments, deflation.benchmark)
    return deflation, float(found[0])


def _winner(series: SweepSeries, comparison: Comparison, rules: Rules, ranked: int, dsr_ever: float) -> Winner | None:
    row = comparison.ranking.winner
    if row is None:
        return None
    metrics = series.table.metrics
    return Winner(
        trial=series.table.trials[row].id,
        metric=rules.metric,
        value=float(metrics[rules.metric][row]),
        sharpe=float(metrics["sharpe"][row]),
        psr=float(metrics["psr"][row]),
        dsr=float(metrics["dsr"][row]),
        dsr_ever=dsr_ever,
        rows=ranked,
        competing=len(comparison.ranking.order),
    )


def _procedure(comparison: Comparison) -> ProcedureResult | None:
    procedure = comparison.procedure
    if procedure is None:
        return None
    return ProcedureResult(
        sharpe=comparison.procedure_metrics["sharpe"],
        cagr=comparison.procedure_metrics["cagr"],
        rows=len(procedure.net),
        switches=procedure.switches,
        yardstick=YARDSTICK,
        yardstick_sharpe=comparison.procedure_yardstick["sharpe"],
    )


def _holdout(comparison: Comparison, rows: int) -> Holdout | None:
    if not comparison.holdout or not comparison.holdout_yardstick:
        return None
    return Holdout(rows, comparison.holdout["sharpe"], comparison.holdout_yardstick["sharpe"])
