"""The rounds of a search: each is proposed from the complete rounds before it, and computed as any plan is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from backsweep.aggregate.ranking import NEVER_WIN, signed
from backsweep.flow.prepare import Prepared, plan_trials
from backsweep.flow.run import Ran, run_blocks
from backsweep.flow.workers import Workers
from backsweep.search.rounds import Known, next_round
from backsweep.sweep.compute import Computed, Progress
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.table import TrialTable
from backsweep_api.canonical import canonical_json
from backsweep_api.options import profile_options
from backsweep_api.rounds import SearchSpace, Values
from backsweep_api.trials import SCENARIOS, Trial, count_trials, trials_at

__all__ = ["SearchListener", "caution_of_search", "describe_search", "run_rounds"]

CAUTION = (
    "Search: what was tried in later rounds was chosen by what these very rows had shown of the earlier ones, so that "
    "the procedure, DSR, PBO and SPA are all too kind to it. A holdout is not: no round looks at it."
)
NO_SCORE = float("-inf")  # worse than whatever has a value


@dataclass(frozen=True, slots=True)
class SearchListener:
    """Who is told how a search goes: of each round before it is computed, of trials, of what is worth a sentence."""

    planned: Callable[[Prepared], None]
    progress: Callable[[Progress], None]
    say: Callable[[str], None]


def run_rounds(prepared: Prepared, workers: Workers, listener: SearchListener) -> Ran:
    """Compute a search round by round, and return it as one plan over the trials of all rounds.

    A round is complete before the next is proposed, and what is proposed depends on the seed and on the earlier
    rounds' values alone: where, in which order and after how many kills they were computed changes nothing.

    Parameters
    ----------
    prepared : with the plan of the first round.
    workers : kept from round to round.

    Raises
    ------
    TransientError
        As `run_blocks`.
    """
    space = SearchSpace(prepared.document)
    objective = prepared.spec["objective"]
    known: list[Known] = []
    rounds: list[Sequence[Values]] = []
    done: list[Ran] = []
    count = _Count(count_trials(prepared.document), listener.progress)
    for number in range(1, space.rounds + 1):
        points = prepared.times.time("propose", partial(next_round, space, known, number))
        if points:
            listener.say(_opening(number, len(points), space.rounds, known, objective))
            planned = prepared if number == 1 else _planned(prepared, (points,))
            listener.planned(planned)
            done.append(run_blocks(planned, workers, count.observe))
            count.end_round(len(done[-1].table))
            rounds.append(points)
            known.extend(_scores(points, done[-1].table, objective))
        if len(points) < space.count:
            listener.say(f"every point of the axes is tried: the search ends, in round {len(rounds)} of {space.rounds}")
            break
    count.end()
    return _joined(prepared, rounds, done)


def describe_search(ran: Ran) -> dict[str, Any]:
    """Return how a search went: of each round its points and the best value by its end, whether it tried all there is.

    Empty for what is no search.
    """
    if not ran.prepared.rounds:
        return {}
    space = SearchSpace(ran.prepared.document)
    objective = ran.prepared.spec["objective"]
    scores = {canonical_json(values): score for values, score in _scores_of(ran.table, objective)}
    best, told = NO_SCORE, []
    for points in ran.prepared.rounds:
        best = max([best, *(scores.get(canonical_json(values), NO_SCORE) for values in points)])
        told.append({"points": len(points), "best": _value(best, objective)})
    tried = sum(len(points) for points in ran.prepared.rounds)
    return {"search": {"rounds": told, "roundsAsked": space.rounds, "exhausted": tried < space.count * space.rounds}}


def caution_of_search(prepared: Prepared) -> list[str]:
    """Return the sentence of the verdict that a search of more than one round needs; none for any other sweep."""
    return [CAUTION] if len(prepared.rounds) > 1 else []


class _Count:
    """Progress over all rounds: of the most trials there can be until it is known how many there are."""

    def __init__(self, most: int, progress: Callable[[Progress], None]) -> None:
        self._most = most
        self._progress = progress
        self._before = Progress(0, most, 0, 0)
        self._last = self._before

    def observe(self, progress: Progress) -> None:
        before = self._before
        done, cached = before.done + progress.done, before.cached + progress.cached
        self._last = Progress(done, self._most, cached, before.failed + progress.failed)
        self._progress(self._last)

    def end_round(self, trials: int) -> None:
        self._before = replace(self._last, done=self._before.done + trials)

    def end(self) -> None:
        """Say that what is done is all there is, where a search ended early."""
        if self._before.done < self._most:
            self._progress(replace(self._before, total=self._before.done))


def _planned(prepared: Prepared, rounds: tuple[Sequence[Values], ...]) -> Prepared:
    """Return the sweep with the plan of these rounds' points."""
    document, strategy = prepared.document, prepared.strategy
    points = [values for each in rounds for values in each]
    plan = prepared.times.time(
        "plan",
        lambda: plan_trials(list(trials_at(document, points)), document, strategy, prepared.datasets, prepared.store),
    )
    return replace(prepared, plan=plan, rounds=rounds)


def _joined(prepared: Prepared, rounds: Sequence[Sequence[Values]], done: Sequence[Ran]) -> Ran:
    """Return the rounds as one: what follows makes no difference between a search and any other sweep."""
    whole = _planned(prepared, tuple(rounds))
    table = TrialTable.joined([ran.table for ran in done])
    return replace(
        done[-1],
        prepared=whole,
        series=SweepSeries(whole.plan, prepared.store, table),
        computed=Computed.joined([ran.computed for ran in done]),
        wall_seconds=sum(ran.wall_seconds for ran in done),
    )


def _scores(points: Sequence[Values], table: TrialTable, objective: Mapping[str, Any]) -> list[Known]:
    """Return the points with their scores, in their order; the worst for one that has no base trial."""
    scores = {canonical_json(values): score for values, score in _scores_of(table, objective)}
    return [(values, scores.get(canonical_json(values), NO_SCORE)) for values in points]


def _scores_of(table: TrialTable, objective: Mapping[str, Any]) -> list[Known]:
    """Return the choices of each base trial with the score of its objective: the worst where it cannot lead."""
    values = signed(table.metrics[objective["metric"]], objective["goal"])
    found: list[Known] = []
    for row, trial in enumerate(table.trials):
        if trial.base:
            able = table.status[row] == "ok" and np.isfinite(values[row]) and _competes(trial)
            choices = {axis: value for axis, value in trial.values.items() if axis not in SCENARIOS}
            found.append((choices, float(values[row]) if able else NO_SCORE))
    return found


def _competes(trial: Trial) -> bool:
    return profile_options(trial.values)[0] not in NEVER_WIN


def _opening(number: int, points: int, rounds: int, known: Sequence[Known], objective: Mapping[str, Any]) -> str:
    best = _value(max((score for _, score in known), default=NO_SCORE), objective)
    found = "" if best is None else f"; best {objective['metric']} so far {best:.4g}"
    return f"round {number} of {rounds}: {points:,} points{found}"


def _value(score: float, objective: Mapping[str, Any]) -> float | None:
    """Return the metric that has a score; None where there was none."""
    if score == NO_SCORE:
        return None
    return -score if objective["goal"] == "minimize" else score
