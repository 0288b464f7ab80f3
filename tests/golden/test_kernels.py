"""Every kernel's bytes are pinned: a change must raise the kernel's revision, or old units would pass for new ones.

When this fails on purpose: raise the kernel's number in plan/identity.py KERNEL_REVISIONS and write the digests with
``BACKSWEEP_WRITE_KERNELS=1 pytest tests/golden/test_kernels.py``; commit both.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backsweep.measure.metrics import measure
from backsweep.plan.identity import KERNEL_REVISIONS
from backsweep.plan.windows import WalkForward, make_windows
from backsweep.settings import numeric_environment
from backsweep.simulate import net_returns, simulate
from backsweep.solve.unit import solve_run
from backsweep.sources.loading import load
from backsweep.sweep.work import no_timer
from backsweep.trial import spread
from backsweep.units import Estimator, Solve
from backsweep_api.options import covariance_options, expected_returns_options, profile_options

PINNED = Path(__file__).parent / "kernels.json"
PROFILES: list[dict[str, Any]] = [
    {"profile": "equal_weight"},
    {"profile": "inverse_volatility"},
    {"profile": "min_variance"},
    {"profile": "max_sharpe"},
    {"profile": "max_diversification"},
    {"profile": "risk_parity"},
    {"profile": "hrp", "linkage": "single", "leafOrder": False},
    {"profile": {"name": "hrp", "risk": "std"}, "linkage": "average", "leafOrder": True},
    {"profile": "herc", "linkage": "ward"},
    {"profile": "nco", "linkage": "ward"},
    {"profile": "min_cvar"},
    {"profile": "barbell"},
]
COVARIANCES = ["sample", "ledoit_wolf", "oas", "ewma", "denoised", "gerber"]
MEANS = ["mean", "ewma", "bayes_stein"]
CONSTRAINTS: list[dict[str, Any]] = [
    {"maxWeight": 0.1},
    {
        "minWeight": -0.2,
        "maxWeight": 0.4,
        "gross": 1.5,
        "groupCaps": [{"name": "oil", "assets": ["CVX", "XOM"], "max": 0.1}],
    },
    {"maxWeight": 0.3, "turnoverLimit": 0.05},
]


def digest(array: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def computed() -> dict[str, str]:
    """Return a digest of every kernel's bytes on 64 windows of the bundled set."""
    returns = load({"name": "sp500-20", "start": "2004-01-02", "end": "2010-06-30"}, Path()).returns
    windows = make_windows(returns, 252, 252, WalkForward(20, 20, 1, anchored=False, keep_partial=False)).part(0, 64)
    columns = np.arange(20)

    def solve(values: Mapping[str, Any], covariance: str, mean: str, constraints: Mapping[str, Any] | None) -> Any:
        name, parameters = profile_options(values)
        plain = Solve(
            name,
            parameters,
            Estimator(*covariance_options(covariance)),
            Estimator(*expected_returns_options(mean)),
            constraints,
            columns,
        )
        return solve_run([plain], windows, returns, no_timer)[0]

    found = {f"{profile_options(values)}": digest(solve(values, "sample", "mean", None).values) for values in PROFILES}
    found |= {name: digest(solve({"profile": "min_variance"}, name, "mean", None).values) for name in COVARIANCES}
    found |= {name: digest(solve({"profile": "max_sharpe"}, "oas", name, None).values) for name in MEANS}
    for limits in CONSTRAINTS:
        for profile in ("min_variance", "max_diversification", "risk_parity", "min_cvar"):
            values = solve({"profile": profile}, "sample", "mean", limits).values
            found[f"{profile} {sorted(limits)}"] = digest(values)
    weights = spread(
        solve({"profile": "risk_parity"}, "sample", "mean", None),
        Solve("risk_parity", {}, None, None, None, columns),
        20,
    )
    for rule in ("window", "daily"):
        path = simulate(weights, windows, returns, rule, "hold")
        net = net_returns(path, 5, 1, 0.02, 252)
        found[f"simulation {rule}"] = digest(net)
        metrics = measure(net[None], path.gross[None], path.traded[None], 252, np.zeros(len(net))).metrics
        found[f"metrics {rule}"] = digest(np.concatenate(list(metrics.values())))
    return found


def test_the_bytes_of_every_kernel_are_the_pinned_ones_of_this_revision() -> None:
    environment = {**numeric_environment(), "revisions": dict(KERNEL_REVISIONS)}
    key = json.dumps(environment, sort_keys=True)
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    found = computed()
    if os.environ.get("BACKSWEEP_WRITE_KERNELS"):
        kept = {name: value for name, value in pinned.items() if json.loads(name)["revisions"] == KERNEL_REVISIONS}
        PINNED.write_text(json.dumps({**kept, key: found}, indent=1, sort_keys=True) + "\n")
        pytest.skip("wrote the digests of this environment")
    assert key in pinned, "no digests for this numeric environment and these revisions: see the module's docstring"
    differing = {name for name in found if pinned[key].get(name) != found[name]}
    assert not differing, f"bytes changed without a new revision: {sorted(differing)}"


def test_a_batch_gives_the_same_bytes_twice() -> None:
    assert computed() == computed()
