"""kubectl-backtest: sweeps as people look at them, by kubectl and the rights of whoever calls it."""

from backsweep_operator.plugin.commands import main

__all__ = ["main"]
