"""Pipelines that are killed, meet each other, move to another machine, or cannot be read."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.contract.step_folder import StepFolder, chain

from backsweep.errors import TransientError, UserError
from backsweep.flow import step
from backsweep.flow.pipeline import PipelineRun, read_pipeline
from backsweep.flow.steps.graph import ordered
from backsweep.flow.steps.running import StepListener
from backsweep.orchestration import step_flow
from backsweep.orchestration.server import Endpoint
from backsweep.stores.file import FileStore


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StepFolder:
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    return StepFolder(tmp_path, FileStore(tmp_path / "store"))


def test_of_two_runs_in_one_folder_the_second_is_told_so(at: StepFolder) -> None:
    wait = step(["sh", "-c", "touch $COUNTER; sleep 2; touch out; echo x > out"], outputs=["out"], name="wait")
    thread = threading.Thread(target=at.run, args=(wait,))
    thread.start()
    while not at.counter.exists():
        time.sleep(0.01)
    with pytest.raises(TransientError, match="another run of a pipeline works in this folder"):
        at.run(wait)
    thread.join()


DRIVER = """
import sys
from pathlib import Path
from backsweep.settings import pin_numeric_environment
pin_numeric_environment()
from backsweep.flow import step
from backsweep.flow.steps.graph import ordered
from backsweep.flow.steps.running import StepListener, run_steps
from backsweep.stores.file import FileStore
folder = Path(sys.argv[1])
slow = step(["python", "slow.py"], outputs=["lake"], name="slow")
run_steps(ordered([slow]), folder, FileStore(folder / "store"), StepListener(print, print))
"""
SLOW = """
import os, pathlib, time
os.mkdir("lake")
for number in range(3):
    pathlib.Path(f"lake/{number}").write_text(str(number))
    pathlib.Path(os.environ["COUNTER"]).touch()
    while number == 1 and not pathlib.Path(os.environ["COUNTER"] + ".go").exists():
        time.sleep(0.02)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_pipeline_killed_in_the_middle_leaves_no_half_and_goes_on(at: StepFolder, sent: signal.Signals) -> None:
    (at.folder / "driver.py").write_text(DRIVER)
    (at.folder / "slow.py").write_text(SLOW)
    command = [sys.executable, str(at.folder / "driver.py"), str(at.folder)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not at.counter.exists():
            time.sleep(0.02)
        killed.send_signal(sent)
        killed.communicate(timeout=30)
        assert killed.returncode != 0
        assert not (at.folder / "lake").exists()
    finally:
        Path(f"{at.counter}.go").touch()  # what SIGKILL left alone ends by itself
    slow = step(["python", "slow.py"], outputs=["lake"], name="slow")
    assert not at.run(slow)["slow"].is_cached
    assert sorted(path.name for path in (at.folder / "lake").iterdir()) == ["0", "1", "2"]
    assert at.run(slow)["slow"].is_cached


def test_a_bucket_remembers_steps_for_another_machine(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTER", str(tmp_path / "counter"))
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        at = StepFolder(tmp_path / name, bucket.open())
        done = at.run(*chain())
        assert at.text("build/two.txt") == "raw onetwo"
        assert all(each.is_cached == (name == "there") for each in done.values())


def test_where_prefect_is_lost_the_pipeline_goes_on_without_it(at: StepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(_: Any) -> None:
        at.run(*chain())
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(step_flow, "find", lambda say: Endpoint("http://127.0.0.1:9/api", None, None))
    monkeypatch.setattr(step_flow, "connected", contextlib.nullcontext)
    monkeypatch.setattr(step_flow._FlowRun, "run", lose)
    run = PipelineRun("lost", at.folder, ordered(chain()), None, at.folder, at.store, ())
    said: list[str] = []
    asked: list[bool] = []
    listener = StepListener(lambda name, line: None, lambda done: None)
    done = step_flow.run_pipeline_with_prefect(run, lambda steps, by: asked.append(by), listener, said.append)
    assert [each.is_cached for each in done.steps] == [True] * 3
    assert asked == [False]
    assert said == ["Prefect was lost (ConnectionError: nobody answers); the pipeline goes on without it"]


def test_a_pipeline_file_that_cannot_be_run_is_said_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "pipeline.py"
    begin = "from backsweep.flow import Pipeline, step\na = step(['sh', '-c', 'true'], outputs=['x'], name='a')\n"
    cases = {
        "x = 1\nraise ValueError('no')\n": f"{file}: line 2: ValueError: no",
        "x = (\n": f"{file}: line 1: SyntaxError",
        "x = 1\n": f"{file}: it defines no pipeline; write pipeline = Pipeline",
        f"{begin}pipeline = Pipeline([a])\n": f"--again b: {file} has no such step; it has a",
        f"{begin}step([], outputs=['x'])\n": "step step: it has no command",
    }
    for text, sentence in cases.items():
        file.write_text(text)
        with pytest.raises(UserError) as refused:
            read_pipeline(file, [], ["b"])
        assert sentence in str(refused.value)
    file.write_text(f"{begin}pipeline = Pipeline([a])\n")
    with pytest.raises(UserError, match="ends in no sweep"):
        read_pipeline(file, ["axes.lookback=126"], [])
    file.write_text(f"{begin}pipeline = Pipeline([a], sweep='s.yaml')\n")
    with pytest.raises(UserError, match=f"{file}: its sweep {tmp_path}/s.yaml cannot be read"):
        read_pipeline(file, [], [])
    with pytest.raises(UserError, match="there is no such file"):
        read_pipeline(tmp_path / "none.py", [], [])
