"""A peer's units: named by engine and versions, small enough for a block; native's keep their names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backsweep.flow.prepare import plan_sweep
from backsweep.plan.identity import solve_unit_id
from backsweep.plan.sweep_plan import SweepPlan
from backsweep.plan.windows import PEER_RUN
from backsweep.sources.loading import load
from backsweep.stores.file import FileStore
from backsweep.sweep.datasets import Dataset
from backsweep.units import Estimator, Solve
from backsweep_api.canonical import canonical_json
from backsweep_api.documents import document_from_tree

VERSIONS = {"skfolio": {"skfolio": "0.20.2"}}
NATIVE = Solve("min_variance", {}, Estimator("sample"), None, None, np.arange(3))
PEER = replace(NATIVE, engine="skfolio", versions=VERSIONS["skfolio"])


def test_a_native_unit_is_named_as_before_there_were_engines() -> None:
    described: dict[str, Any] = {
        "kind": "solve",
        "environment": "e",
        "rows": "r",
        "profile": "min_variance",
        "parameters": {},
        "covariance": ["sample", {}],
        "mean": None,
        "constraints": None,
        "code": None,
        "usesPrevious": False,
        "revisions": [1, 1],
    }
    assert solve_unit_id("e", "r", NATIVE) == hashlib.sha256(canonical_json(described)).hexdigest()


def test_engine_and_versions_belong_to_a_peers_name() -> None:
    other = replace(PEER, versions={"skfolio": "0.20.3"})
    third = replace(PEER, engine="pyportfolioopt")
    assert len({solve_unit_id("e", "r", solve) for solve in (NATIVE, PEER, other, third)}) == 4


def plan(folder: Path, engines: list[str], profiles: list[str]) -> SweepPlan:
    tree: dict[str, Any] = {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "t"},
        "spec": {
            "data": {"name": "sp500-20", "start": "2012-01-03"},
            "axes": {"profile": profiles, "covariance": ["sample", "oas"], "engine": engines},
        },
    }
    document = document_from_tree(tree)
    loaded = load(document.normalised()["spec"]["data"][0], folder)
    data = Dataset(loaded.label, loaded.lineage, loaded.returns, loaded.prices, loaded.features, loaded.provenance)
    return plan_sweep(document, None, [data], FileStore(folder), VERSIONS)


def test_an_engine_adds_tasks_and_changes_none(tmp_path: Path) -> None:
    profiles = ["equal_weight", "min_variance", "hrp"]
    alone, beside = plan(tmp_path, ["native"], profiles), plan(tmp_path, ["native", "skfolio"], profiles)
    assert set(alone.tasks) < set(beside.tasks)
    for key, task in alone.tasks.items():
        assert beside.tasks[key].units == task.units
        assert beside.tasks[key].simulations == task.simulations
    assert set(alone.unit_ids()) < set(beside.unit_ids())
    assert beside.predicted_seconds() > 10 * alone.predicted_seconds()


def test_units_of_a_peer_are_short_enough_for_many_blocks(tmp_path: Path) -> None:
    found = plan(tmp_path, ["native", "skfolio"], ["min_variance"])
    lengths = {task.solve.engine: [unit.stop - unit.start for unit in task.units] for task in found.tasks.values()}
    assert sum(lengths["skfolio"]) == sum(lengths["native"])
    assert max(lengths["skfolio"]) == PEER_RUN < max(lengths["native"])
