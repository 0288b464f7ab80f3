"""A pipeline under a real Prefect server: steps are tasks, scripts speak in the log, the sweep is a flow within."""

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

MAKE = """
import sys
import pyarrow as pa
import pyarrow.parquet as pq

days = pa.array([17000 + 7 * (n // 5) + n % 5 for n in range(400)], pa.int32()).cast(pa.date32())
prices = {name: [100 + place + (n * 37 % 11) / 10 for n in range(400)] for place, name in enumerate("AB")}
pq.write_table(pa.table({"date": days, **prices}), sys.argv[1])
print("400 days are made")
"""
FLAKY = """
import pathlib, sys
marker = pathlib.Path(sys.argv[1])
if not marker.exists():
    marker.touch()
    sys.exit("not ready yet")
pathlib.Path("note").write_text("ready")
"""
PIPELINE = """
from backsweep.flow import Attempts, Pipeline, step

quick = Attempts(retries=1, pause_seconds=0.0)
make = step(["python", "make.py", "prices.parquet"], outputs=["prices.parquet"])
flaky = step(["python", "flaky.py", {marker!r}], outputs=["note"], attempts=quick)
last = step(["sh", "-c", "cat note > last"], inputs=[make, flaky], outputs=["last"], name="last")
pipeline = Pipeline([last], sweep="sweep.yaml")
"""
SWEEP = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: of-steps}
spec:
  data: {uri: "file://prices.parquet"}
  axes: {profile: [equal_weight, min_variance], lookback: [60]}
"""
PATIENCE_SECONDS = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {"make.py": MAKE, "flaky.py": FLAKY, "sweep.yaml": SWEEP}
    texts["pipeline.py"] = PIPELINE.format(marker=str(tmp_path / "marker"))
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, code: int = 0, **variables: str) -> Any:
    command = [sys.executable, "-m", "backsweep", "pipeline", "pipeline.py", "--json"]
    environment = {**os.environ, "BACKSWEEP_PREFECT": "1", **variables}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def ask(endpoint: Endpoint, path: str, **body: Any) -> Any:
    request = urllib.request.Request(f"{endpoint.api_url}/{path}", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", "Basic " + base64.b64encode((endpoint.auth or "").encode()).decode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def newest(endpoint: Endpoint) -> dict[str, Any]:
    pipelines = {"name": {"any_": ["backsweep-pipeline"]}}
    found: dict[str, Any] = ask(endpoint, "flow_runs/filter", flows=pipelines, sort="START_TIME_DESC")[0]
    return found


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def tasks(endpoint: Endpoint, flow_run: dict[str, Any], count: int) -> dict[str, dict[str, Any]]:
    """Return the tasks by name once all of `count` are told to have ended."""

    def look() -> dict[str, dict[str, Any]]:
        found = ask(endpoint, "task_runs/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
        ended = {each["name"]: each for each in found if each["state_type"] in {"COMPLETED", "FAILED"}}
        return ended if len(ended) >= count else {}

    ended: dict[str, dict[str, Any]] = eventually(look)
    return ended


def lines(endpoint: Endpoint, flow_run: dict[str, Any]) -> list[str]:
    found = ask(endpoint, "logs/filter", logs={"flow_run_id": {"any_": [flow_run["id"]]}}, limit=200)
    return [each["message"] for each in found]


def test_steps_are_tasks_and_the_sweep_a_flow_within(endpoint: Endpoint, folder: Path) -> None:
    told = run(folder)
    flow_run = newest(endpoint)
    assert (flow_run["name"], flow_run["state_type"]) == ("of-steps", "COMPLETED")
    found = tasks(endpoint, flow_run, 4)
    sweep = next(name for name in found if name.startswith("backsweep-sweep"))
    assert set(found) == {"make", "flaky", "last", sweep}
    assert found["flaky"]["run_count"] == 2  # it was tried again, and Prefect saw it
    after = {each["id"] for each in found["last"]["task_inputs"]["after"]}
    assert after == {found["make"]["id"], found["flaky"]["id"]}
    said = eventually(lambda: [line for line in [lines(endpoint, flow_run)] if "make: 400 days are made" in line])[0]
    assert "flaky: not ready yet" in said
    mine = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    artifact = eventually(lambda: ask(endpoint, "artifacts/filter", **mine))[0]
    assert artifact["key"] == "steps-of-steps"
    assert {row["step"]: row["state"] for row in json.loads(artifact["data"])}["last"] == "ran"

    again = run(folder)
    assert [each["cached"] for each in again["steps"]] == [True] * 3
    found = tasks(endpoint, newest(endpoint), 4)
    assert [found[name]["state_name"] for name in ("make", "flaky", "last")] == ["Cached"] * 3
    bare = run(folder, BACKSWEEP_PREFECT="0")
    assert [each["cached"] for each in bare["steps"]] == [True] * 3
    digests = {each["sweep"]["resultDigest"] for each in (told, again, bare)}
    assert len(digests) == 1


def test_a_step_that_fails_fails_the_flow_with_its_sentence(endpoint: Endpoint, folder: Path) -> None:
    (folder / "make.py").write_text("import sys\nsys.exit('the vendor is closed')\n")
    said = run(folder, code=2)
    assert "StepFailed: step make: it ended with exit code 1; its stderr ends:\n  the vendor is closed" in said
    flow_run = newest(endpoint)
    assert flow_run["state_type"] == "FAILED"
    found = tasks(endpoint, flow_run, 2)
    assert (found["make"]["state_type"], found["make"]["run_count"]) == ("FAILED", 2)
    assert found["flaky"]["state_type"] == "COMPLETED"
    assert "last" not in found


def test_a_server_killed_while_a_step_runs_is_started_again_and_told(endpoint: Endpoint, folder: Path) -> None:
    here, go = folder / "here", folder / "go"
    wait = "import pathlib, time\nhere, go = map(pathlib.Path, sys.argv[2:4])\nhere.touch()\n"
    wait += "while not go.exists():\n    time.sleep(0.05)\n"
    (folder / "make.py").write_text(f"import sys\n{wait}{MAKE}")
    text = (folder / "pipeline.py").read_text()
    (folder / "pipeline.py").write_text(text.replace('"prices.parquet"], o', f'"prices.parquet", "{here}", "{go}"], o'))
    command = [sys.executable, "-m", "backsweep", "pipeline", "pipeline.py", "--json"]
    environment = {**os.environ, "BACKSWEEP_PREFECT": "1"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        eventually(here.exists)
        record = server.status().record
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        go.touch()
        told = json.loads(process.communicate(timeout=240)[0])
    assert process.returncode == 0
    assert [each["cached"] for each in told["steps"]] == [False] * 3
    flow_run = newest(server.ensure())
    assert flow_run["state_type"] == "COMPLETED"
    assert "make" in tasks(endpoint, flow_run, 4)
