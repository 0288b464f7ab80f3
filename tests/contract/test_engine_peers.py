"""The real peers in a sweep: how near they come, what they share with native, and that nothing of native changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import backsweep

PROFILES = ["min_variance", "max_sharpe", "risk_parity", "hrp", "min_cvar", "herc"]
DOCUMENT: dict[str, Any] = {
    "apiVersion": "backsweep.dev/v1alpha1",
    "kind": "BacktestSweep",
    "metadata": {"name": "engines"},
    "spec": {
        "data": {"name": "sp500-20", "start": "2018-06-01"},
        "walkForward": {"train": 252, "test": 60, "step": 60, "purge": 1},
        "axes": {
            "profile": [*PROFILES, {"name": "hrp", "leafOrder": True, "linkage": "ward"}],
            "engine": ["native", "skfolio", "pyportfolioopt"],
        },
        "execution": {"mode": "local", "parallelism": 1},
    },
}


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    command = [sys.executable, "-m", "backsweep", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def run(folder: Path, document: dict[str, Any], *arguments: str) -> dict[str, Any]:
    """Run the document and return its summary."""
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(document))
    done = call(folder, "run", "sweep.json", "--no-prefect", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def native_alone() -> dict[str, Any]:
    spec = DOCUMENT["spec"]
    return {**DOCUMENT, "spec": {**spec, "axes": {**spec["axes"], "engine": ["native"]}}}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the folder of the sweep and its summary."""
    folder = tmp_path_factory.mktemp("engines")
    return folder, run(folder, DOCUMENT)


