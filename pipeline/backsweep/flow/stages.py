"""The stages of one run, each done once: what Prefect's tasks call, and what goes on without Prefect if it is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backsweep import flow
from backsweep.errors import CorruptObjectError, InvariantError, MissingObjectError
from backsweep.flow.prepare import StageTimes
from backsweep.sweep.compute import Computed, Progress
from backsweep.sweep.series import SweepSeries
from backsweep_api.spec.document import BacktestSweep

__all__ = ["Listener", "PrefectLostError", "Request", "Stages", "run_plainly"]

RunStage = Callable[[str, Callable[[], Any]], Any]


def run_plainly(stage: str, work: Callable[[], Any]) -> Any:
    """Run a stage as the engine does without Prefect: just run it."""
    return work()


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run: the document, where its relative paths start, the run folder, the time it began."""

    document: BacktestSweep
    folder: Path
    output: Path
    started: str


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how the run goes: of the plan, of progress, and of what a person should know in a sentence."""

    planned: Callable[[flow.Prepared], None]
    progress: Callable[[Progress], None]
    say: Callable[[str], None]


@dataclass(slots=True)
class _StageTasks(StageTimes):
    """Times each stage, and runs it the way it is told: as a task."""

    run_stage: RunStage = run_plainly

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and note how long it took."""
        return self.run_stage(stage, lambda: StageTimes.time(self, stage, work))


class PrefectLostError(Exception):
    """Prefect's own machinery failed around a stage; the stage's work is not to blame."""


class Stages:
    """One run of a sweep, stage by stage; what a stage made stays here, in memory.

    Attributes
    ----------
    raised : the engine's own last error; any other that comes out of a flow is Prefect's.
    """

    def __init__(self, request: Request, listener: Listener) -> None:
        self.raised: BaseException | None = None
        self._request = request
        self._listener = listener
        self._reader = ThreadPoolExecutor(1, "backsweep-data")
        self._ahead: Future[flow.Prepared] | None = None
        self._prepared: flow.Prepared | None = None
        self._told = False
        self._made: tuple[SweepSeries, Computed] | None = None
        self._finished: flow.Finished | None = None

    def read_ahead(self) -> None:
        """Begin to resolve data and plan in a thread, while the server starts and Prefect is imported."""
        self._ahead = self._reader.submit(flow.prepare, self._request.document, self._request.folder)

    def complete(self, run_stage: RunStage, observe: Callable[[Progress], None]) -> flow.Finished:
        """Do every stage that is not done, each run by `run_stage`; after damage in the store once more.

        Raises
        ------
        BacksweepError
            As the stages do.
        PrefectLostError
            As `run_stage` does.
        """
        try:
            return self._remaining(run_stage, observe)
        except (CorruptObjectError, MissingObjectError) as error:
            damaged = 0 if self._prepared is None else flow.forget_damaged(self._prepared)
            if not damaged:
                raise
            self._prepared = self._made = None
            self._listener.say(f"{error.reason}: {error}; {damaged} damaged units are computed again")
            return self._remaining(run_stage, observe)

    def _remaining(self, run_stage: RunStage, observe: Callable[[Progress], None]) -> flow.Finished:
        if self._finished is None:
            if self._prepared is None:
                run_stage("resolve data and plan", lambda: self._note(self._prepare))
            if self._made is None:
                run_stage("solve and simulate", lambda: self._note(lambda: self._compute(observe)))
            self._finished = self._note(lambda: self._finish(run_stage))
        return self._finished

    def _prepare(self) -> flow.Prepared:
        ahead, self._ahead = self._ahead, None
        self._prepared = ahead.result() if ahead else flow.prepare(self._request.document, self._request.folder)
        if not self._told:
            self._told = True
            self._listener.planned(self._prepared)
        return self._prepared

    def _compute(self, observe: Callable[[Progress], None]) -> None:
        """Solve and simulate; tried again, it plans anew: what is stored by then is not computed again."""
        prepared = self._prepared if self.raised is None and self._prepared is not None else self._prepare()
        series, _, computed = flow.run_blocks(prepared, observe)
        self._made = series, computed

    def _finish(self, run_stage: RunStage) -> flow.Finished:
        """Compare, commit and report; each stage the engine times is run by `run_stage`."""
        if self._prepared is None or self._made is None:
            raise InvariantError("a sweep is finished before it was computed")
        series, computed = self._made

        def run_noted(stage: str, work: Callable[[], Any]) -> Any:
            return run_stage(stage, lambda: self._note(work))

        prepared = dataclasses.replace(self._prepared, times=_StageTasks(self._prepared.times.seconds, run_noted))
        return flow.finish(prepared, series, computed, self._request.output, self._request.started)

    def _note(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and remember what it raises as the engine's own."""
        try:
            result = work()
        except PrefectLostError:
            raise
        except BaseException as error:
            self.raised = error
            raise
        self.raised = None
        return result
