"""The sweeps that planning and tournaments are measured on, as documents in a folder of their own."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.benchmarks.timing import ROOT, Cost, run_child

__all__ = ["TOURNAMENT", "backsweep", "changed", "example", "hundred_thousand"]

TOURNAMENT = ROOT / "examples" / "sp500-tournament.yaml"


def example() -> dict[str, Any]:
    """Return the tournament of `make run`."""
    document: dict[str, Any] = yaml.safe_load(TOURNAMENT.read_text(encoding="utf-8"))
    return document


def changed(document: Mapping[str, Any], section: str, field: str, value: Any) -> dict[str, Any]:
    """Return the document with one field below spec set to something else."""
    copied = copy.deepcopy(dict(document))
    copied["spec"].setdefault(section, {})[field] = value
    return copied


def hundred_thousand() -> dict[str, Any]:
    """Return a sweep of 8 profiles x 5 covariances x 50 lookbacks x 2 rebalancing rules x 25 cost levels."""
    axes = {
        "profile": [
            "inverse_volatility",
            "min_variance",
            "max_sharpe",
            "max_diversification",
            "risk_parity",
            "hrp",
            "herc",
            "nco",
        ],
        "covariance": ["sample", "ledoit_wolf", "oas", "ewma", "denoised"],
        "lookback": list(range(63, 63 + 9 * 50, 9)),
        "rebalance": ["window", "daily"],
        "costs": [{"slippageBps": level, "commissionBps": 1} for level in range(25)],
    }
    return {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "hundred-thousand"},
        "spec": {"data": {"name": "sp500-20"}, "walkForward": {"test": 20, "step": 20}, "axes": axes},
    }


def backsweep(folder: Path, command: str, document: Mapping[str, Any], *options: str) -> tuple[Cost, dict[str, Any]]:
    """Run `backsweep COMMAND --json` on the document in `folder`, whose store it uses; return cost and answer.

    A run is the bare engine: Prefect's share is a table of its own.
    """
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False), encoding="utf-8")
    bare = ["--no-prefect"] if command == "run" else []
    line: Sequence[str] = [sys.executable, "-m", "backsweep", command, str(path), "--json", *bare, *options]
    cost, text = run_child(line, folder)
    answer: dict[str, Any] = json.loads(text)
    return cost, answer
