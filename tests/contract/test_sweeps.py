"""The contract of a sweep: the same bytes however it ran, a folder that verifies, nothing done twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import backsweep

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: contract}
spec:
  data: {name: sp500-20, start: "2008-01-02", end: "2014-12-31"}
  validation: {holdout: 200}
  axes:
    profile: [equal_weight, min_variance, {name: hrp, linkage: ward}, risk_parity]
    covariance: [sample, ledoit_wolf]
    lookback: [126, 252]
    rebalance: [window, daily]
    costs: [{slippageBps: 5, commissionBps: 1}, {slippageBps: 20, commissionBps: 1}]
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "backsweep", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def call(folder: Path, *arguments: str, code: int = 0) -> str:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return out if code == 0 else err


def sweep(folder: Path, *sets: str, document: str = DOCUMENT) -> dict[str, Any]:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "sweep.yaml").write_text(document)
    arguments = [part for each in sets for part in ("--set", each)]
    result: dict[str, Any] = json.loads(call(folder, "run", "sweep.yaml", "--json", *arguments))
    return result


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("finished")
    return folder, sweep(folder)


def test_a_run_verifies_and_leaves_what_the_contract_names(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    run = folder / summary["output"]
    names = {path.name for path in run.iterdir()}
    assert {"manifest.json", "trials.parquet", "returns.parquet", "weights", "timings.json"} <= names
    assert {"heatmap.png", "report.html"} <= names
    trials = pd.read_parquet(run / "trials.parquet")
    assert len(trials) == summary["trials"]["total"] == 4 * (1 + 3 * 2 * 2)
    returns = pd.read_parquet(run / "returns.parquet")
    assert set(returns.columns) == set(trials["trial"])
    assert returns.columns[0] == summary["leaders"][0]["trial"]
    assert {path.stem for path in (run / "weights").iterdir()} == set(trials["solve"])
    assert summary["resultDigest"] in call(folder, "verify", str(run))


def test_metrics_are_of_the_ranked_rows_of_the_stored_returns(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    run = folder / summary["output"]
    trials = pd.read_parquet(run / "trials.parquet").set_index("trial")
    ranked = pd.read_parquet(run / "returns.parquet").iloc[:-200]
    expected = ranked.mean() / ranked.std(ddof=1) * np.sqrt(252)
    np.testing.assert_allclose(trials["sharpe"], expected[trials.index], rtol=1e-10)


def test_a_second_run_computes_nothing_and_has_the_same_digest(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, first = finished
    manifest = (folder / first["output"] / "manifest.json").read_bytes()
    second = sweep(folder)
    assert second["computed"] == {"blocks": 0, "solveUnits": 0, "simulations": 0}
    assert second["resultDigest"] == first["resultDigest"]
    assert (folder / second["output"] / "manifest.json").read_bytes() == manifest


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_another_folder_and_any_number_of_processes_give_the_same_digest(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, processes: int
) -> None:
    again = sweep(tmp_path, f"execution.parallelism={processes}")
    assert again["computed"]["simulations"] == 52
    assert again["resultDigest"] == finished[1]["resultDigest"]


def test_units_made_for_another_sweep_give_the_same_bytes(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    sweep(tmp_path, "axes.profile=min_variance", "axes.lookback=252,126")
    whole = sweep(tmp_path)
    assert 0 < whole["computed"]["simulations"] < 52
    assert whole["resultDigest"] == finished[1]["resultDigest"]


def test_one_more_profile_computes_only_its_own_units(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "more"
    shutil.copytree(finished[0], folder)
    more = sweep(
        folder, "axes.profile=equal_weight,min_variance,{name: hrp, linkage: ward},risk_parity,max_diversification"
    )
    assert more["computed"]["simulations"] == 16
    assert more["trials"]["cached"] == 52


def test_one_more_month_computes_only_the_last_units(tmp_path: Path) -> None:
    document = DOCUMENT.replace("2014-12-31", "2014-11-28")
    first = sweep(tmp_path, document=document)
    more = sweep(tmp_path)
    assert more["windows"] > first["windows"]
    # Each solve has units of 64 windows and a ragged last one: the last alone is solved again.
    assert more["computed"]["solveUnits"] < first["computed"]["solveUnits"]


def test_killed_at_random_moments_it_resumes_to_the_same_digest(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "sweep.yaml").write_text(DOCUMENT)
    dice = random.Random(7)
    for _ in range(int(os.environ.get("BACKSWEEP_KILLS", "5"))):
        process = start(tmp_path, "run", "sweep.yaml", "--json")
        time.sleep(dice.uniform(0.2, 2.5))  # the moment of the kill: whatever it hits must not matter
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert sweep(tmp_path)["resultDigest"] == finished[1]["resultDigest"]
    call(tmp_path, "verify", "runs/contract")


def test_two_runs_at_once_in_one_folder_agree(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(DOCUMENT)
    both = [start(tmp_path, "run", "sweep.yaml", "--json", "--output", f"runs/{name}") for name in ("one", "two")]
    for process in both:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert json.loads(out)["resultDigest"] == finished[1]["resultDigest"]


def test_ctrl_c_leaves_a_resumable_store_and_exits_130(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(DOCUMENT)
    process = start(tmp_path, "run", "sweep.yaml", "--set", "axes.lookback=63,126,252,400")
    assert process.stderr is not None
    process.stderr.readline()  # it says what it is about to compute
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to go on" in err
    call(tmp_path, "run", "sweep.yaml", "--set", "axes.lookback=63,126,252,400", "--json")


@pytest.mark.parametrize(
    ("victim", "sentence"),
    [("trials.parquet", "trials.parquet: hashes to"), ("returns.parquet", "is not the stored series")],
)
def test_verify_finds_a_changed_table(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, victim: str, sentence: str
) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(finished[0] / "runs/contract", folder)
    frame = pd.read_parquet(folder / victim)
    column = "sharpe" if victim == "trials.parquet" else frame.columns[0]
    frame.loc[frame.index[0], column] += 1e-9
    frame.to_parquet(folder / victim)
    assert sentence in call(folder, "verify", ".", code=1)


def test_verify_finds_a_changed_object(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(finished[0], tmp_path / "changed")
    manifest = tmp_path / "changed/runs/contract/manifest.json"
    store = tmp_path / "changed/.backsweep/store"
    manifest.write_text(manifest.read_text().replace(str(finished[0]), str(tmp_path / "changed")))
    largest = max((store / "objects").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    data = bytearray(largest.read_bytes())
    data[-1] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(bytes(data))
    assert largest.name[:16] in call(tmp_path, "verify", str(manifest), code=1)


def test_the_notebook_reads_what_the_command_wrote(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    opened = backsweep.open(folder / summary["output"])
    best = summary["leaders"][0]["trial"]
    assert opened.trials.loc[best, "sharpe"] == summary["leaders"][0]["metrics"]["sharpe"]
    assert list(opened.returns([best]).columns) == [best]
    weights = opened.weights("best")
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    assert len(opened.positions(best)) == len(opened.returns())


def test_no_decision_sees_a_row_at_or_after_its_first_test_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    dates = pd.bdate_range("2015-01-01", periods=500, name="date")
    prices = pd.DataFrame(
        100 * np.cumprod(1 + 0.01 * rng.standard_normal((500, 6)), axis=0), index=dates, columns=list("ABCDEF")
    )
    document = DOCUMENT.replace(
        '{name: sp500-20, start: "2008-01-02", end: "2014-12-31"}', "{uri: file://prices.csv}"
    ).replace("profile: [", "profile: [nco, herc, min_cvar, max_diversification, {name: barbell}, ")
    weights = []
    change = 400
    for name, factor in (("before", 1.0), ("after", 1.7)):
        folder = tmp_path / name
        folder.mkdir()
        changed = prices.copy()
        changed.iloc[change:] *= factor * (1 + 0.1 * rng.standard_normal((100, 6)))
        changed.to_csv(folder / "prices.csv")
        opened = backsweep.open(folder / sweep(folder, "validation.holdout=50", document=document)["output"])
        weights.append({trial: opened.weights(trial) for trial in opened.trials.index})
    untouched = 0
    for trial, frame in weights[0].items():
        early = frame.index <= dates[change]  # decided before the changed rows
        untouched += int(early.sum())
        # Windows of one unit are solved together: a later one may move an earlier one's last bits, and no more.
        np.testing.assert_allclose(frame[early], weights[1][trial][early], rtol=0, atol=1e-11)
    assert untouched > 100
    assert any(not frame.equals(weights[1][trial]) for trial, frame in weights[0].items())


@pytest.mark.parametrize("what", ["returns", "weights", "record"])
def test_damage_by_a_power_cut_is_computed_again(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, what: str
) -> None:
    shutil.copytree(finished[0], tmp_path / "damaged")
    store = tmp_path / "damaged/.backsweep/store"
    units = {path.stem: json.loads(path.read_text()) for path in (store / "units").iterdir()}
    kind = "solve" if what == "weights" else "simulation"
    unit, record = next((unit, record) for unit, record in sorted(units.items()) if record["kind"] == kind)
    path = store / "units" / f"{unit}.json"
    if what != "record":
        digest = record["objects"][what]
        (path,) = (store / "objects").rglob(digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:100])
    if what == "weights":  # weights are read only where a simulation is missing
        (store / "units" / f"{next(u for u, r in sorted(units.items()) if r['kind'] == 'simulation')}.json").unlink()
    assert sweep(tmp_path / "damaged")["resultDigest"] == finished[1]["resultDigest"]
