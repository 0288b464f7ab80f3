"""Speedup and cost of real runs: measured, compared byte for byte, added up, and no part of the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: worth}
spec:
  data: {name: sp500-20, start: "2008-01-02", end: "2014-12-31"}
  execution: {mode: local, parallelism: 2}
  axes:
    profile: [equal_weight, min_variance, hrp, min_cvar]
    covariance: [sample, oas]
    lookback: [126, 252]
    rebalance: [window, daily]
"""
PRICES = "pricing={cpuHour: '36', memoryGiBHour: '3.6', currency: EUR}"
UNSEEDED = """
import numpy as np

def lucky(training):
    weights = np.random.default_rng().random(training.returns.shape[1])
    return weights / weights.sum()
"""
STRATEGY = DOCUMENT.replace(
    "    profile: [equal_weight, min_variance, hrp, min_cvar]\n    covariance: [sample, oas]\n", ""
).replace("  axes:", '  strategy: {entrypoint: "unseeded:lucky"}\n  axes:')


def call(folder: Path, *arguments: str, code: int = 0, document: str = DOCUMENT) -> str:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "sweep.yaml").write_text(document)
    (folder / "temporary").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "backsweep", "run", "sweep.yaml", "--no-prefect", *arguments]
    environment = {**os.environ, "TMPDIR": str(folder / "temporary")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == code, done.stderr
    assert [path.name for path in (folder / "temporary").iterdir() if "baseline" in path.name] == []
    return done.stdout if code == 0 else done.stderr


def sweep(folder: Path, *arguments: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(call(folder, "--json", *arguments))
    return result


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "runs" / "worth" / "manifest.json").read_bytes())
    return manifest


@pytest.fixture(scope="module")
def in_full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("full")
    return folder, sweep(folder, "--baseline", "full", "--set", PRICES)


def test_all_of_it_is_done_again_to_the_same_bytes(in_full: tuple[Path, dict[str, Any]]) -> None:
    speedup = in_full[1]["speedup"]
    assert speedup["baselineMethod"] == "full"
    assert speedup["measured"] == speedup["pieces"] > 0
    assert speedup["ratio"] == pytest.approx(speedup["baselineSeconds"] / speedup["wallSeconds"], abs=1e-3)
    assert speedup["efficiency"] == pytest.approx(speedup["ratio"] / 2, abs=1e-3)
    assert speedup["baselineError"] == 0
    assert speedup["wallSeconds"] == pytest.approx(in_full[1]["timings"]["solve and simulate"], rel=0.05)
    assert manifest_of(in_full[0])["run"]["speedup"] == speedup


def test_a_cost_is_what_was_held_as_long_as_it_took(in_full: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = in_full
    cost = summary["cost"]
    stages = {stage["stage"]: stage for stage in cost["stages"]}
    assert (cost["currency"], cost["simulated"]) == ("EUR", True)
    assert sum(Decimal(stage["amount"]) for stage in cost["stages"]) == Decimal(cost["amount"])
    expected = sum(0.01 * stage["coreSeconds"] + 0.001 * stage["gibSeconds"] for stage in cost["stages"])
    assert float(cost["amount"]) == pytest.approx(expected, abs=1e-5)
    computing = [stage for name, stage in stages.items() if name.startswith("solve and simulate: ")]
    clock = summary["timings"]["solve and simulate"]
    assert sum(stage["coreSeconds"] for stage in computing) == pytest.approx(2 * clock, abs=1e-4)
    assert {"solve and simulate: solving", "solve and simulate: simulating", "solve and simulate: waiting"} <= set(
        stages
    )
    assert stages["compare"]["coreSeconds"] == pytest.approx(2 * summary["timings"]["compare"], abs=1e-5)
    for name in ("plan", "baseline", "commit", "report", "run folder"):
        assert stages[name]["coreSeconds"] == pytest.approx(summary["timings"][name], abs=1e-5)
    committed = manifest_of(folder)["run"]["cost"]
    assert "commit" not in {stage["stage"] for stage in committed["stages"]}
    assert 0 < float(committed["amount"]) < float(cost["amount"])
    assert "2 workers of 1 core" in cost["resources"]


def test_a_sample_is_measured_unless_nobody_asks_and_the_result_is_the_same(
    in_full: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    sampled = sweep(tmp_path / "sampled")
    assert sampled["speedup"]["baselineMethod"] == "sample"
    assert 0 < sampled["speedup"]["measured"] <= sampled["speedup"]["pieces"]
    assert sampled["speedup"]["sentence"].startswith("speedup ")
    assert sampled["cost"] is None
    unasked = sweep(tmp_path / "unasked", "--baseline", "none")
    assert unasked["speedup"] is None
    assert "baseline" not in unasked["timings"]
    assert sampled["resultDigest"] == unasked["resultDigest"] == in_full[1]["resultDigest"]


def test_what_the_store_had_already_was_not_sped_up(in_full: tuple[Path, dict[str, Any]]) -> None:
    told = call(in_full[0], "--set", PRICES)
    assert "nothing was computed, so there is no speedup\n" in told
    assert "EUR, simulated (the document's own prices)\n" in told


def test_one_process_is_its_own_baseline(tmp_path: Path) -> None:
    speedup = sweep(tmp_path, "--set", "execution.parallelism=1")["speedup"]
    assert (speedup["baselineMethod"], speedup["ratio"], speedup["efficiency"]) == ("serial", 1, 1)


def test_a_strategy_without_a_seed_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "unseeded.py").write_text(UNSEEDED)
    said = call(tmp_path, "--baseline", "full", code=1, document=STRATEGY)
    assert "VerificationFailed: --baseline full: solve " in said
    assert "came out with other bytes when it was computed again" in said
    assert not (tmp_path / "runs").exists()
