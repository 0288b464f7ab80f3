"""The BacktestSweep document: what operator and pipeline agree on. pydantic only, no I/O."""
