"""What long-lived processes cost: their processor seconds and memory from /proc, between two moments."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Meter", "resident_mib"]

TICKS = os.sysconf("SC_CLK_TCK")


class Meter:
    """Counts the processor seconds of processes from now on.

    Parameters
    ----------
    processes : name -> process id.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._before = {name: _cpu_seconds(pid) for name, pid in processes.items()}
        self._began = time.monotonic()

    def read(self) -> tuple[float, dict[str, float]]:
        """Return the seconds by the clock, and the processor seconds of each process."""
        passed = time.monotonic() - self._began
        return passed, {name: _cpu_seconds(pid) - self._before[name] for name, pid in self._processes.items()}


def resident_mib(pid: int) -> float:
    """Return the memory a process has in use."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _cpu_seconds(pid: int) -> float:
    """Return what a process took so far, in user and in kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
