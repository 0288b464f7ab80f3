"""Runs a command: its lines are heard as they come, its end is waited for, and nothing of it outlives the wait."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from backsweep.errors import StepError, TransientError

__all__ = ["Limits", "Lines", "run_command"]

LAST_LINES = 8
LOG_BYTES = 2**20
LONGEST_LINE = 2_000
LOOK_SECONDS = 0.05
GRACE_SECONDS = 5.0


class Lines:
    """What a command said: told on line by line; the last of its stderr and the last MiB of all are kept."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._lock = threading.Lock()
        self._errors: deque[str] = deque(maxlen=LAST_LINES)
        self._log: deque[bytes] = deque()
        self._bytes = 0
        self._cut = False

    def add(self, text: str, is_error: bool) -> None:
        """Take a line."""
        line = text.rstrip()[:LONGEST_LINE]
        with self._lock:
            if is_error and line:
                self._errors.append(line)
            self._log.append(line.encode() + b"\n")
            self._bytes += len(self._log[-1])
            while self._bytes > LOG_BYTES:
                self._bytes -= len(self._log.popleft())
                self._cut = True
            self._hear(line)

    @property
    def end(self) -> str:
        """The last lines of stderr, each on a line of its own."""
        return "".join(f"\n  {line}" for line in self._errors)

    @property
    def log(self) -> bytes:
        """All that was said, or its last MiB."""
        return (b"... (the beginning is cut)\n" if self._cut else b"") + b"".join(self._log)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a command is stopped before its end: after so many seconds, or as soon as `stop` is set."""

    timeout_seconds: float | None
    stop: threading.Event


def run_command(name: str, arguments: Sequence[str], folder: Path, lines: Lines, limits: Limits) -> None:
    """Run the command of the step `name` in a folder; it and all its children are gone when this returns.

    Raises
    ------
    StepError
        It cannot be started, ends with another code than 0, is killed, or takes too long.
    TransientError
        It was stopped.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    try:
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise StepError(f"step {name}: {arguments[0]} cannot be started: {error.strerror}") from error
    readers = [
        threading.Thread(target=_read, args=(stream, lines, stream is process.stderr), daemon=True)
        for stream in (process.stdout, process.stderr)
    ]
    for reader in readers:
        reader.start()
    try:
        waited = _wait(process, limits)
    finally:
        _end(process)
        for reader in readers:
            reader.join(GRACE_SECONDS)
    said = f"; its stderr ends:{lines.end}" if lines.end else ", and said nothing on stderr"
    if limits.stop.is_set():
        raise TransientError(f"step {name}: it was stopped with the pipeline; run the same command to go on")
    if not waited:
        raise StepError(f"step {name}: it still ran after {limits.timeout_seconds:g} s and was killed{said}")
    if process.returncode < 0:
        raise StepError(f"step {name}: it was killed by {_signal(-process.returncode)}{said}")
    if process.returncode:
        raise StepError(f"step {name}: it ended with exit code {process.returncode}{said}")


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> bool:
    """Wait for the end; return False where the wait was over first."""
    started = time.monotonic()
    while True:
        try:
            process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            late = limits.timeout_seconds is not None and time.monotonic() - started > limits.timeout_seconds
            if late or limits.stop.is_set():
                return False
        else:
            return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the command's own session: children that it did not wait for."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read(stream: IO[bytes] | None, lines: Lines, is_error: bool) -> None:
    if stream is None:
        return
    with stream:
        for line in stream:
            lines.add(line.decode(errors="replace"), is_error)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
