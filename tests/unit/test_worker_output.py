"""What worker processes print is logged where somebody listens, and goes to the terminal where nobody does."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from backsweep.executors.process_output import output_logged
from backsweep.executors.processes import ProcessExecutor
from backsweep.executors.ray_session import LOGGER

LINES = 5_000


def speak(block: int) -> int:
    sys.stdout.write(f"out {block}\nhalf a line")
    sys.stderr.write(f"\nerr {block}\n")
    return block


def speak_beside_another(folder: Path, block: int) -> int:
    (folder / str(block)).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.001)
    for _ in range(LINES):
        print("line", "of", "block", block)  # noqa: T201  # what a strategy would do
    return block


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    heard = Heard()
    monkeypatch.setattr(LOGGER, "handlers", [*LOGGER.handlers, heard])
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(LOGGER, "level", logging.INFO)
    return heard


def run() -> None:
    with ProcessExecutor(1, retries=0, timeout_seconds=60) as executor:
        assert sorted(outcome.result for outcome in executor.run(range(3), speak)) == [0, 1, 2]


def test_lines_of_worker_processes_are_heard_until_the_last_is_over(
    heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    run()
    assert {f"{stream} {block}" for stream in ("out", "err") for block in range(3)} <= set(heard.lines)
    assert capfd.readouterr() == ("", "")


def test_lines_of_several_processes_are_not_mixed_even_where_python_does_not_buffer(
    heard: Heard, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")  # as in our images: each piece of a line would be a write of its own
    with ProcessExecutor(2, retries=0, timeout_seconds=60) as executor:
        assert len(list(executor.run(range(2), partial(speak_beside_another, tmp_path)))) == 2
    assert Counter(heard.lines) == {f"line of block {block}": LINES for block in range(2)}


def test_where_nobody_listens_they_print_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with output_logged() as initializer:
        assert initializer == (None, ())
    run()
    printed = capfd.readouterr()
    assert "out 2" in printed.out
    assert "err 2" in printed.err
