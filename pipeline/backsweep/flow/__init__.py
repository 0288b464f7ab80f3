"""The stages of a sweep in their order, and the adapters each of them is given."""

from backsweep.flow.prepare import Prepared, prepare, read_sweep
from backsweep.flow.repair import forget_damaged
from backsweep.flow.run import Finished, finish, run_blocks

__all__ = ["Finished", "Prepared", "finish", "forget_damaged", "prepare", "read_sweep", "run_blocks"]
