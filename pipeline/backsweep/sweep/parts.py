"""One pass over the stored series of the competing trials: what comparing them needs, as sums and maxima.

Each chunk of series is read once and answers all questions; only its small part is kept. Chunks are fixed by the order
of the trial ids, so the parts, and what is made of them, are the same wherever a chunk is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backsweep.aggregate.deflated_sharpe import CorrelationSums, correlation_sums
from backsweep.aggregate.procedure import Leaders, leaders
from backsweep.aggregate.superior_ability import SPA_DRAWS, SuperiorAbilityPart, bootstrap_counts, superior_ability_part
from backsweep.arrays import Float, Integer
from backsweep.measure.expanding import Series, expanding
from backsweep.sweep.series import SweepSeries

__all__ = ["CHUNK", "Part", "Question", "ask"]

CHUNK = 64  # trials of a part: a product's bytes depend on its shape, so it is fixed
TRADES_MATTER = frozenset({"turnover", "cost_drag"})


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of every chunk.

    Parameters
    ----------
    ranked : test rows that rank.
    yardstick : (ranked,) net returns of what must be beaten.
    mean_block, seed : of the bootstrap.
    stops : (K,) int64, test rows before each window of the procedure; empty where there is none.
    metric, goal : the objective.
    """

    ranked: int
    yardstick: Float
    mean_block: float
    seed: int
    stops: Integer
    metric: str
    goal: str


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a chunk of series comes to."""

    correlation: CorrelationSums
    superior: SuperiorAbilityPart
    leaders: Leaders


def ask(series: SweepSeries, rows: Sequence[int], question: Question) -> list[Part]:
    """Return the parts of `rows`, the competing base trials in the order of their ids."""
    counts = bootstrap_counts(question.ranked, SPA_DRAWS, question.mean_block, question.seed)
    parts = []
    first = 0
    for chunk, nets in series.chunks(rows, CHUNK, question.ranked):
        known = _known(series, chunk, nets, question.metric)
        values = expanding(known, question.stops, question.metric)
        part = Part(
            correlation=correlation_sums(nets),
            superior=superior_ability_part(nets, question.yardstick, counts, question.mean_block),
            leaders=leaders(values, np.arange(first, first + len(chunk)), question.goal),
        )
        parts.append(part)
        first += len(chunk)
    return parts


def _known(series: SweepSeries, chunk: Sequence[int], nets: Float, metric: str) -> Series:
    """Return a chunk as `expanding` takes it; trades are simulated anew only for the metrics that need them."""
    returns = series.plan.datasets[series.data_of(chunk[0])]
    start, length = int(series.windows_of(chunk[0]).test_start[0]), nets.shape[1]
    gross, traded = nets, np.broadcast_to(0.0, nets.shape)
    if metric in TRADES_MATTER:
        paths = [series.book(row).path for row in chunk]
        gross = np.stack([path.gross[:length] for path in paths])
        traded = np.stack([path.traded[:length] for path in paths])
    return Series(nets, gross, traded, returns.periods, returns.risk_free[start : start + length])
