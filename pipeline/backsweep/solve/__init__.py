"""Weights for all windows of a batch at once; numpy in the hot paths, compiled solvers where those do not settle."""
