"""examples/migration end to end: run once, all stored; changed in the middle, killed in the middle, gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "migration"
STEPS = ["deliver", "scan", "ingest", "selection"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "backsweep", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def call(folder: Path, *arguments: str, code: int = 0) -> str:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out if code == 0 else err


def pipeline(folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the steps that ran, and what the sweep came to."""
    told = json.loads(call(folder, "pipeline", "pipeline.py", "--json"))
    assert [each["step"] for each in told["steps"]] == STEPS
    return [each["step"] for each in told["steps"] if not each["cached"]], told["sweep"]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("migration") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("raw", "build", "runs", ".*", "__pycache__"))
    ran, sweep = pipeline(folder)
    assert ran == STEPS
    return folder, sweep


@pytest.fixture
def copy(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """The finished pipeline in a folder of the test's own."""
    shutil.copytree(finished[0], tmp_path / "example")
    return tmp_path / "example"


def test_the_run_names_its_steps_and_verifies(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, sweep = finished
    run = folder / sweep["output"]
    manifest = json.loads((run / "manifest.json").read_text())
    assert [each["name"] for each in manifest["run"]["steps"]] == STEPS
    assert list(json.loads((run / "timings.json").read_text())["steps"]) == STEPS
    assert "step ingest" in (run / "report.html").read_text()
    assert sweep["resultDigest"] in call(folder, "verify", str(run))
    assert "20 assets, 1990-01-02 to 2022-12-28" in call(folder, "data", "show", "migration")
    assert sweep["trials"]["total"] == 5


def test_a_second_run_is_all_stored_and_restores_what_is_gone(
    copy: Path, finished: tuple[Path, dict[str, Any]]
) -> None:
    shutil.rmtree(copy / "build")
    shutil.rmtree(copy / "raw")
    ran, sweep = pipeline(copy)
    assert ran == []
    assert sweep["resultDigest"] == finished[1]["resultDigest"]
    assert sweep["trials"]["cached"] == 5
    assert len(list((copy / "build/lake").rglob("*.parquet"))) == 20


def test_a_changed_script_runs_again_from_there(copy: Path, finished: tuple[Path, dict[str, Any]]) -> None:
    change(copy / "ingest.py", '"close": pa.float64()', '"close": pa.float32()')
    ran, sweep = pipeline(copy)
    assert ran == ["ingest", "selection"]
    assert sweep["resultDigest"] != finished[1]["resultDigest"]
    assert sweep["trials"]["cached"] == 0


def test_a_pipeline_killed_in_a_step_leaves_no_half_and_goes_on(
    copy: Path, finished: tuple[Path, dict[str, Any]]
) -> None:
    shutil.rmtree(copy / "build")
    change(copy / "ingest.py", "        sys.stdout.write(", "        halt(folder)\n        sys.stdout.write(")
    halt = (
        "def halt(folder: Path) -> None:\n    import time\n\n    while folder.name == 'symbol=CVX' and not GO.exists():"
    )
    halt += "\n        HERE.touch()\n        time.sleep(0.05)\n\n\ndef main("
    here = f"GO, HERE = Path({str(copy / 'go')!r}), Path({str(copy / 'here')!r})\n\n\n"
    change(copy / "ingest.py", "def main(", here + halt)
    process = start(copy, "pipeline", "pipeline.py")
    deadline = time.monotonic() + 60
    while not (copy / "here").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (copy / "build/scan.json").exists()
    assert not (copy / "build/lake").exists()
    (copy / "go").touch()
    ran, sweep = pipeline(copy)
    assert ran == ["ingest"]  # its new code makes the lakehouse that the selection knows
    assert sweep["resultDigest"] == finished[1]["resultDigest"]


def test_a_broken_delivery_is_one_sentence(copy: Path) -> None:
    change(copy / "scan.py", '["date", "close"]', '["date", "price"]')
    said = call(copy, "pipeline", "pipeline.py", code=2).splitlines()
    assert said[-2:] == [
        "backsweep: StepFailed: step scan: it ended with exit code 1; its stderr ends:",
        "  AAPL.csv: has the columns ['date', 'close']; date and close are expected",
    ]


def test_the_scripts_run_without_us_as_they_did_before(tmp_path: Path, finished: tuple[Path, dict[str, Any]]) -> None:
    folder = tmp_path / "before"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("raw", "build", "runs", ".*", "__pycache__"))
    subprocess.run([sys.executable, "before.py"], cwd=folder, check=True, capture_output=True, timeout=120)
    manifest = json.loads((folder / "runs/migration/manifest.json").read_text())
    assert manifest["resultDigest"] == finished[1]["resultDigest"]
