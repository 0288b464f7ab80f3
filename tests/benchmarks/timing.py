"""How everything here is measured: processor time and peak memory of whole child processes, and medians.

Keep this module free of numpy: the kernel counts a child's memory from before it became another program, so a
large parent would be counted in every child's peak.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

from backsweep.settings import NUMERIC_VARIABLES, numeric_variables_are_pinned

__all__ = [
    "OUTPUT",
    "ROOT",
    "Cost",
    "machine_line",
    "markdown_table",
    "medians",
    "publish",
    "restart_pinned",
    "run_child",
]

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build" / "bench"
SHOWN_VERSIONS = ("numpy", "pandas", "scipy", "daqp", "skfolio", "pyportfolioopt")


@dataclass(frozen=True)
class Cost:
    """What one process took, its children included."""

    cpu_seconds: float
    wall_seconds: float
    peak_mib: float


def run_child(command: Sequence[str], folder: Path = ROOT) -> tuple[Cost, str]:
    """Run one program in the pinned numeric environment; return its cost and what it printed."""
    environment = {**os.environ, **NUMERIC_VARIABLES, "PYTHONDONTWRITEBYTECODE": "0"}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=printed)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        text = printed.read()
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {child.returncode}:\n{text}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024), text


def restart_pinned(module: str) -> None:
    """Start this program again in the pinned numeric environment, unless it is in it: numpy is imported by now."""
    if not numeric_variables_are_pinned():
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, **NUMERIC_VARIABLES})


def medians(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        median(cost.cpu_seconds for cost in costs),
        median(cost.wall_seconds for cost in costs),
        median(cost.peak_mib for cost in costs),
    )


def machine_line() -> str:
    """Say where the figures were measured: processor, cores, Python and libraries."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in SHOWN_VERSIONS)
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} cores, one used; one BLAS thread; Python {python}; {versions}."


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are numbers."""
    rule = ["---", *["---:"] * (len(titles) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (titles, rule, *rows))


def publish(name: str, *paragraphs: str) -> None:
    """Show the paragraphs and write them to build/bench/<name>.md."""
    text = "\n\n".join((*paragraphs, machine_line())) + "\n"
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / f"{name}.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
