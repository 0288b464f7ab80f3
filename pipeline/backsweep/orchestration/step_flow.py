"""The Prefect flow `backsweep-pipeline`: its steps as tasks, the sweep at its end as a flow within it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backsweep.errors import StepError
from backsweep.flow.stages import FlowLostError
from backsweep.flow.steps.running import StepListener, try_plainly
from backsweep.orchestration.artifacts import Artifact, key_of
from backsweep.orchestration.client import connected, hush
from backsweep.orchestration.keeper import Keeper
from backsweep.orchestration.publisher import Publisher
from backsweep.orchestration.server import Endpoint, find

if TYPE_CHECKING:
    from backsweep.flow import Finished
    from backsweep.flow.pipeline import PipelineDone, PipelineRun
    from backsweep.flow.steps.attempt import StepDone
    from backsweep.flow.steps.graph import Node

__all__ = ["PIPELINE_FLOW", "run_pipeline_with_prefect"]

PIPELINE_FLOW = "backsweep-pipeline"
SERVED = "the store had its outputs"
MOST_LINES = 2_000  # of a step on the dashboard; the store keeps more

RunSweep = Callable[["tuple[StepDone, ...]", bool], "Finished | None"]


def run_pipeline_with_prefect(
    run: PipelineRun, run_sweep: RunSweep, listener: StepListener, say: Callable[[str], None]
) -> PipelineDone:
    """Run a pipeline as a Prefect flow; what it makes is what it makes without one.

    Prefect records; it decides nothing. Where it is lost, the pipeline goes on without it: steps that are done are
    found in the store.

    Parameters
    ----------
    run_sweep : runs the sweep at the end, given the steps and whether it is to be a flow of its own.

    Raises
    ------
    BacksweepError
        As the steps and the sweep raise, and when the server cannot be had at the start.
    """
    endpoint = find(say)
    with Keeper(endpoint) as keeper, connected(endpoint):
        flow_run = _FlowRun(run, run_sweep, _Told(listener, say), keeper, endpoint)
        try:
            return flow_run.run()
        except Exception as error:  # whatever is not the pipeline's own is Prefect's, and Prefect only records
            if any(error is each for each in flow_run.raised):
                raise
            say(f"Prefect was lost ({type(error).__name__}: {error}); the pipeline goes on without it")
            done = run.steps(listener, try_plainly)
            return run.done(done, run_sweep(done, False))


@dataclass(frozen=True, slots=True)
class _Told:
    """Who is told on the terminal."""

    steps: StepListener
    say: Callable[[str], None]


class _FlowRun:
    """One flow run: its tasks, its log, the table of its steps.

    Attributes
    ----------
    raised : the pipeline's own errors; any other that comes out of the flow is Prefect's.
    """

    def __init__(self, run: PipelineRun, run_sweep: RunSweep, told: _Told, keeper: Keeper, endpoint: Endpoint) -> None:
        self.raised: list[BaseException] = []
        self._run = run
        self._run_sweep = run_sweep
        self._listener = told.steps
        self._say = told.say
        self._keeper = keeper
        self._endpoint = endpoint
        self._lines: dict[str, int] = {}
        self._results: dict[str, Any] = {}
        self._waiting = threading.Lock()

    def run(self) -> PipelineDone:
        """Run the flow in this thread."""
        from prefect.flows import Flow

        result: list[PipelineDone] = []

        def pipeline(name: str, steps: list[str]) -> list[str]:
            """Run the steps of a pipeline, and the sweep at its end."""
            result.append(self._body())
            return [step.name for step in result[0].steps]

        declared = Flow(
            pipeline,
            name=PIPELINE_FLOW,
            flow_run_name=self._run.name,
            validate_parameters=False,
            persist_result=False,
        )
        declared(self._run.name, [node.step.name for node in self._run.nodes])
        return result[0]

    def _body(self) -> PipelineDone:
        from prefect.client.orchestration import get_client
        from prefect.runtime import flow_run

        from backsweep.orchestration.orphans import alive, bury

        run = UUID(str(flow_run.get_id()))
        self._say(f"dashboard  {self._endpoint.dashboard}/runs/flow-run/{run}")
        with alive(run, self._endpoint.api_url), Publisher(run, lambda: self._keeper.is_lost) as publisher:
            with get_client(sync_client=True) as client:
                for buried in bury(client, self._endpoint.api_url):
                    publisher.log(f"flow run {buried} was killed and is shown as crashed now")
            try:
                done = self._run.steps(self._observer(publisher), self._as_task)
                publisher.add(_table(self._run.name, done))
                finished = self._note(lambda: self._run_sweep(done, True))
            except Exception as error:
                publisher.log(str(error), logging.ERROR)
                raise
        self._wait()
        return self._run.done(done, finished)

    def _observer(self, publisher: Publisher) -> StepListener:
        """Return who tells the terminal and the flow run's log."""

        def hear(name: str, line: str) -> None:
            self._listener.hear(name, line)
            self._lines[name] = said = self._lines.get(name, 0) + 1
            if said <= MOST_LINES:
                publisher.log(f"{name}: {line}")
            elif said == MOST_LINES + 1:
                publisher.log(f"{name}: ... (the store keeps what it says from here on)")

        def tell(step: StepDone) -> None:
            self._listener.done(step)
            publisher.log(f"{step.name}: {'from the store' if step.is_cached else 'ran'}, {step.seconds:.3f} s")

        return StepListener(hear, tell)

    def _as_task(self, node: Node, attempt_once: Callable[[], StepDone]) -> StepDone:
        """Run the attempts at a step as a task that follows those it needs; a step that is stored ends as `Cached`."""
        from prefect.cache_policies import NO_CACHE
        from prefect.states import Completed
        from prefect.tasks import task

        made: list[StepDone] = []

        def run(after: list[Any]) -> Any:
            made.append(self._note(attempt_once))
            self._wait()
            told = {"step": made[-1].name, "identity": made[-1].identity}
            return Completed(name="Cached", message=SERVED, data=told) if made[-1].is_cached else told

        declared = task(
            name=node.step.name,
            task_run_name=node.step.name,
            retries=node.step.attempts.retries,
            retry_delay_seconds=node.step.attempts.pause_seconds,
            retry_condition_fn=_is_failed_step,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(run)
        try:
            self._results[node.step.name] = declared([self._results[name] for name in sorted(node.needs)])
        except Exception as error:
            if any(error is each for each in self.raised):
                raise
            raise FlowLostError(f"{node.step.name}: {error}") from error
        return made[-1]

    def _wait(self) -> None:
        """Wait for a server that is away before the end of a task is told; several tasks wait together."""
        with self._waiting:
            if not self._keeper.wait():
                hush()

    def _note(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and remember what it raises as the pipeline's own."""
        try:
            return work()
        except FlowLostError:
            raise
        except BaseException as error:
            self.raised.append(error)
            raise


def _table(name: str, done: tuple[StepDone, ...]) -> Artifact:
    rows = [
        {
            "step": step.name,
            "state": "from the store" if step.is_cached else "ran",
            "seconds": round(step.seconds, 3),
            "outputs": ", ".join(step.outputs),
            "identity": step.identity[:16],
        }
        for step in done
    ]
    return Artifact(key_of("steps", name), "table", json.dumps(rows), "the steps before the sweep")


def _is_failed_step(task: Any, run: Any, state: Any) -> bool:
    """Whether a step failed by itself, so that trying it again may help."""
    try:
        state.result()
    except StepError:
        return True
    except Exception:  # any other outcome: it is final
        return False
    return False
