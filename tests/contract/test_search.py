"""The contract of a search: the same trials and bytes however it ran, and a folder that needs no optimiser."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import backsweep

STRATEGY = '''
"""Holds the asset that rises the more, the nearer x is to 0.37; dies or raises when it is told to."""

import os
import signal

import pandas as pd

CALLS = []


def planted(context, x, mode):
    CALLS.append(x)
    if len(CALLS) == int(os.environ.get("DIE_AT_CALL", "0")):
        os.kill(os.getpid(), signal.SIGKILL)
    if x < 0.1:
        raise ValueError("x is too small")
    risen = max(0.0, 1.0 - abs(x - 0.37) - (0.2 if mode == "b" else 0.0))
    return pd.Series({"UP": risen, "FLAT": 1.0 - risen})
'''
DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: searched}
spec:
  data: {uri: "file://prices.csv"}
  walkForward: {train: 40, test: 60}
  strategy:
    entrypoint: rules:planted
    parameters: {x: {low: 0, high: 1}, mode: [a, b]}
  axes:
    profile: [strategy, inverse_volatility]
    rebalance: [window, daily]
    costs: [{slippageBps: 5}, {slippageBps: 25}]
  sampling: {method: search, count: 8, rounds: 4, seed: 5}
  objective: {metric: cagr}
  execution: {maxFailedTrialsPercent: 100}
"""
TRIALS = 8 * 4 * 2


def lay_out(folder: Path) -> Path:
    """Write the document, its strategy and its prices: UP rises, FLAT does not."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    returns = 0.005 * generator.standard_normal((280, 2)) + np.array([0.002, 0.0])
    prices = pd.DataFrame(100 * np.cumprod(1 + returns, axis=0), columns=["UP", "FLAT"])
    prices.insert(0, "date", pd.bdate_range("2020-01-01", periods=280).strftime("%Y-%m-%d"))
    prices.to_csv(folder / "prices.csv", index=False)
    (folder / "rules.py").write_text(STRATEGY)
    (folder / "sweep.yaml").write_text(DOCUMENT)
    return folder


def run(folder: Path, *sets: str, die_at_call: int = 0) -> subprocess.CompletedProcess[str]:
    arguments = [part for each in sets for part in ("--set", each)]
    command = [sys.executable, "-m", "backsweep", "run", "sweep.yaml", "--json", *arguments]
    environment = {**os.environ, "DIE_AT_CALL": str(die_at_call)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )


def finish(folder: Path, *sets: str) -> dict[str, Any]:
    done = run(folder, *sets)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def without_optuna(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where Optuna cannot be imported and is not known to be installed."""
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from importlib import metadata; known = metadata.version\n"
        "def version(name):\n"
        "    if name == 'optuna': raise metadata.PackageNotFoundError(name)\n"
        "    return known(name)\n"
        "metadata.version = version\n"
        "from backsweep.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = lay_out(tmp_path_factory.mktemp("search"))
    return folder, finish(folder)


