"""The Prefect flow `backsweep-sweep`: the engine's stages as tasks, and what a person sees of them."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from backsweep.errors import TransientError
from backsweep.flow.stages import FlowLostError, Listener, Request, Stages
from backsweep.orchestration.artifacts import Artifact, finished_artifacts, progress_artifact, progress_sentence
from backsweep.orchestration.client import FLOW_NAME, hush
from backsweep.orchestration.flow_log import FlowLog
from backsweep.orchestration.keeper import Keeper
from backsweep.orchestration.publisher import Publisher
from backsweep.stores.logs import FLOW, WORKERS, log_name
from backsweep_api.identity import spec_digest

if TYPE_CHECKING:
    from backsweep.flow import Finished
    from backsweep.sweep.compute import Progress

__all__ = ["Reporter", "SweepRun", "in_a_line"]

STAGE_RETRIES = 1
STAGE_RETRY_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 5.0


class Reporter(Protocol):
    """Who else is told how a run goes, in an artifact of its own that is kept up to date."""

    def observe(self, progress: Progress) -> Artifact:
        """Return the artifact after progress."""

    def end_stage(self, stage: str) -> Artifact:
        """Return the artifact after a stage."""


class SweepRun:
    """One flow run: its tasks, its log, its artifacts.

    Parameters
    ----------
    reporter : who else is told; None on a laptop.
    """

    def __init__(
        self, request: Request, stages: Stages, listener: Listener, keeper: Keeper, reporter: Reporter | None = None
    ) -> None:
        self._request = request
        self._stages = stages
        self._listener = listener
        self._keeper = keeper
        self._reporter = reporter
        self._after: Any = None

    def execute(self) -> Finished:
        """Run a flow of its own in this thread."""
        from prefect.flows import Flow
        from prefect.states import Completed

        document = self._request.document
        digest = spec_digest(document)
        name = document.metadata.name
        result: list[Finished] = []

        def sweep(name: str, spec_digest: str, output: str, document: dict[str, Any]) -> Any:
            """Run a tournament of walk-forward backtests."""
            result.append(self.work())
            return Completed(message=in_a_line(result[0]), data=result[0].result_digest)

        class SweepFlow(Flow[..., Any]):
            """A flow whose parameters are JSON already: Prefect would import FastAPI to make them so."""

            def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
                return parameters

        declared = SweepFlow(
            sweep,
            name=FLOW_NAME,
            flow_run_name=f"{name}-{digest[:12]}",
            validate_parameters=False,
            persist_result=False,
        )
        declared(name, digest, str(self._request.output.absolute()), document.normalised())
        return result[0]

    def work(self) -> Finished:
        """Do the work of the flow run that this thread is in: a flow's body.

        Raises
        ------
        BacksweepError
            As the stages do.
        FlowLostError
            If Prefect failed around them; what they made is in `stages`.
        """
        from prefect.client.orchestration import get_client
        from prefect.runtime import flow_run

        from backsweep.orchestration.orphans import alive, bury

        run = UUID(str(flow_run.get_id()))
        endpoint = self._keeper.endpoint
        self._listener.say(f"dashboard  {endpoint.dashboard}/runs/flow-run/{run}")
        with alive(run, endpoint.api_url), Publisher(run, lambda: self._keeper.is_lost) as publisher:
            names = {kind: log_name(self._request.started, run.hex[-8:], kind) for kind in (FLOW, WORKERS)}
            log = FlowLog(publisher, names, lambda: self._stages.prepared)
            with get_client(sync_client=True) as client:
                for buried in bury(client, endpoint.api_url):
                    log.say(f"flow run {buried} was killed and is shown as crashed now")
            try:
                log.say(_opening(self._request))
                name = self._request.document.metadata.name
                observe = _Observer(name, self._listener, publisher, log, self._reporter)
                with log.hearing_workers():
                    finished = self._stages.complete(partial(self._as_told_task, log, publisher), observe)
                _say_result(log, finished)
            except BaseException as error:
                log.say(str(error) or type(error).__name__, logging.ERROR)
                raise
            finally:
                log.save()
            if log.worker_lines:
                self._listener.say(f"workers printed {log.worker_lines:,} lines (backsweep logs --workers)")
            for artifact in finished_artifacts(finished):
                publisher.add(artifact)
        self._wait()
        return finished

    def _wait(self) -> None:
        """Wait for a server that is away before the end of a stage is told.

        Prefect tries for ten seconds, less than a server takes to start, and drops what it cannot tell: a stage whose
        end is not told looks as if it ran for ever.
        """
        if not self._keeper.wait():
            hush()

    def _as_told_task(self, log: FlowLog, publisher: Publisher, name: str, work: Callable[[], Any]) -> Any:
        """Run a stage as a task, and tell the reporter of its end."""
        result = self._as_task(log, name, work)
        if self._reporter is not None:
            publisher.progress(self._reporter.end_stage(name))
        return result

    def _as_task(self, log: FlowLog, name: str, work: Callable[[], Any]) -> Any:
        """Run a stage as a task that follows the one before; one the store had all of ends as `Cached`."""
        from prefect.cache_policies import NO_CACHE
        from prefect.states import Completed
        from prefect.tasks import task

        result: list[Any] = []

        def stage(after: Any) -> Any:
            start = time.perf_counter()
            result.append(work())
            served = self._stages.served.get(name)
            log.say(self._told(name, time.perf_counter() - start) + (f"; {served}" if served else ""))
            self._wait()
            told = {"stage": name}
            return told if served is None else Completed(name="Cached", message=served, data=told)

        declared = task(
            name=name,
            task_run_name=name,
            retries=STAGE_RETRIES,
            retry_delay_seconds=STAGE_RETRY_SECONDS,
            retry_condition_fn=_is_transient,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(stage)
        try:
            self._after = declared(self._after)
        except Exception as error:
            if error is self._stages.raised:
                raise
            raise FlowLostError(f"{name}: {error}") from error
        return result[-1]

    def _told(self, stage: str, seconds: float) -> str:
        """Return how long a stage took; of data and plan, begun before Prefect is there, the engine knows."""
        prepared = self._stages.prepared
        if prepared is None:
            return f"{stage}: done"
        if stage == "plan":
            return ", ".join(f"{each}: {seconds:.3f} s" for each, seconds in prepared.times.seconds.items())
        return f"{stage}: {seconds:.3f} s"


class _Observer:
    """Tells the terminal at once, the log every few seconds, the dashboard as often as the publisher likes."""

    def __init__(
        self, name: str, listener: Listener, publisher: Publisher, log: FlowLog, reporter: Reporter | None
    ) -> None:
        self._name = name
        self._listener = listener
        self._publisher = publisher
        self._log = log
        self._reporter = reporter
        self._started = time.monotonic()
        self._said = self._started

    def __call__(self, progress: Progress) -> None:
        self._listener.progress(progress)
        now = time.monotonic()
        self._publisher.progress(progress_artifact(self._name, progress, now - self._started))
        if self._reporter is not None:
            self._publisher.progress(self._reporter.observe(progress))
        if progress.done == progress.total or now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            self._log.say(progress_sentence(progress, now - self._started))
            self._log.save_sometimes()


def _opening(request: Request) -> str:
    versions = f"Backsweep {metadata.version('backsweep')}, Python {platform.python_version()}"
    cores = f"{os.cpu_count()} cores, {platform.machine()}"
    return f"{request.document.metadata.name}, document {spec_digest(request.document)}; {versions}; {cores}"


def in_a_line(finished: Finished) -> str:
    """Return what the dashboard's list of runs shows beside a finished one."""
    summary = finished.summary
    first = summary["leaders"][0] if summary["leaders"] else None
    leader = "no trial" if first is None else f"trial {first['trial']}"
    return (
        f"{leader} leads {summary['trials']['total']:,} by {summary['objective']}; result {finished.result_digest[:16]}"
    )


def _say_result(log: FlowLog, finished: Finished) -> None:
    for sentence in finished.summary["verdict"]:
        log.say(sentence)
    if finished.summary["withoutSpeedup"]:
        log.say(finished.summary["withoutSpeedup"])
    log.say(f"result {finished.result_digest} in {finished.place}")


def _is_transient(task: Any, run: Any, state: Any) -> bool:
    """Whether trying a stage again may help."""
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # any other outcome of the stage: it is final
        return False
    return False
