"""The node's own network, mounts and process numbers, in which everything of it runs and with which it all ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.processes import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_PROCESS = Path(__file__).with_name("first_process.py")
SECONDS_TO_BEGIN = 30.0
SECONDS_TO_END = 60.0
# Nothing of the caller's own, who may have credentials in it.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/run",
}
SEPARATED = ("unshare", "--net", "--mount", "--pid", "--fork", "--propagation", "slave")


@dataclass(frozen=True)
class Identity:
    """A process: its number, which others get later, and the time of its start in the kernel's ticks."""

    pid: int
    started: int

    @classmethod
    def read(cls, record: Path) -> Identity | None:
        """Read what `write` wrote, if it did."""
        if not record.is_file():
            return None
        pid, started = record.read_text(encoding="utf-8").split()
        return cls(int(pid), int(started))

    @classmethod
    def of(cls, pid: int, processes: Path) -> Identity | None:
        """Look up a process; None if it has ended, also if nobody has taken note of that."""
        try:
            state, *fields = (processes / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if state in "ZX" else cls(pid, int(fields[18]))

    def write(self, record: Path) -> None:
        record.write_text(f"{self.pid} {self.started}\n", encoding="utf-8")


class Enclosure:
    """Namespaces that live as long as their first process. `folder` holds its record and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "first-process"
        self._log = folder / "first-process.log"

    @property
    def pid(self) -> int | None:
        """The first process' number as the machine knows it; None if there is none."""
        known = Identity.read(self._record)
        return known.pid if known and Identity.of(known.pid, Path("/proc")) == known else None

    @property
    def processes(self) -> Path:
        """The folder /proc as processes inside see it."""
        return Path(f"/proc/{self.pid}/root/proc")

    def begin(self) -> None:
        """Make the namespaces and wait until their mounts are made.

        Raises
        ------
        NotReadyError
            If that fails; with what was said.
        """
        self._record.unlink(missing_ok=True)
        first = (sys.executable, "-I", "-S", str(FIRST_PROCESS), str(self.folder))
        with self._log.open("wb") as log:
            subprocess.run(
                ["setsid", "--fork", *SEPARATED, *first],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
            )
        deadline = time.monotonic() + SECONDS_TO_BEGIN
        while not self.pid:
            if (said := self._log.read_text(encoding="utf-8")) or time.monotonic() > deadline:
                raise NotReadyError(f"namespaces of its own could not be made for the node: {said or 'no answer'}")
            time.sleep(0.02)

    def entering(self) -> tuple[str, ...]:
        """Return the beginning of a command whose rest is run inside.

        Raises
        ------
        NotReadyError
            If there is nothing to enter.
        """
        if not (pid := self.pid):
            raise NotReadyError("the node is not up: make cluster-up")
        return ("nsenter", f"--target={pid}", "--net", "--mount", "--pid", "--")

    def run(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> str:
        """Run a command inside and return what it prints.

        Raises
        ------
        NotReadyError
            If it fails; with what it said.
        """
        done = subprocess.run(
            [*self.entering(), *map(str, command)],
            cwd="/",
            env={**ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotReadyError(f"{command[0]} failed on the node: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def end(self) -> None:
        """Kill the first process, and with it all others, and wait until it is gone.

        Raises
        ------
        NotReadyError
            If it is not, because the kernel cannot end one of them.
        """
        if pid := self.pid:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + SECONDS_TO_END
        while self.pid:
            if time.monotonic() > deadline:
                raise NotReadyError(f"the node's first process {pid} was killed but has not ended")
            time.sleep(0.02)
