"""What a finished sweep leaves: the two parts of its manifest, and the order in which its trials are shown."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from backsweep.plan.sweep_plan import SweepPlan
from backsweep.ports import Store
from backsweep.sweep.comparison import Comparison
from backsweep.sweep.parity import parity_result
from backsweep.sweep.table import TrialTable

__all__ = ["leaders_first", "plain_numbers", "result_part", "store_procedure"]


def leaders_first(table: TrialTable, comparison: Comparison, count: int) -> list[int]:
    """Return up to `count` rows of the table that have a series: the ranking, then the others in the plan's order."""
    ranked = comparison.ranking.order.tolist()
    seen = set(ranked)
    others = (row for row in range(len(table)) if row not in seen)
    return [row for row in [*ranked, *others] if table.returns[row]][:count]


def result_part(
    plan: SweepPlan,
    table: TrialTable,
    comparison: Comparison,
    named: Mapping[str, Any],
    objects: Mapping[str, str],
) -> dict[str, Any]:
    """Return the deterministic part of the manifest: what it is hashed by says whether two runs agree.

    Parameters
    ----------
    named : document, specDigest, environment, units and seeds.
    objects : name -> digest: trials, procedure.
    """
    winner = comparison.ranking.winner
    best = None
    if winner is not None:
        best = {
            "trial": table.trials[winner].id,
            "metrics": {name: values[winner] for name, values in table.metrics.items()},
        }
    listed = "".join(
        f"{trial.id} {digest}\n" for trial, digest in zip(table.trials, table.returns, strict=True) if digest
    )
    part = {
        **named,
        "data": [
            {"digest": returns.digest, "rows": len(returns.dates), "assets": len(returns.symbols)}
            for returns in plan.datasets
        ],
        "objects": dict(objects),
        "returns": {
            "count": sum(bool(digest) for digest in table.returns),
            "sha256": hashlib.sha256(listed.encode()).hexdigest(),
        },
        "trials": {"total": len(table), "failed": table.failed, "ruined": table.status.count("ruined")},
        "best": best,
        "luck": _luck(comparison),
    }
    if comparison.parity:  # a sweep without peers says nothing of them
        part["parity"] = parity_result(comparison.parity)
    return plain_numbers(part)  # type: ignore[no-any-return]  # a dict stays a dict


def store_procedure(store: Store, comparison: Comparison) -> str | None:
    """Store the procedure's net returns and return their digest; None where there is no procedure."""
    return None if comparison.procedure is None else store.put_array(comparison.procedure.net)


def plain_numbers(value: Any) -> Any:
    """Return plain JSON values: numpy's numbers as Python's, what is not finite as null."""
    if isinstance(value, Mapping):
        return {key: plain_numbers(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain_numbers(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _luck(comparison: Comparison) -> dict[str, Any]:
    procedure = comparison.procedure
    return {
        "overfitting": None if comparison.overfitting is None else asdict(comparison.overfitting),
        "deflation": None if comparison.deflation is None else asdict(comparison.deflation),
        "superiorAbility": None if comparison.superior is None else asdict(comparison.superior),
        "procedure": None
        if procedure is None
        else {"firstTestRow": procedure.first, "switches": procedure.switches, "metrics": comparison.procedure_metrics},
        "yardstick": comparison.yardstick_metrics,
        "holdout": comparison.holdout,
    }
