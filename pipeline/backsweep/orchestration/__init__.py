"""Prefect around the engine: an embedded server, the sweep as a flow of stages, what a person sees on the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backsweep.flow import Finished, Listener, Request

__all__ = ["run_with_prefect"]


def run_with_prefect(request: Request, listener: Listener) -> Finished:
    """Run a sweep as a Prefect flow; see `run`.

    It is imported when it is called: numpy comes with it, and Prefect loads the flow of a pod from this package before
    the numeric environment is pinned.
    """
    from backsweep.orchestration.run import run_with_prefect as run

    return run(request, listener)
