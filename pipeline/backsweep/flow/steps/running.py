"""Runs a pipeline's steps: those that need nothing of each other side by side, each as often as it may be tried."""

from __future__ import annotations

import contextlib
import contextvars
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from backsweep.errors import StepError, TransientError, UserError
from backsweep.flow.steps.attempt import StepDone, StepPlace, attempt
from backsweep.flow.steps.graph import Node
from backsweep.flow.steps.process import Limits
from backsweep.stores.opening import AnyStore

__all__ = ["StepListener", "TryStep", "run_steps", "try_plainly"]

OWN_FOLDER = ".backsweep"
MOST_SIDE_BY_SIDE = 4

TryStep = Callable[[Node, Callable[[], StepDone]], StepDone]


@dataclass(frozen=True, slots=True)
class StepListener:
    """Who is told how steps go: each line of a step with its name, and each step that is done."""

    hear: Callable[[str, str], None]
    done: Callable[[StepDone], None]


def try_plainly(node: Node, attempt_once: Callable[[], StepDone]) -> StepDone:
    """Try a step as often as it says, without a flow around it."""
    attempts = node.step.attempts
    for _ in range(attempts.retries):
        try:
            return attempt_once()
        except StepError:
            time.sleep(attempts.pause_seconds)
    return attempt_once()


def run_steps(
    nodes: Sequence[Node],
    folder: Path,
    store: AnyStore,
    listener: StepListener,
    try_step: TryStep = try_plainly,
    again: Sequence[str] = (),
) -> tuple[StepDone, ...]:
    """Bring the outputs of all steps into their places, and return the steps in their order.

    Parameters
    ----------
    nodes : of all steps; see `ordered`.
    folder : of the pipeline; all paths begin there.
    store : remembers what was run, and keeps the outputs.
    try_step : runs the attempts at a step: `try_plainly`, or as a task of a flow.
    again : names of steps that run whatever is stored.

    Raises
    ------
    StepError, UserError
        Of the first step in order that failed. Steps beside it end first; those after it do not run.
    TransientError
        Another run works in the same folder.
    """
    own = folder / OWN_FOLDER
    with _alone(own) as scratch:
        logs = own / "logs"
        logs.mkdir(exist_ok=True)
        at = StepPlace(folder, scratch, logs, own / "replaced", store, listener.hear, frozenset(again))
        return _Run(nodes, at, listener, try_step).complete()


class _Run:
    """The steps of one run, and which of them are done."""

    def __init__(self, nodes: Sequence[Node], at: StepPlace, listener: StepListener, try_step: TryStep) -> None:
        self._nodes = nodes
        self._at = at
        self._listener = listener
        self._try_step = try_step
        self._stop = threading.Event()
        self._done: dict[str, StepDone] = {}
        self._failed: dict[str, BaseException] = {}

    def complete(self) -> tuple[StepDone, ...]:
        """Run them all."""
        running: dict[Future[StepDone], str] = {}
        side_by_side = min(MOST_SIDE_BY_SIDE, os.cpu_count() or 1)
        with ThreadPoolExecutor(side_by_side, "backsweep-step") as pool:
            try:
                while self._submit(pool, running):
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in sorted(ended, key=lambda each: running[each]):
                        self._note(running.pop(future), future)
            except BaseException:  # Ctrl-C: what runs is killed, or the pool would wait for it
                self._stop.set()
                raise
        for node in self._nodes:
            if node.step.name in self._failed:
                raise self._failed[node.step.name]
        return tuple(self._done[node.step.name] for node in self._nodes)

    def _submit(self, pool: ThreadPoolExecutor, running: dict[Future[StepDone], str]) -> bool:
        """Start what can be started; return whether anything runs."""
        started = {*running.values(), *self._done, *self._failed}
        for node in self._nodes:
            if not self._failed and node.step.name not in started and node.needs <= self._done.keys():
                context = contextvars.copy_context()  # a flow's tasks find their flow in it
                running[pool.submit(context.run, self._run, node)] = node.step.name
        return bool(running)

    def _run(self, node: Node) -> StepDone:
        limits = Limits(node.step.attempts.timeout_seconds, self._stop)
        return self._try_step(node, lambda: attempt(node.step, self._at, limits))

    def _note(self, name: str, future: Future[StepDone]) -> None:
        error = future.exception()
        if error is not None:
            self._failed[name] = error
            return
        self._done[name] = future.result()
        self._listener.done(self._done[name])


@contextlib.contextmanager
def _alone(own: Path) -> Iterator[Path]:
    """Hold the folder's lock, which ends with the process, and make its scratch folder anew.

    Whoever held the lock before is dead, and so is what it left.
    """
    try:
        own.mkdir(exist_ok=True)
        lock = os.open(own / "steps.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UserError(f"{own}: cannot be used for the pipeline's scratch folders: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TransientError(
                f"{own.parent}: another run of a pipeline works in this folder; wait for its end"
            ) from error
        scratch = own / "steps"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        yield scratch
        shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(lock)
