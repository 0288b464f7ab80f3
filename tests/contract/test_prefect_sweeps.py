"""A sweep under a real Prefect server: the engine's own bytes, a dashboard that tells the truth, and every death."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backsweep.orchestration import server
from backsweep.orchestration.server import Endpoint

DRIVER = Path(__file__).with_name("prefect_sweep.py")
PATIENCE_SECONDS = 120.0

# The strategy says that it runs, and waits until the test has done its worst.
STRATEGY = """
import os
import time
from pathlib import Path

def halting(context, scale):
    Path("running").write_text(" ".join(os.environ))
    while not Path("go").exists():
        time.sleep(0.05)
    return {symbol: 1.0 / len(context.symbols) for symbol in context.symbols}
"""
DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: halting}
spec:
  data: {name: sp500-20, start: "2018-01-02"}
  strategy:
    entrypoint: strategies:halting
    parameters: {scale: [1, 2]}
  axes:
    profile: [strategy, min_variance, hrp]
    lookback: [126]
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = workplace(tmp_path_factory.mktemp("bare"))
    (folder / "go").touch()
    command = [sys.executable, "-m", "backsweep", "run", "sweep.yaml", "--json", "--no-prefect"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=240)
    return str(json.loads(done.stdout)["resultDigest"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return workplace(tmp_path)


def workplace(folder: Path) -> Path:
    (folder / "strategies.py").write_text(STRATEGY)
    (folder / "sweep.yaml").write_text(DOCUMENT)
    return folder


def start(folder: Path, *mishap: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVER), str(folder / "sweep.yaml"), str(folder / "run"), *mishap]
    environment = {**os.environ, **variables}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert err == ""  # the terminal is the command line's own
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    if code == 0:
        (address,) = [said for said in result["said"] if said.startswith("dashboard  http")]
        result["said"].remove(address)
    return result


def start_and_halt(folder: Path, *mishap: str, **variables: str) -> subprocess.Popen[str]:
    process = start(folder, *mishap, **variables)
    wait_for((folder / "running").exists)
    return process


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return found


def ask(endpoint: Endpoint, path: str, **body: Any) -> Any:
    request = urllib.request.Request(f"{endpoint.api_url}/{path}", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", "Basic " + base64.b64encode((endpoint.auth or "").encode()).decode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def runs(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the flow runs, the newest first."""
    found: list[dict[str, Any]] = ask(endpoint, "flow_runs/filter", sort="START_TIME_DESC")
    return found


def of(run: dict[str, Any]) -> dict[str, Any]:
    return {"flow_runs": {"id": {"any_": [run["id"]]}}}


def finished_tasks(endpoint: Endpoint, run: dict[str, Any], count: int) -> dict[str, dict[str, Any]]:
    """Return the run's tasks by name as soon as `count` of them are shown as ended."""

    def look() -> dict[str, dict[str, Any]]:
        found = {task["name"]: task for task in ask(endpoint, "task_runs/filter", **of(run))}
        ended = [task for task in found.values() if task["state_type"] in {"COMPLETED", "FAILED", "CRASHED"}]
        return found if len(ended) >= count else {}

    tasks: dict[str, dict[str, Any]] = wait_for(look)
    return tasks


STAGES = [
    "resolve data",
    "plan",
    "solve and simulate",
    "compare",
    "tables",
    "name units",
    "commit",
    "report",
    "run folder",
]


ARTIFACTS = {f"{kind}-halting" for kind in ("files", "heatmap", "leaders", "progress", "verdict")}