def test_a_search_runs_all_its_rounds_in_all_scenarios(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    trials = pd.read_parquet(folder / "runs/searched/trials.parquet")
    assert len(trials) == trials["trial"].nunique() == summary["trials"]["total"] == summary["trials"]["ever"] == TRIALS
    assert [each["points"] for each in summary["search"]["rounds"]] == [8, 8, 8, 8]
    best = [each["best"] for each in summary["search"]["rounds"]]
    assert best == sorted(best)
    assert best[-1] == summary["leaders"][0]["metrics"]["cagr"]
    assert not summary["search"]["exhausted"]
    assert summary["verdict"][-1].startswith(
        "Search: what was tried in later rounds was chosen by what these very rows"
    )
    assert trials["costs"].astype(str).value_counts().tolist() == [TRIALS // 2, TRIALS // 2]


def test_it_finds_what_was_planted_and_failing_trials_do_not_stop_it(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    trials = pd.read_parquet(folder / "runs/searched/trials.parquet")
    winner = trials.set_index("trial").loc[summary["leaders"][0]["trial"]]
    assert winner["parameters.x"] == pytest.approx(0.37, abs=0.05)
    assert winner["parameters.mode"] == "a"
    failed = trials["status"] == "failed"
    assert (failed == (trials["parameters.x"] < 0.1)).all()
    assert 0 < summary["trials"]["failed"] == failed.sum()


def test_processes_give_the_same_digest(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = finish(lay_out(tmp_path), "execution.parallelism=2")
    assert again["resultDigest"] == finished[1]["resultDigest"]


def test_ray_gives_the_same_digest(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    again = finish(lay_out(tmp_path), "execution.mode=ray", "execution.parallelism=1")
    assert again["where"]["kind"] == "ray"
    assert again["resultDigest"] == finished[1]["resultDigest"]


@pytest.mark.parametrize("call", [1, 40, 75])
def test_killed_in_a_round_or_between_two_it_goes_on(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, call: int
) -> None:
    folder = lay_out(tmp_path)
    assert run(folder, die_at_call=call).returncode == -signal.SIGKILL
    again = finish(folder)
    assert again["resultDigest"] == finished[1]["resultDigest"]
    assert again["trials"]["cached"] < TRIALS


def test_a_second_run_computes_nothing(finished: tuple[Path, dict[str, Any]]) -> None:
    again = finish(finished[0])
    assert again["computed"] == {"blocks": 0, "solveUnits": 0, "simulations": 0}
    assert again["trials"]["cached"] == TRIALS
    assert again["resultDigest"] == finished[1]["resultDigest"]


def test_fewer_rounds_are_the_beginning_of_more(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    short = finish(folder, "sampling.rounds=2")
    assert short["resultDigest"] != finished[1]["resultDigest"]
    whole = pd.read_parquet(finished[0] / "runs/searched/trials.parquet")["trial"].tolist()
    assert pd.read_parquet(folder / "runs/searched/trials.parquet")["trial"].tolist() == whole[: TRIALS // 2]
    longer = finish(folder)
    assert longer["trials"]["cached"] == TRIALS // 2
    assert longer["resultDigest"] == finished[1]["resultDigest"]


def test_another_seed_tries_other_trials(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    finish(folder, "sampling.seed=6", "sampling.rounds=1")
    other = set(pd.read_parquet(folder / "runs/searched/trials.parquet")["trial"])
    whole = pd.read_parquet(finished[0] / "runs/searched/trials.parquet")["trial"]
    assert len(other & set(whole)) <= 8  # what has no range may be the same


def test_what_it_left_is_read_without_optuna(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = finished
    verified = without_optuna(folder, "verify", "runs/searched")
    assert verified.returncode == 0, verified.stderr
    assert summary["resultDigest"] in verified.stdout
    explained = json.loads(without_optuna(folder, "explain", "best", "--json").stdout)
    assert explained["trial"] == summary["leaders"][0]["trial"]
    weights = json.loads(without_optuna(folder, "weights", "best", "--json").stdout)["weights"]
    assert weights["UP"] == pytest.approx(1, abs=0.05)
    opened = backsweep.open(folder / "runs/searched")
    assert len(opened.trials) == TRIALS


def test_without_optuna_a_search_says_so_and_its_first_round_runs(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    refused = without_optuna(folder, "run", "sweep.yaml")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        "backsweep: UserError: spec.sampling.method: search needs Optuna, which is not installed: "
        "pip install 'backsweep[search]', or write sobol"
    )
    assert not (folder / ".backsweep").exists()
    one = without_optuna(folder, "run", "sweep.yaml", "--set", "sampling.rounds=1")
    assert one.returncode == 0, one.stderr


def test_the_manifest_names_the_proposals_and_what_made_them(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = finished
    manifest = json.loads((folder / "runs/searched/manifest.json").read_text())
    named = manifest["result"]["objects"]["proposals"]
    rounds = json.loads((folder / ".backsweep/store/objects/sha256" / named[:2] / named).read_text())["rounds"]
    assert [len(points) for points in rounds] == [8, 8, 8, 8]
    assert manifest["result"]["environment"]["optuna"]


def test_a_space_that_is_tried_out_ends_the_search_and_says_so(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    sets = ["strategy=null", "axes.profile=hrp,min_variance", "axes.linkage=single,average,ward"]
    sets += ["axes.exclude=[{profile: hrp, linkage: ward}]", "sampling.count=4"]
    done = finish(folder, *sets)
    assert [each["points"] for each in done["search"]["rounds"]] == [4, 2]
    assert done["search"]["exhausted"]
    assert done["trials"]["total"] == 6 * 2
    said = subprocess.run(
        [sys.executable, "-m", "backsweep", "run", "sweep.yaml", *(part for each in sets for part in ("--set", each))],
        cwd=folder, capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    assert "every point of the axes is tried: the search ends, in round 2 of 4" in said.stderr
    assert "6 points in 2 rounds of 4: all points of the axes are tried" in said.stdout


@pytest.mark.parametrize(("threshold", "place"), [(TRIALS - 16, "ray"), (TRIALS - 15, "serial")])
def test_a_plan_counts_the_trials_of_all_rounds(
    finished: tuple[Path, dict[str, Any]], threshold: int, place: str
) -> None:
    command = [sys.executable, "-m", "backsweep", "plan", "sweep.yaml", "--json"]
    command += ["--set", f"execution.offloadThreshold={threshold}"]
    planned = json.loads(subprocess.run(command, cwd=finished[0], capture_output=True, text=True, check=True).stdout)
    assert planned["trials"] == planned["trialsCached"] == 16
    assert planned["search"]["mostTrials"] == TRIALS
    assert planned["search"]["predictedSeconds"] > planned["predictedSeconds"] == 0
    assert planned["place"]["kind"] == place
