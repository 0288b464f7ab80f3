"""The stages of a sweep in their order, and the adapters each of them is given."""

from backsweep.flow.finish import Finished
from backsweep.flow.prepare import Prepared, prepare, read_sweep
from backsweep.flow.stages import FlowLostError, Listener, Request, Stages, run_plainly

__all__ = [
    "Finished",
    "FlowLostError",
    "Listener",
    "Prepared",
    "Request",
    "Stages",
    "prepare",
    "read_sweep",
    "run_plainly",
]
