"""The Prefect flow `backsweep-sweep`: the engine's stages as tasks, and what a person sees of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backsweep.errors import TransientError
from backsweep.flow.stages import FlowLostError, Listener, Request, Stages, run_plainly
from backsweep.orchestration.artifacts import finished_artifacts, progress_artifact, progress_sentence
from backsweep.orchestration.client import connected, hush
from backsweep.orchestration.keeper import Keeper
from backsweep.orchestration.publisher import Publisher
from backsweep.orchestration.server import Endpoint, find
from backsweep_api.identity import spec_digest

if TYPE_CHECKING:
    from backsweep.flow import Finished
    from backsweep.sweep.compute import Progress
    from backsweep_api.spec.document import BacktestSweep

__all__ = ["FLOW", "run_with_prefect"]

FLOW = "backsweep-sweep"
STAGE_RETRIES = 1
STAGE_RETRY_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 5.0


def run_with_prefect(request: Request, listener: Listener) -> Finished:
    """Run a sweep as a Prefect flow; the result is the engine's own, byte for byte.

    Prefect records; it decides nothing. When its server goes away and stays away, the listener is told so in a
    sentence and the sweep goes on without it: what is computed is never lost to a server.

    Raises
    ------
    BacksweepError
        As the engine raises without Prefect, and when the server cannot be had at the start.
    """
    with Stages(request, listener) as stages:
        stages.read_ahead()
        return _run(request, stages, listener)


def _run(request: Request, stages: Stages, listener: Listener) -> Finished:
    """Run the stages as a flow, and without one from where Prefect was lost."""
    endpoint = find(listener.say)
    with Keeper(endpoint) as keeper, connected(endpoint):
        flow_run = _FlowRun(request.document, stages, listener, keeper, endpoint)
        try:
            return flow_run.run(request.output)
        except Exception as error:  # whatever is not the engine's own is Prefect's, and Prefect only records
            if error is stages.raised:
                raise
            listener.say(_lost(error))
            return stages.complete(run_plainly, listener.progress)


def _lost(error: Exception) -> str:
    first = (str(error).splitlines() or ["no message"])[0]
    return (
        f"Prefect was lost ({type(error).__name__}: {first}); the sweep goes on without it, and the dashboard may "
        f"show it as running or crashed"
    )


class _FlowRun:
    """One flow run: its tasks, its log, its artifacts."""

    def __init__(
        self, document: BacktestSweep, stages: Stages, listener: Listener, keeper: Keeper, endpoint: Endpoint
    ) -> None:
        self._document = document
        self._stages = stages
        self._listener = listener
        self._keeper = keeper
        self._endpoint = endpoint
        self._after: Any = None

    def run(self, output: Path) -> Finished:
        """Run the flow in this thread."""
        from prefect import flow

        digest = spec_digest(self._document)
        name = self._document.metadata.name
        result: list[Finished] = []

        def sweep(name: str, spec_digest: str, output: str, document: dict[str, Any]) -> str:
            """Run a tournament of walk-forward backtests."""
            result.append(self._body())
            return result[0].result_digest

        declared = flow(
            name=FLOW,
            flow_run_name=f"{name}-{digest[:12]}",
            validate_parameters=False,
            persist_result=False,
        )(sweep)
        declared(name, digest, str(output.absolute()), self._document.normalised())
        return result[0]

    def _body(self) -> Finished:
        from prefect.client.orchestration import get_client
        from prefect.runtime import flow_run

        from backsweep.orchestration.orphans import alive, bury

        run = UUID(str(flow_run.get_id()))
        with alive(run, self._endpoint.api_url), Publisher(run, lambda: self._keeper.is_lost) as publisher:
            with get_client(sync_client=True) as client:
                for buried in bury(client, self._endpoint.api_url):
                    publisher.log(f"flow run {buried} was killed and is shown as crashed now")
            observe = _Observer(self._document.metadata.name, self._listener, publisher)
            try:
                finished = self._stages.complete(self._as_task, observe)
            except Exception as error:
                publisher.log(str(error), logging.ERROR)
                raise
            for sentence in finished.summary["verdict"]:
                publisher.log(sentence)
            for stage, seconds in finished.prepared.times.seconds.items():
                publisher.log(f"{stage}: {seconds:.3f} s")
            publisher.log(f"result {finished.result_digest} in {finished.output.absolute()}")
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

    def _as_task(self, name: str, work: Callable[[], Any]) -> Any:
        """Run a stage as a task that follows the one before."""
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        result: list[Any] = []

        def stage(after: Any) -> dict[str, str]:
            result.append(work())
            self._wait()
            return {"stage": name}

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


class _Observer:
    """Tells the terminal at once, the log every few seconds, the dashboard as often as the publisher likes."""

    def __init__(self, name: str, listener: Listener, publisher: Publisher) -> None:
        self._name = name
        self._listener = listener
        self._publisher = publisher
        self._started = time.monotonic()
        self._said = self._started

    def __call__(self, progress: Progress) -> None:
        self._listener.progress(progress)
        now = time.monotonic()
        self._publisher.progress(progress_artifact(self._name, progress, now - self._started))
        if progress.done == progress.total or now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            self._publisher.log(progress_sentence(progress, now - self._started))


def _is_transient(task: Any, run: Any, state: Any) -> bool:
    """Whether trying a stage again may help."""
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # any other outcome of the stage: it is final
        return False
    return False
