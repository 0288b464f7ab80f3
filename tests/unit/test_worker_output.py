"""What worker processes print is logged where somebody listens, and goes to the terminal where nobody does."""

from __future__ import annotations

import logging
import sys

import pytest

from backsweep.executors.process_output import output_logged
from backsweep.executors.processes import ProcessExecutor
from backsweep.executors.ray_session import LOGGER


def speak(block: int) -> int:
    sys.stdout.write(f"out {block}\nhalf a line")
    sys.stderr.write(f"\nerr {block}\n")
    return block


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run() -> None:
    with ProcessExecutor(1, retries=0, timeout_seconds=60) as executor:
        assert sorted(outcome.result for outcome in executor.run(range(3), speak)) == [0, 1, 2]


def test_lines_of_worker_processes_are_heard_until_the_last_is_over(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    monkeypatch.setattr(LOGGER, "handlers", [*LOGGER.handlers, heard])
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(LOGGER, "level", logging.INFO)
    run()
    assert {f"{stream} {block}" for stream in ("out", "err") for block in range(3)} <= set(heard.lines)
    assert capfd.readouterr() == ("", "")


def test_where_nobody_listens_they_print_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with output_logged() as initializer:
        assert initializer == (None, ())
    run()
    printed = capfd.readouterr()
    assert "out 2" in printed.out
    assert "err 2" in printed.err
