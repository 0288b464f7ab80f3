"""Where a sweep's blocks run: in this process, in several, or as tasks of a Ray started here."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

from backsweep.errors import UserError
from backsweep.executors.serial import SerialExecutor
from backsweep.ports import Executor

__all__ = ["executor_of", "processes_of"]

SECONDS_WORTH_PROCESSES = 5.0  # under that, starting processes costs more than they save


def processes_of(execution: Mapping[str, Any], predicted_seconds: float) -> int:
    """Return how many processes spec.execution asks for, or as many as pay."""
    asked = execution.get("parallelism")
    if asked is not None:
        return int(asked)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if predicted_seconds > SECONDS_WORTH_PROCESSES or execution["mode"] == "ray" else 1


@contextlib.contextmanager
def executor_of(execution: Mapping[str, Any], processes: int, *, idle: bool) -> Iterator[Executor]:
    """Yield the executor that spec.execution asks for, and stop what it started afterwards.

    Parameters
    ----------
    idle : whether there is nothing to run, so that nothing need be started.

    Raises
    ------
    UserError
        If Ray is asked for and not installed, or cannot start.
    """
    retries, timeout_seconds = execution["retries"], float(execution["blockTimeoutSeconds"])
    if idle or (processes == 1 and execution["mode"] != "ray"):
        yield SerialExecutor()
    elif execution["mode"] == "ray":
        with _ray(processes, retries, timeout_seconds) as executor:
            yield executor
    else:
        from backsweep.executors.processes import ProcessExecutor  # its imports cost more than a small sweep

        yield ProcessExecutor(processes, retries=retries, timeout_seconds=timeout_seconds)


@contextlib.contextmanager
def _ray(processes: int, retries: int, timeout_seconds: float) -> Iterator[Executor]:
    from backsweep.executors.ray_session import RaySession
    from backsweep.executors.ray_tasks import RayExecutor

    if importlib.util.find_spec("ray") is None:
        raise UserError("spec.execution.mode: ray is not installed: pip install 'backsweep[ray]', or write local")
    with RaySession(cpus=processes) as session:
        yield RayExecutor(session, retries=retries, timeout_seconds=timeout_seconds, parallelism=processes)