def parity(summary: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return (engine, profile, linkage) -> its row of the parity table."""
    rows = summary["parity"]["rows"]
    found = {(row["engine"], row["axes"]["profile"], row["axes"].get("linkage", "-")): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_the_peers_agree_as_far_as_their_solvers_go(swept: tuple[Path, dict[str, Any]]) -> None:
    rows = parity(swept[1])
    # worst difference of a weight and worst residual: the levels docs/engines.md tells
    levels = {
        ("skfolio", "min_variance", "-"): (2e-3, 1e-2),
        ("skfolio", "max_sharpe", "-"): (3e-3, 1e-2),
        ("skfolio", "risk_parity", "-"): (1e-4, 1e-3),
        ("skfolio", "min_cvar", "-"): (1e-3, 1e-5),
        ("pyportfolioopt", "min_variance", "-"): (1e-4, 1e-3),
        ("pyportfolioopt", "max_sharpe", "-"): (1e-4, 1e-3),
        ("pyportfolioopt", "min_cvar", "-"): (1e-3, 1e-5),
    }
    for key, (difference, residual) in levels.items():
        row = rows[key]
        assert row["median"] <= row["worst"] <= difference, key
        assert row["certificate"] <= 1e-10 <= 1.0, key
        assert row["peerCertificate"] <= residual, key
        assert row["note"] is None, key
    nearest = [row for key, row in rows.items() if key[1] == "min_variance" and key[0] == "skfolio"]
    assert nearest[0]["peerCertificate"] > 1e-8 > nearest[0]["certificate"]


def test_recipes_agree_where_their_conventions_do_and_are_noted_where_not(swept: tuple[Path, dict[str, Any]]) -> None:
    rows = parity(swept[1])
    assert rows["pyportfolioopt", "hrp", "single"]["worst"] < 1e-12
    assert rows["skfolio", "hrp", "ward"]["worst"] < 1e-12  # asked for the order skfolio always takes
    assert rows["skfolio", "hrp", "ward"]["note"] is None
    other = rows["skfolio", "hrp", "single"]
    assert 0.01 < other["worst"] < 0.3
    assert other["note"] == "orders leaves optimally"
    assert "clusters" in rows["skfolio", "herc", "ward"]["note"]
    for row in rows.values():
        assert row["windows"] == swept[1]["windows"]
        assert row["failedWindows"] == row["peerFailedWindows"] == 0
        assert row["timeRatio"] > 1
    for key in (("pyportfolioopt", "hrp", "single"), ("skfolio", "herc", "ward")):
        assert rows[key]["peerCertificate"] is None


def test_what_a_peer_lacks_is_said_and_not_run(swept: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = swept
    assert summary["notMade"] == [
        "pyportfolioopt has no risk_parity, herc or optimal leaf order; those trials are not made"
    ]
    assert summary["trials"] == {**summary["trials"], "total": 7 + 7 + 4, "failed": 0}
    trials = pd.read_parquet(folder / "runs/engines/trials.parquet")
    assert trials.groupby("engine").size().to_dict() == {"native": 7, "skfolio": 7, "pyportfolioopt": 4}
    report = (folder / "runs/engines/report.html").read_text()
    assert "Engines side by side" in report
    assert summary["notMade"][0] in report
    planned = call(folder, "plan", "sweep.json")
    assert summary["notMade"][0] in planned.stdout


def test_native_is_what_it_is_without_them(swept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, summary = swept
    alone = run(tmp_path / "alone", native_alone())
    assert "engine" not in summary["axes"]
    ranked = [(leader["trial"], leader["metrics"]) for leader in summary["leaders"]]
    assert ranked == [(leader["trial"], leader["metrics"]) for leader in alone["leaders"]]
    assert alone["parity"] is None
    assert alone["notMade"] == []
    both = backsweep.open(folder / "runs/engines")
    only = backsweep.open(tmp_path / "alone/runs/engines")
    ids = [trial for trial, _ in ranked]
    pd.testing.assert_frame_equal(both.returns(ids), only.returns(ids), check_exact=True)
    assert [item["scenario"]["engine"] for item in summary["sensitivity"]] == ["native", "skfolio", "pyportfolioopt"]
    # what native solved for the one sweep is there for the other
    shutil.copytree(tmp_path / "alone/.backsweep", tmp_path / "again/.backsweep")
    later = run(tmp_path / "again", DOCUMENT)
    assert later["trials"]["cached"] == 7
    assert later["resultDigest"] == summary["resultDigest"]


def test_processes_and_a_resumed_store_give_the_same_bytes(swept: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, summary = swept
    spread = run(tmp_path / "two", DOCUMENT, "--set", "spec.execution.parallelism=2")
    assert spread["resultDigest"] == summary["resultDigest"]
    again = run(folder, DOCUMENT)
    assert again["trials"]["cached"] == again["trials"]["total"]
    assert again["resultDigest"] == summary["resultDigest"]
    assert all(row["timeRatio"] is None for row in again["parity"]["rows"])
    checked = call(folder, "verify", "runs/engines")
    assert checked.returncode == 0, checked.stderr


IMPORTED = """
import sys
from backsweep.settings import pin_numeric_environment
pin_numeric_environment()
import numpy as np
from backsweep.solve.engines.versions import engine_versions
from backsweep.solve.unit import solve_run
from backsweep.sweep.work import no_timer
from backsweep.sources.loading import load
from backsweep.plan.windows import WalkForward, make_windows
from backsweep.units import Estimator, Solve
from pathlib import Path
def there():
    return sorted({"skfolio", "pypfopt", "cvxpy", "sklearn"} & set(sys.modules))
returns = load({"name": "sp500-20", "start": "2020-01-02"}, Path()).returns
windows = make_windows(returns, 252, 252, WalkForward(60, 60, 0, anchored=False, keep_partial=False)).part(0, 1)
print(there())
for engine in ("native", "pyportfolioopt", "skfolio"):
    versions = engine_versions([engine]).get(engine, {})
    solve = Solve("min_variance", {}, Estimator("sample"), None, None, np.arange(20), engine=engine, versions=versions)
    (weights,) = solve_run([solve], windows, returns, no_timer)
    assert not weights.failures, weights.failures
    print(there())
"""


def test_a_peer_is_imported_where_it_solves_and_nowhere_else() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", IMPORTED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[]",
        "[]",
        "['cvxpy', 'pypfopt']",
        "['cvxpy', 'pypfopt', 'skfolio', 'sklearn']",
    ]


WITHOUT = """
import sys
from importlib import metadata
real = metadata.version
def version(name):
    if name == "skfolio":
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
sys.argv = ["backsweep", *sys.argv[1:]]
from backsweep.cli import main
raise SystemExit(main())
"""


def test_a_missing_package_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(DOCUMENT))
    command = [sys.executable, "-c", WITHOUT, "run", "sweep.json", "--no-prefect"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "skfolio needs skfolio, which is not installed: pip install 'backsweep[engines]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()
    units = [json.loads(path.read_text()) for path in (tmp_path / ".backsweep").rglob("units/*.json")]
    assert not [unit for unit in units if unit["kind"] in ("solve", "simulation")]
