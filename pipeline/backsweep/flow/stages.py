"""The stages of one run, each done once: run plainly, or as tasks of a flow, or first so and then plainly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from backsweep.errors import CorruptObjectError, InvariantError, MissingObjectError
from backsweep.flow.finish import Finished, finish
from backsweep.flow.prepare import Prepared, StageTimes, prepare
from backsweep.flow.repair import forget_damaged
from backsweep.flow.run import Ran, ask_workers, run_blocks, workers_of
from backsweep.flow.workers import Workers
from backsweep.sweep.compute import Progress
from backsweep_api.spec.document import BacktestSweep

__all__ = ["FlowLostError", "Listener", "Request", "Stages", "run_plainly"]

RunStage = Callable[[str, Callable[[], Any]], Any]


def run_plainly(stage: str, work: Callable[[], Any]) -> Any:
    """Run a stage without a flow around it: just run it."""
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

    planned: Callable[[Prepared], None]
    progress: Callable[[Progress], None]
    say: Callable[[str], None]


@dataclass(slots=True)
class _StageTasks(StageTimes):
    """Times each stage, and runs it the way it is told: as a task."""

    run_stage: RunStage = run_plainly

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and note how long it took."""
        return self.run_stage(stage, lambda: StageTimes.time(self, stage, work))


class FlowLostError(Exception):
    """What ran a stage failed around it; the stage's work is not to blame."""


class Stages:
    """One run of a sweep, stage by stage; what a stage made stays here, in memory.

    A context manager: the workers live from the first block to its end.

    Attributes
    ----------
    raised : the engine's own last error; any other that comes out of a flow is the flow's.
    """

    def __init__(self, request: Request, listener: Listener) -> None:
        self.raised: BaseException | None = None
        self._request = request
        self._listener = listener
        self._reader = ThreadPoolExecutor(1, "backsweep-data")
        self._ahead: Future[Prepared] | None = None
        self._prepared: Prepared | None = None
        self._workers: Workers | None = None
        self._told = False
        self._ran: Ran | None = None
        self._finished: Finished | None = None

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the workers, whatever happened."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._end_workers()

    def read_ahead(self) -> None:
        """Begin to resolve data and plan in a thread, while the server starts and Prefect is imported."""
        self._ahead = self._reader.submit(prepare, self._request.document, self._request.folder)

    def complete(self, run_stage: RunStage, observe: Callable[[Progress], None]) -> Finished:
        """Do every stage that is not done, each run by `run_stage`; after damage in the store once more.

        Raises
        ------
        BacksweepError
            As the stages do.
        FlowLostError
            As `run_stage` does.
        """
        try:
            return self._remaining(run_stage, observe)
        except (CorruptObjectError, MissingObjectError) as error:
            damaged = 0 if self._prepared is None else forget_damaged(self._prepared)
            if not damaged:
                raise
            self._end_workers()
            self._prepared = self._ran = None
            self._listener.say(f"{error.reason}: {error}; {damaged} damaged units are computed again")
            return self._remaining(run_stage, observe)

    def _remaining(self, run_stage: RunStage, observe: Callable[[Progress], None]) -> Finished:
        if self._finished is None:
            if self._prepared is None:
                run_stage("resolve data and plan", lambda: self._note(self._prepare))
            if self._ran is None:
                run_stage("solve and simulate", lambda: self._note(lambda: self._compute(observe)))
            self._finished = self._note(lambda: self._finish(run_stage))
        return self._finished

    def _prepare(self) -> Prepared:
        ahead, self._ahead = self._ahead, None
        self._prepared = ahead.result() if ahead else prepare(self._request.document, self._request.folder)
        if not self._told:
            self._told = True
            self._listener.planned(self._prepared)
        return self._prepared

    def _compute(self, observe: Callable[[Progress], None]) -> None:
        """Solve and simulate; tried again, it plans anew: what is stored by then is not computed again."""
        prepared = self._prepared if self.raised is None and self._prepared is not None else self._prepare()
        if self._workers is None:
            self._workers = workers_of(prepared)
        self._ran = run_blocks(prepared, self._workers, observe)

    def _finish(self, run_stage: RunStage) -> Finished:
        """Compare, commit and report; each stage the engine times is run by `run_stage`."""
        if self._ran is None or self._workers is None:
            raise InvariantError("a sweep is finished before it was computed")
        prepared, workers = self._ran.prepared, self._workers

        def run_noted(stage: str, work: Callable[[], Any]) -> Any:
            return run_stage(stage, lambda: self._note(work))

        staged = dataclasses.replace(prepared, times=_StageTasks(prepared.times.seconds, run_noted))
        ran = dataclasses.replace(self._ran, prepared=staged)
        return finish(ran, ask_workers(prepared, workers), self._request.output, self._request.started)

    def _end_workers(self) -> None:
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def _note(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and remember what it raises as the engine's own."""
        try:
            result = work()
        except FlowLostError:
            raise
        except BaseException as error:
            self.raised = error
            raise
        self.raised = None
        return result
