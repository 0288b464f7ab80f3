"""Which assets take part in which window: asked by the plan (it names units) and by the solver alike."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Boolean, Integer, Returns, Windows

__all__ = ["UNTRAINED_PROFILES", "eligible_assets"]

UNTRAINED_PROFILES = frozenset({"equal_weight", "market", "benchmark"})


def eligible_assets(returns: Returns, windows: Windows, profile: str, columns: Integer) -> Boolean:
    """Return (B, n) whether each of `columns` takes part in each window.

    An asset takes part where its training rows are complete and it is a member on the decision row. A profile that
    needs no training asks for a price on the decision row instead. Benchmark columns are never
    members; they take part where the profile holds the benchmark itself.
    """
    decision = windows.decision
    is_benchmark = np.isin(columns, returns.benchmark)
    member = returns.member[np.ix_(decision, columns)] | is_benchmark
    if profile in UNTRAINED_PROFILES:
        return member & returns.tradable[np.ix_(decision, columns)]
    missing = np.isnan(returns.estimation[:, columns])
    if not missing.any():
        return member
    gaps = np.zeros((len(missing) + 1, len(columns)), dtype=np.int64)
    np.cumsum(missing, axis=0, out=gaps[1:])
    eligible: Boolean = member & (gaps[windows.train_stop] == gaps[windows.train_start])
    return eligible
