"""A sweep as a Prefect flow, and without one from where Prefect was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backsweep.flow.stages import Listener, Request, Stages, run_plainly
from backsweep.orchestration.client import connected
from backsweep.orchestration.keeper import Keeper
from backsweep.orchestration.server import find
from backsweep.orchestration.sweep_run import SweepRun

if TYPE_CHECKING:
    from backsweep.flow import Finished

__all__ = ["run_with_prefect"]


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
        endpoint = find(listener.say)
        with Keeper(endpoint) as keeper, connected(endpoint):
            run = SweepRun(request, stages, listener, keeper)
            try:
                return run.execute()
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
