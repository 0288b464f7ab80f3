"""A program with all processes it starts: their processor time and private memory, sampled from /proc while it runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.timing import ROOT

from backsweep.settings import NUMERIC_VARIABLES

__all__ = ["Tree", "run_tree"]

POLL_SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
# By a word of the command line, in this order.
ROLES = {
    "raylet/raylet": "Ray's own",
    "Agent": "Ray's own",
    "ray::": "workers",
    "default_worker.py": "workers",
    "multiprocessing.spawn": "workers",
    "site-packages/ray/": "Ray's own",
}
OTHERS = "driver's other children"


@dataclass(slots=True)
class Tree:
    """What a program and its descendants took.

    Attributes
    ----------
    wall_seconds : from start to end.
    cpu_seconds : role -> processor seconds of all its processes, as last seen.
    peak_mib : role -> the most private memory of any one of its processes.
    rss_mib : role -> (second, MiB of the largest of its processes), in the order of time.
    """

    wall_seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    rss_mib: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def grown_mib(self, role: str, first: float, last: float) -> float:
        """Return by how much a role's memory grew between two fractions of the time it was seen."""
        samples = self.rss_mib[role]
        return samples[int(last * (len(samples) - 1))][1] - samples[int(first * (len(samples) - 1))][1]


def run_tree(command: Sequence[str], folder: Path = ROOT) -> tuple[Tree, str]:
    """Run a program in the pinned numeric environment; return what it took with all its processes, and its output."""
    tree, over = Tree(), threading.Event()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed, tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **NUMERIC_VARIABLES},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=said,
        )
        with _watching(child.pid, tree, over):
            child.wait()
        tree.wall_seconds = time.perf_counter() - started
        printed.seek(0)
        said.seek(0)
        text, complaint = printed.read(), said.read()
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {child.returncode}:\n{text[-2000:]}{complaint}")
    return tree, text


@contextlib.contextmanager
def _watching(root: int, tree: Tree, over: threading.Event) -> Iterator[None]:
    seconds: dict[tuple[int, str], tuple[str, float]] = {}

    def watch() -> None:
        started = time.perf_counter()
        while not over.wait(POLL_SECONDS):
            largest: dict[str, float] = {}
            for pid, (role, birth, cpu) in _family(root).items():
                known = seconds.get((pid, birth), (OTHERS, 0.0))[0]
                role = known if role == OTHERS else role  # one that has just been forked, or has ended, has no name
                seconds[pid, birth] = (role, cpu)
                largest[role] = max(largest.get(role, 0.0), _private_mib(pid))
            for role, mib in largest.items():
                tree.peak_mib[role] = max(tree.peak_mib.get(role, 0.0), mib)
                tree.rss_mib.setdefault(role, []).append((time.perf_counter() - started, mib))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for role, cpu in seconds.values():
            tree.cpu_seconds[role] = tree.cpu_seconds.get(role, 0.0) + cpu


def _family(root: int) -> Mapping[int, tuple[str, str, float]]:
    """Return pid -> (role, time of birth, processor seconds) of a process and its descendants."""
    children: dict[int, list[tuple[int, list[str]]]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208  # ten times a second: the names are all that is wanted
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append((int(entry), fields))
                if int(entry) == root:
                    children[0] = [(root, fields)]
    found: dict[int, tuple[str, str, float]] = {}
    waiting = list(children.get(0, ()))
    while waiting:
        pid, fields = waiting.pop()
        found[pid] = ("driver" if pid == root else _role(pid), fields[19], (int(fields[11]) + int(fields[12])) / TICKS)
        waiting += children.get(pid, ())
    return found


def _role(pid: int) -> str:
    line = ""
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
    return next((role for word, role in ROLES.items() if word in line), OTHERS)


def _private_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0
