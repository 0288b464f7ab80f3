"""The names of units: hashes of all that determines their bytes.

A unit's id covers the rows and assets it reads, its parameters, the revision of the kernels that compute it and the
numeric environment. A kernel whose bytes change gets a new revision here (tests/golden/test_kernels.py fails until
it has one), so that nothing computed by an older kernel is taken for what the new one gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from backsweep.arrays import Boolean, Returns, Windows
from backsweep.eligibility import UNTRAINED_PROFILES
from backsweep.units import Costs, Evaluation, Solve
from backsweep_api.canonical import canonical_json

__all__ = [
    "ENGINE_REVISIONS",
    "KERNEL_REVISIONS",
    "evaluated_rows",
    "simulation_id",
    "simulation_prefix",
    "solve_unit_id",
    "trained_rows",
]

KERNEL_REVISIONS: Mapping[str, int] = {
    "covariance": 1,
    "expected_returns": 1,
    "equal_weight": 1,
    "inverse_volatility": 1,
    "min_variance": 1,
    "max_sharpe": 1,
    "max_diversification": 1,
    "risk_parity": 1,
    "hrp": 1,
    "herc": 1,
    "nco": 1,
    "min_cvar": 1,
    "barbell": 1,
    "market": 1,
    "benchmark": 1,
    "strategy": 1,
    "projection": 1,
    "simulation": 1,
    "metrics": 1,
}
ENGINE_REVISIONS: Mapping[str, int] = {"skfolio": 1, "pyportfolioopt": 1}  # of how each is asked, and judged


def trained_rows(returns: Returns, windows: Windows, solve: Solve, eligible: Boolean) -> str:
    """Return the digest of all that the windows of a unit read of the data set.

    Parameters
    ----------
    eligible : (B, n) bool, which of the solve's columns take part in each window.
    """
    digest = hashlib.sha256()
    columns = solve.columns
    needs_market = solve.constraints is not None and solve.constraints.get("beta") is not None
    if needs_market:
        columns = np.union1d(columns, returns.benchmark)
    if solve.profile not in UNTRAINED_PROFILES:
        start, stop = int(windows.train_start[0]), int(windows.train_stop[-1])
        digest.update(np.ascontiguousarray(returns.estimation[start:stop, columns]).tobytes())
        digest.update((windows.train_start - start).tobytes())
        digest.update((windows.train_stop - start).tobytes())
    digest.update(np.ascontiguousarray(eligible).tobytes())
    digest.update(np.ascontiguousarray(returns.risk_free[windows.decision]).tobytes())
    digest.update("\n".join(returns.symbols[column] for column in columns).encode())
    return digest.hexdigest()


def solve_unit_id(environment: str, rows: str, solve: Solve) -> str:
    """Return the id of a unit of `solve` that reads `rows` (of `trained_rows`)."""
    revisions = [KERNEL_REVISIONS[name] for name in _kernels(solve)]
    described: dict[str, Any] = {
        "kind": "solve",
        "environment": environment,
        "rows": rows,
        "profile": solve.profile,
        "parameters": dict(solve.parameters),
        "covariance": None if solve.covariance is None else [solve.covariance.name, dict(solve.covariance.parameters)],
        "mean": None if solve.mean is None else [solve.mean.name, dict(solve.mean.parameters)],
        "constraints": solve.constraints,
        "code": solve.code,
        "usesPrevious": solve.uses_previous,
        "revisions": revisions,
    }
    if not solve.is_native:  # a native unit is named as it was before there were engines
        described["engine"] = [solve.engine, ENGINE_REVISIONS[solve.engine], dict(solve.versions)]
    return hashlib.sha256(canonical_json(described)).hexdigest()


def evaluated_rows(returns: Returns, first: int, stop: int) -> str:
    """Return the digest of what a simulation over test rows `first` to `stop` reads of the data set."""
    digest = hashlib.sha256()
    for array in (returns.simulation, returns.tradable, returns.risk_free):
        digest.update(np.ascontiguousarray(array[first - 1 : stop]).tobytes())
    digest.update(np.clip(returns.delisted_row - first, -1, stop - first).tobytes())
    digest.update(str(returns.periods).encode())
    return digest.hexdigest()


def simulation_prefix(
    environment: str, rows: str, evaluation: Evaluation, windows: Windows, unit_ids: Iterable[str]
) -> Any:
    """Return a sha256 state over what all simulations of one solve share; `simulation_id` completes it."""
    lengths = windows.test_stop - windows.test_start
    described = {
        "kind": "simulation",
        "environment": environment,
        "rows": rows,
        "evaluation": [evaluation.ranked_rows, evaluation.hold_on_failure],
        "windows": hashlib.sha256(lengths.tobytes()).hexdigest(),
        "units": list(unit_ids),
        "revisions": [KERNEL_REVISIONS["simulation"], KERNEL_REVISIONS["metrics"]],
    }
    return hashlib.sha256(canonical_json(described))


def simulation_id(prefix: Any, rebalance: str, costs: Costs) -> str:
    """Return the id of one simulation."""
    state = prefix.copy()
    state.update(f"\n{rebalance} {costs.slippage_bps!r} {costs.commission_bps!r} {costs.borrow_rate!r}".encode())
    return str(state.hexdigest())


def _kernels(solve: Solve) -> list[str]:
    """Return the kernels whose bytes go into a solve."""
    names = [solve.profile]
    if solve.covariance is not None or solve.mean is not None:
        names.append("covariance")
    if solve.mean is not None:
        names.append("expected_returns")
    if solve.profile == "nco":
        names.append("min_variance")
    if "core" in solve.parameters:
        names.append(str(solve.parameters["core"]))
    if solve.constraints is not None:
        names.append("projection")
    return names
