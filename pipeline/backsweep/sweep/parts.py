"""The second map of a sweep: what comparing its trials needs of their stored series, as sums and maxima.

Each chunk of series is read once, by whoever is given it, and answers all questions; only its small part comes back.
Chunks are fixed by the order of the trial ids, so the parts, and what is made of them, are the same wherever a chunk is
read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.aggregate.deflated_sharpe import CorrelationSums, correlation_sums
from backsweep.aggregate.procedure import Leaders, leaders
from backsweep.aggregate.superior_ability import SPA_DRAWS, SuperiorAbilityPart, bootstrap_counts, superior_ability_part
from backsweep.arrays import Float, Integer, Returns
from backsweep.measure.expanding import Series, expanding
from backsweep.ports import Store
from backsweep.sweep.series import Holding, SweepSeries, read_book
from backsweep.sweep.work import open_worker

__all__ = ["CHUNK", "Ask", "Asked", "Chunk", "Part", "Question", "answer", "ask_here", "chunks_of"]

CHUNK = 256  # trials of a part: a product's bytes depend on its shape, so it is fixed
TRADES_MATTER = frozenset({"turnover", "cost_drag"})


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of every chunk.

    Parameters
    ----------
    ranked : test rows that rank.
    start : row of the data set that is the first test row.
    yardstick : (ranked,) net returns of what must be beaten.
    mean_block, seed : of the bootstrap.
    stops : (K,) int64, test rows before each window of the procedure; empty where there is none.
    metric, goal : the objective.
    """

    ranked: int
    start: int
    yardstick: Float
    mean_block: float
    seed: int
    stops: Integer
    metric: str
    goal: str


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Up to `CHUNK` competing base trials.

    Parameters
    ----------
    first : number of the first one among the competing, in the order of their ids.
    nets : digests of their stored net returns.
    holdings : one a trial where the objective asks for their trades, otherwise empty.
    """

    first: int
    nets: tuple[str, ...]
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a chunk of series comes to."""

    correlation: CorrelationSums
    superior: SuperiorAbilityPart
    leaders: Leaders


Ask = Callable[[Sequence[Chunk], Question], list[Part]]  # the parts in the order of the chunks


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A worker's task of the second map, callable with a chunk; see `Work`."""

    store_opener: Callable[..., Store]
    store_arguments: tuple[Any, ...]
    dataset: str
    question: Question

    def __call__(self, chunk: Chunk) -> Part:
        """Return the part of a chunk."""
        store, dataset = open_worker(self.store_opener, self.store_arguments, self.dataset)
        return answer(chunk, self.question, store, dataset.returns)


def chunks_of(series: SweepSeries, rows: Sequence[int], question: Question) -> Iterator[Chunk]:
    """Yield the chunks of `rows`, the competing base trials in the order of their ids."""
    for first in range(0, len(rows), CHUNK):
        chunk = rows[first : first + CHUNK]
        held = tuple(series.holding(row) for row in chunk) if question.metric in TRADES_MATTER else ()
        yield Chunk(first, tuple(series.stored_net(row) for row in chunk), held)


def ask_here(store: Store, returns: Returns) -> Ask:
    """Return an `Ask` that reads the chunks in this process, one after the other."""

    def ask(chunks: Iterable[Chunk], question: Question) -> list[Part]:
        return [answer(chunk, question, store, returns) for chunk in chunks]

    return ask


def answer(chunk: Chunk, question: Question, store: Store, returns: Returns) -> Part:
    """Return the part of a chunk whose trials ran on `returns`."""
    nets = np.stack([array[: question.ranked] for array in store.open_arrays(chunk.nets)])
    gross, traded = nets, np.broadcast_to(0.0, nets.shape)
    if chunk.holdings:
        paths = [read_book(holding, returns, store).path for holding in chunk.holdings]
        gross = np.stack([path.gross[: question.ranked] for path in paths])
        traded = np.stack([path.traded[: question.ranked] for path in paths])
    risk_free = returns.risk_free[question.start : question.start + question.ranked]
    values = expanding(Series(nets, gross, traded, returns.periods, risk_free), question.stops, question.metric)
    counts = _counts(question.ranked, question.mean_block, question.seed)
    return Part(
        correlation=correlation_sums(nets),
        superior=superior_ability_part(nets, question.yardstick, counts, question.mean_block),
        leaders=leaders(values, np.arange(chunk.first, chunk.first + len(nets)), question.goal),
    )


@functools.lru_cache(maxsize=1)
def _counts(ranked: int, mean_block: float, seed: int) -> Any:
    """Return the draws of the bootstrap, which all chunks share."""
    return bootstrap_counts(ranked, SPA_DRAWS, mean_block, seed)
