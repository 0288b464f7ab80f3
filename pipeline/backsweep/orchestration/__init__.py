"""Prefect around the engine: an embedded server, the sweep as a flow of stages, what a person sees on the dashboard."""

from backsweep.orchestration.run import run_with_prefect

__all__ = ["run_with_prefect"]
