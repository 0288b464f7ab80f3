"""A Ray job outlives the pod that asked for it: the next one's clock says nothing of what the job did before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backsweep.executors.serial import SerialExecutor
from backsweep.flow.baseline import measure_speedup, without_speedup
from backsweep.flow.prepare import Prepared, prepare, read_sweep
from backsweep.flow.run import Ran, run_blocks, workers_of
from backsweep.flow.site import Site, SiteRay
from backsweep.stores.file import FileStore
from backsweep.sweep.compute import compute
from backsweep.sweep.work import Work

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: replaced}
spec:
  data: {name: sp500-20, start: "2013-01-02", end: "2014-12-31"}
  storage: {uri: "file://STORE"}
  execution: {mode: ray}
  axes: {profile: [equal_weight, min_variance], lookback: [126, 252]}
"""
POD = Site("team", is_pod=True, ray=SiteRay("http://ray.example.com:8265", 2, 1.0))


def prepared_in(folder: Path) -> Prepared:
    document = read_sweep(DOCUMENT.replace("STORE", str(folder / "store")), ["cluster={workers: {max: 2}}"])
    return prepare(document, folder, site=POD)


def driver(prepared: Prepared) -> dict[str, Any]:
    """Do what the driver on the cluster does, and return its report."""
    plan = prepared_in(prepared.folder).plan
    work = Work(FileStore, (prepared.store.uri,), prepared.references, ())
    _, computed = compute(plan, prepared.store, SerialExecutor(), work, plan.blocks(1), lambda _: None)
    return {
        "blocks": computed.blocks,
        "solveUnits": computed.solve_units,
        "simulations": computed.simulations,
        "seconds": [[*cell, seconds] for cell, seconds in computed.seconds.items()],
        "wallSeconds": 0.0,
    }


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any] | None], Ran]:
    """Return what runs the sweep; the job is over when this pod asks for it where its report is given."""
    prepared = prepared_in(tmp_path)

    def run(report: dict[str, Any] | None) -> Ran:
        monkeypatch.setattr("backsweep.flow.run.compute_there", lambda *_: report or driver(prepared))
        return run_blocks(prepared, workers_of(prepared), lambda _: None)

    return run


def test_a_job_of_this_run_has_a_speedup(run: Callable[[dict[str, Any] | None], Ran]) -> None:
    ran = run(None)
    found = measure_speedup(ran, "sample")
    assert found is not None
    assert found.workers == 2
    assert without_speedup(ran) == ""


def test_a_job_begun_by_an_earlier_pod_has_none(run: Callable[[dict[str, Any] | None], Ran], tmp_path: Path) -> None:
    ran = run({**driver(prepared_in(tmp_path)), "wallSeconds": 3_600.0})
    assert measure_speedup(ran, "sample") is None
    assert "the Ray job was begun before this run" in without_speedup(ran)


def test_what_others_stored_meanwhile_was_not_sped_up(
    run: Callable[[dict[str, Any] | None], Ran], tmp_path: Path
) -> None:
    report = driver(prepared_in(tmp_path))
    ran = run({**report, "simulations": report["simulations"] - 1})
    assert measure_speedup(ran, "sample") is None
    assert "the Ray job computed 5 of the 6 units this run lacked" in without_speedup(ran)


def test_where_nothing_was_computed_there_is_none(run: Callable[[dict[str, Any] | None], Ran], tmp_path: Path) -> None:
    run(None)
    prepared = prepared_in(tmp_path)
    ran = run_blocks(prepared, workers_of(prepared), lambda _: None)
    assert without_speedup(ran) == "nothing was computed, so there is no speedup"
