"""The operator of BacktestSweep: observe, decide (pure), act."""