def test_a_sweep_under_prefect_has_the_engines_digest_and_shows_what_a_person_wants(
    endpoint: Endpoint, bare: str, folder: Path
) -> None:
    (folder / "go").touch()
    result = finish(start(folder, "worker"))
    assert result == {"resultDigest": bare, "said": []}
    assert "PREFECT_API_AUTH_STRING" not in (folder / "running").read_text()  # the user's code never sees it
    run = runs(endpoint)[0]
    assert run["name"].startswith("halting-")
    assert run["state_type"] == "COMPLETED"
    assert run["parameters"]["document"]["metadata"]["name"] == "halting"
    tasks = finished_tasks(endpoint, run, len(STAGES))
    assert sorted(tasks) == sorted(STAGES)
    assert {task["state_type"] for task in tasks.values()} == {"COMPLETED"}
    attempts = {name: task["run_count"] for name, task in tasks.items()}
    assert attempts == {**dict.fromkeys(STAGES, 1), "solve and simulate": 2}  # the worker that was lost
    artifacts = {each["key"]: each for each in ask(endpoint, "artifacts/filter", **of(run))}
    assert set(artifacts) >= ARTIFACTS
    assert artifacts["progress-halting"]["data"] == 100.0
    assert artifacts["heatmap-halting"]["data"].startswith("data:image/png;base64,")
    assert [row["rank"] for row in json.loads(artifacts["leaders-halting"]["data"])] == [1, 2, 3, 4]
    assert bare in artifacts["files-halting"]["data"]
    logs = ask(endpoint, "logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}})
    assert any("4/4 trials" in line["message"] for line in logs)


def test_what_workers_print_is_in_the_flow_runs_log_and_in_the_store(endpoint: Endpoint, folder: Path) -> None:
    (folder / "go").touch()
    strategy = STRATEGY.replace("    while not", "    print('the scale is', scale)\n    while not")
    (folder / "strategies.py").write_text(strategy)
    (folder / "sweep.yaml").write_text(DOCUMENT + "  execution: {mode: local, parallelism: 2}\n")
    result = finish(start(folder))
    assert [line.startswith("workers printed") for line in result["said"]] == [True]
    logs = ask(endpoint, "logs/filter", logs={"flow_run_id": {"any_": [runs(endpoint)[0]["id"]]}})
    shown = {line["message"] for line in logs}
    assert {"worker the scale is 1", "worker the scale is 2"} <= shown
    assert any("more lines of workers are in" in message for message in shown)
    (kept,) = (folder / ".backsweep/store/sweeps/local/halting").glob("*/logs/*.workers.log")
    windows = sum(line.endswith(" the scale is 2") for line in kept.read_text().splitlines())
    assert windows == sum(line.endswith(" the scale is 1") for line in kept.read_text().splitlines()) > 50


def test_a_deterministic_error_is_the_same_sentence_and_fails_the_flow_without_a_second_try(
    endpoint: Endpoint, folder: Path
) -> None:
    text = (folder / "sweep.yaml").read_text()
    (folder / "sweep.yaml").write_text(text.replace("lookback: [126]", "lookback: [5000]"))
    failed = finish(start(folder), code=1)
    bare = subprocess.run(
        [sys.executable, "-m", "backsweep", "run", "sweep.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert bare.stderr == f"backsweep: {failed['reason']}: {failed['error']}\n"
    run = runs(endpoint)[0]
    assert run["state_type"] == "FAILED"
    assert failed["error"] in run["state"]["message"]
    tasks = finished_tasks(endpoint, run, 2)
    assert {name: (task["state_type"], task["run_count"]) for name, task in tasks.items()} == {
        "resolve data": ("COMPLETED", 1),
        "plan": ("FAILED", 1),
    }


def test_a_killed_run_is_shown_as_crashed_by_the_next_which_ends_with_the_same_digest(
    endpoint: Endpoint, bare: str, folder: Path
) -> None:
    process = start_and_halt(folder)
    killed = runs(endpoint)[0]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert runs(endpoint)[0]["state_type"] == "RUNNING"  # Prefect cannot know
    (folder / "go").touch()
    assert finish(start(folder))["resultDigest"] == bare
    after = {run["id"]: run for run in runs(endpoint)}[killed["id"]]
    assert after["state_type"] == "CRASHED"
    assert "what it finished is stored" in after["state"]["message"]


def test_a_server_killed_in_the_middle_is_started_again_and_shows_the_run_to_its_end(
    endpoint: Endpoint, bare: str, folder: Path
) -> None:
    process = start_and_halt(folder)
    before = server.status().record
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    (folder / "go").touch()
    assert finish(process) == {"resultDigest": bare, "said": []}
    after = server.status()
    assert after.answers
    assert after.record is not None
    assert after.record.port == before.port
    assert after.record.pid != before.pid
    run = runs(endpoint)[0]
    assert run["state_type"] == "COMPLETED"
    tasks = finished_tasks(endpoint, run, len(STAGES))
    assert {task["state_type"] for task in tasks.values()} == {"COMPLETED"}
    assert {each["key"] for each in ask(endpoint, "artifacts/filter", **of(run))} >= ARTIFACTS


def test_run_and_server_killed_at_once_go_on_with_the_next_run(endpoint: Endpoint, bare: str, folder: Path) -> None:
    process = start_and_halt(folder)
    killed = runs(endpoint)[0]
    record = server.status().record
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (folder / "go").touch()
    result = finish(start(folder))
    assert result["resultDigest"] == bare
    assert ["starting a Prefect server" in said for said in result["said"]] == [True]
    states = {run["id"]: run["state_type"] for run in runs(endpoint)[:2]}
    assert states.pop(killed["id"]) == "CRASHED"
    assert list(states.values()) == ["COMPLETED"]


def test_a_command_runs_as_a_flow_by_default_shows_what_was_stored_and_leaves_its_log_in_the_store(
    endpoint: Endpoint, bare: str, folder: Path
) -> None:
    (folder / "go").touch()

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "BACKSWEEP_PREFECT"}
        line = [sys.executable, "-m", "backsweep", *words]
        return subprocess.run(
            line, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=240
        )

    for _ in range(2):
        ran = command("run", "sweep.yaml")
    assert f"result {bare[:16]}" in ran.stdout
    run = runs(endpoint)[0]
    assert ran.stderr.startswith(f"dashboard  {endpoint.dashboard}/runs/flow-run/{run['id']}\n")
    states = {name: task["state_name"] for name, task in finished_tasks(endpoint, run, len(STAGES)).items()}
    assert {name for name, state in states.items() if state == "Cached"} == {"solve and simulate", "commit"}
    server.stop()
    said = command("logs").stdout
    assert "solve and simulate: " in said
    assert "; the store had all 4 trials\n" in said
    assert f"result {bare} in {folder / 'runs/halting'}" in said
    assert len(command("logs", "sweep.yaml", "--list").stdout.splitlines()) == 2
    server.ensure()


def test_a_server_that_stays_away_costs_the_dashboard_and_not_the_result(
    endpoint: Endpoint, bare: str, folder: Path
) -> None:
    assert endpoint.auth is not None
    elsewhere = {
        "PREFECT_API_URL": endpoint.api_url,
        "PREFECT_API_AUTH_STRING": endpoint.auth,
        "PREFECT_CLIENT_MAX_RETRIES": "1",
    }
    process = start_and_halt(folder, "impatient", **elsewhere)
    server.stop()
    (folder / "go").touch()
    result = finish(process)
    server.ensure()
    assert result["resultDigest"] == bare
    assert len(result["said"]) == 1
    assert "Prefect was lost" in result["said"][0]
    assert (folder / "run/report.html").is_file()
