"""The stages of a sweep in their order, and the adapters each of them is given."""

from backsweep.flow.finish import Finished
from backsweep.flow.prepare import Prepared, prepare, read_sweep
from backsweep.flow.site import Site, SiteRay
from backsweep.flow.stages import FlowLostError, Listener, Request, Stages, run_plainly
from backsweep.flow.steps.declaration import Attempts, Pipeline, Step, StoredData, step

__all__ = [
    "Attempts",
    "Finished",
    "FlowLostError",
    "Listener",
    "Pipeline",
    "Prepared",
    "Request",
    "Site",
    "SiteRay",
    "Stages",
    "Step",
    "StoredData",
    "prepare",
    "read_sweep",
    "run_plainly",
    "step",
]
