"""A Ray worker's first result: what Backsweep imports, and beside it the plots and reports a laptop would import too.

Every process of a cluster pays for its imports, in seconds and in memory, before it computes anything. That is why
workers import numpy and what they need of this package, and no module of the package imports a plotting library.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.timing import ROOT, markdown_table, publish, run_child

RUNS = 5
HEAVY = ("quantstats", "seaborn")
SLIM = ("backsweep.sweep.work", "backsweep.stores.file", "backsweep.executors.ray_blocks")
WHAT = {
    "bare": "nothing but Ray",
    "slim": "what Backsweep imports",
    "heavy": f"and {' and '.join(HEAVY)}",
}


def first_result(folder_and_names: tuple[str, tuple[str, ...]]) -> dict[str, float]:
    """Be a block: import the modules, those that are not installed from a folder, and say what that came to."""
    import importlib

    folder, names = folder_and_names
    if folder:
        sys.path.append(folder)  # last, so that what both have is ours
    for name in names:
        importlib.import_module(name)
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    memory = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status if line.startswith(("Rss", "VmRSS"))}
    return {"modules": len(sys.modules), "private": memory["RssAnon"], "resident": memory["VmRSS"]}


def measure(folder: str, names: tuple[str, ...]) -> dict[str, float]:
    """Start a Ray, then time from `ray.remote` to the first result of one worker."""
    from backsweep.executors.ray_session import RaySession

    with RaySession(cpus=1):
        import ray

        time.sleep(3.0)  # Ray has started its worker by itself, and is not busy with anything else
        started = time.perf_counter()
        task: Any = ray.remote(first_result)
        found: dict[str, float] = ray.get(task.remote((folder, names)))
        found["seconds"] = time.perf_counter() - started
    return found


def installed(folder: Path) -> str:
    """Install the libraries into `folder`; return why that was not possible, or nothing."""
    search = os.pathsep.join([str(ROOT / ".tools/uv/bin"), os.environ.get("PATH", "")])
    uv = shutil.which("uv", path=search)
    if uv is None:
        return "uv is not here (make test brings it), so nothing was installed"
    line = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), *HEAVY]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return "" if done.returncode == 0 else "the package index did not give them"


def main() -> None:
    """Measure in turn, or once in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", nargs="*", help="internal: a folder, then modules")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    if options.once is not None:
        folder, *names = options.once
        sys.stdout.write(json.dumps(measure(folder, tuple(names))) + "\n")
        return
    with tempfile.TemporaryDirectory() as temporary:
        missing = installed(Path(temporary) / "site")
        asked = {"bare": (), "slim": SLIM, **({} if missing else {"heavy": (*SLIM, *HEAVY)})}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
        for number in range(options.runs + 1):
            for name, modules in asked.items():
                line = [sys.executable, "-m", "tests.benchmarks.worker_start", "--once", f"{temporary}/site", *modules]
                _, text = run_child(line)
                if number:  # the first round writes bytecode and reads the files from the disk
                    found[name].append(json.loads(text.splitlines()[-1]))
    rows = [
        [
            WHAT[name],
            f"{median(each['seconds'] for each in runs):.2f}",
            f"{median(each['modules'] for each in runs):,.0f}",
            f"{median(each['private'] for each in runs):.0f}",
            f"{median(each['resident'] for each in runs):.0f}",
        ]
        for name, runs in found.items()
    ]
    titles = ["a worker imports", "s from ray.remote to the first result", "modules", "private MiB", "resident MiB"]
    note = f"Medians of {options.runs} new Rays each, in turn; bytecode is written and files are read before."
    absent = [f"Not measured beside {' and '.join(HEAVY)}: {missing}."] if missing else []
    publish("worker_start", "## The start of a worker", markdown_table(titles, rows), note, *absent)


if __name__ == "__main__":
    main()
