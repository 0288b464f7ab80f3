"""Programs in the background that end with us, however we end, and ports that nobody else of ours takes."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# Below where the kernel takes ports for outgoing connections (32768), so that a port is still free when its program
# is started again; above those of Ray and Prefect.
FIRST_PORT, LAST_PORT = 21000, 31000
# Becomes the program, having asked the kernel (PR_SET_PDEATHSIG is 1) to kill it when the thread that started it ends.
# The parent may be gone before that; then nothing would tell us. In a process of its own, since Python code between
# fork and exec is not safe with threads.
BECOME = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
# "Parent" is a thread to the kernel: this one lasts as long as the process, whichever thread asks for a program.
STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class NotReadyError(Exception):
    """Something did not come up, or ended; the text has the end of its log."""


class Ports:
    """Ports on loopback, each held by a lock of the machine's users for as long as this object lives."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir()) / f"backsweep-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._locks: list[TextIO] = []
        self._next = FIRST_PORT + os.getpid() * 16 % (LAST_PORT - FIRST_PORT)

    def claim(self) -> int:
        """Return a port that is free, and ours until `release`."""
        for _ in range(LAST_PORT - FIRST_PORT):
            port = self._next
            self._next = port + 1 if port + 1 < LAST_PORT else FIRST_PORT
            lock = (self._folder / str(port)).open("w")
            if held(lock) and is_free(port):
                self._locks.append(lock)
                return port
            lock.close()
        message = f"no free port between {FIRST_PORT} and {LAST_PORT}"
        raise NotReadyError(message)

    def release(self) -> None:
        for lock in self._locks:
            lock.close()
        self._locks.clear()


def held(lock: TextIO) -> bool:
    """Say whether the lock could be taken; the kernel lets go of it when this process ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Program(ABC):
    """A program that can be started, stopped, killed and started again; its log is appended to."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its number, and that of the group of all it started."""

    @abstractmethod
    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is for us, who then end it."""

    @abstractmethod
    def alive(self) -> bool:
        """Say whether it is there, be it paused."""

    @abstractmethod
    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to all it started, if it is alive."""

    @abstractmethod
    def join(self) -> None:
        """Wait for its end, which is certain."""

    def kill(self) -> None:
        """End it at once, with all it started: as a power cut does."""
        self.send(signal.SIGKILL)
        self.join()

    def pause(self) -> None:
        """Let it hang: connections stay open and nobody answers."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for it to be of use.

        Raises
        ------
        NotReadyError
            If it ends or takes longer; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive():
                raise NotReadyError(f"{self.name} ended; its log ends with:\n{self.last_lines()}")
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} is not ready after {seconds:g} s; its log:\n{self.last_lines()}")
            time.sleep(0.05)

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:])


class Process(Program):
    """A program that ends with us, however we end."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(name, folder)
        self._command = list(command)
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def start(self) -> None:
        assert not self.alive(), f"{self.name} runs already"
        self._process = STARTER.submit(self._open).result()

    def _open(self) -> subprocess.Popen[bytes]:
        become = [sys.executable, "-I", "-S", "-c", BECOME, str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*become, *self._command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.alive():
            os.killpg(self.pid, number)

    def join(self) -> None:
        if self._process is not None:
            self._process.wait()

    def stop(self, seconds: float = 30) -> int:
        """Ask it to end, wait, and return its exit code."""
        assert self._process is not None, f"{self.name} was never started"
        if self.alive():
            self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"{self.name} did not stop within {seconds:g} s of SIGTERM"
            raise NotReadyError(message) from None
