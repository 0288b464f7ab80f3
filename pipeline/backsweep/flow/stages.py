"""The stages of one run, each done once: run plainly, or as tasks of a flow, or first so and then plainly."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from backsweep.errors import CorruptObjectError, InvariantError, MissingObjectError
from backsweep.flow.ahead import Ahead
from backsweep.flow.baseline import Baseline
from backsweep.flow.budget import allowance_of
from backsweep.flow.finish import Finished, finish
from backsweep.flow.prepare import COMPUTING, Prepared, StageTimes, prepare
from backsweep.flow.repair import forget_damaged
from backsweep.flow.run import Ran, run_blocks, workers_of
from backsweep.flow.search import SearchListener, run_rounds
from backsweep.flow.site import LAPTOP, Site
from backsweep.flow.steps.attempt import StepDone
from backsweep.flow.workers import Workers
from backsweep.stores.manifest import Committed
from backsweep.sweep.compute import Progress
from backsweep_api.spec.document import BacktestSweep

__all__ = ["FlowLostError", "Listener", "Request", "Stages", "run_plainly"]

RunStage = Callable[[str, Callable[[], Any]], Any]


def run_plainly(stage: str, work: Callable[[], Any]) -> Any:
    """Run a stage without a flow around it: just run it."""
    return work()


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run: the document, where its relative paths start, the run folder, the time it began.

    Parameters
    ----------
    steps : those of a pipeline that made the data; the manifest names them.
    baseline : how the serial time of what is computed is measured.
    site : where the run is at home.
    """

    document: BacktestSweep
    folder: Path
    output: Path
    started: str
    steps: tuple[StepDone, ...] = ()
    baseline: Baseline = "sample"
    site: Site = LAPTOP


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
    served : stage -> sentence, of the stages that had nothing to do because the store had what they make.
    """

    def __init__(self, request: Request, listener: Listener) -> None:
        self.raised: BaseException | None = None
        self.served: dict[str, str] = {}
        self._request = request
        self._listener = listener
        self._ahead: Ahead | None = None
        self._prepared: Prepared | None = None
        self._reached: Prepared | None = None
        self._workers: Workers | None = None
        self._told = False
        self._ran: Ran | None = None
        self._finished: Finished | None = None

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the workers, whatever happened."""
        self._end_workers()

    @property
    def prepared(self) -> Prepared | None:
        """The sweep, as soon as it is planned."""
        return self._prepared

    def read_ahead(self) -> None:
        """Begin to resolve data and plan in a thread, while the server starts and Prefect is imported."""
        self._ahead = Ahead(self._request.document, self._request.folder, self._request.site)

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
            reached = self._reached or self._prepared if self._ran is None else self._ran.prepared
            damaged = 0 if reached is None else forget_damaged(reached)
            if not damaged:
                raise
            self._end_workers()
            self._prepared = self._reached = self._ran = None
            self._listener.say(f"{error.reason}: {error}; {damaged} damaged units are computed again")
            return self._remaining(run_stage, observe)

    def _remaining(self, run_stage: RunStage, observe: Callable[[Progress], None]) -> Finished:
        if self._finished is None:
            if self._prepared is None:
                run_stage("resolve data", lambda: self._note(self._resolve))
                run_stage("plan", lambda: self._note(self._plan))
            if self._ran is None:
                run_stage(COMPUTING, lambda: self._note(lambda: self._compute(observe)))
            self._finished = self._note(lambda: self._finish(run_stage))
        return self._finished

    def _resolve(self) -> None:
        """Resolve and store the data; tried again, they are read again."""
        ahead = self._ahead or Ahead(self._request.document, self._request.folder, self._request.site)
        self._ahead = None  # if it fails, it is not waited for again
        ahead.wait_for_data()
        self._ahead = ahead

    def _plan(self) -> None:
        """Plan the sweep, and tell of it once."""
        ahead, self._ahead = self._ahead, None
        request = self._request
        found = prepare(request.document, request.folder, None, request.site) if ahead is None else ahead.prepared()
        self._prepared = dataclasses.replace(found, steps=request.steps)
        if not self._told:
            self._told = True
            self._listener.planned(self._prepared)

    def _compute(self, observe: Callable[[Progress], None]) -> None:
        """Solve and simulate; tried again, it plans anew: what is stored by then is not computed again."""
        if self.raised is not None:
            self._plan()
        prepared = self._prepared
        if prepared is None:
            raise InvariantError("a sweep is computed before it is planned")
        if self._workers is None:
            self._workers = workers_of(prepared)
        if prepared.rounds:
            listener = SearchListener(self._note_round, observe, self._listener.say)
            self._ran = run_rounds(prepared, self._workers, listener)
        else:
            self._ran = run_blocks(prepared, self._workers, observe)
        if not self._ran.computed.blocks:
            self.served[COMPUTING] = f"the store had all {len(self._ran.table):,} trials"

    def _note_round(self, planned: Prepared) -> None:
        """Remember the round of a search that is computed: damage that is met is looked for in its plan."""
        self._reached = planned

    def _finish(self, run_stage: RunStage) -> Finished:
        """Compare, commit and report; each stage the engine times is run by `run_stage`."""
        if self._ran is None:
            raise InvariantError("a sweep is finished before it was computed")
        prepared, place = self._ran.prepared, self._ran.place
        committed = False

        def run_noted(stage: str, work: Callable[[], Any]) -> Any:
            nonlocal committed
            if not committed and (allowance := allowance_of(prepared, place)) is not None:
                allowance.check()
            committed = committed or stage == "commit"
            return run_stage(stage, lambda: self._note_commit(stage, self._note(work)))

        staged = dataclasses.replace(prepared, times=_StageTasks(prepared.times.seconds, run_noted))
        ran = dataclasses.replace(self._ran, prepared=staged)
        return finish(ran, self._request.output, self._request.started, self._request.baseline)

    def _note_commit(self, stage: str, made: Any) -> Any:
        """Return what a stage made; a commit of what stands there already is served by the store."""
        if isinstance(made, Committed) and not made.written:
            self.served[stage] = "the store had a manifest with this result"
        return made

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
