"""Two Ray workers against one process on sweeps of a minute: where the time and the processors go; what a block costs.

Sweeps run as a user runs them, by the command line without Prefect, in turn, each on an empty store of its own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.benchmarks.documents import TOURNAMENT, changed, example
from tests.benchmarks.processes import Tree, run_tree
from tests.benchmarks.timing import OUTPUT, ROOT, markdown_table, publish, run_child

RUNS = 3
PLAINLY = ["--no-prefect", "--baseline", "none"]
BLOCKS = 2_000
PLACES = {
    "one process": {"mode": "local", "parallelism": 1},
    "Ray, 1 worker": {"mode": "ray", "parallelism": 1},
    "Ray, 2 workers": {"mode": "ray", "parallelism": 2},
}
TITLES = [
    "where",
    "trials",
    "blocks",
    "s",
    "s of it computing",
    "s of it starting",
    "speedup, computing",
    "speedup, all of it",
    "s of CPU, all",
    "workers",
    "driver",
    "Ray's own",
    "bytes to the driver a trial",
]


@dataclass(frozen=True)
class Found:
    """One run: what the command said of itself, and what its processes took."""

    tree: Tree
    answer: dict[str, Any]

    @property
    def starting(self) -> float:
        """Seconds until the workers were there."""
        return float(self.answer["where"]["startSeconds"])

    @property
    def computing(self) -> float:
        """Seconds from the first block to the last."""
        return float(self.answer["where"]["wallSeconds"]) - self.starting


def tournament(lookbacks: int) -> dict[str, Any]:
    """Return the tournament of `make run` over many lookbacks: milliseconds a trial, and two files each."""
    document = changed(example(), "axes", "lookback", [63 + 3 * number for number in range(lookbacks)])
    return changed(document, "execution", "onSolveFailure", "hold")


def heavy(draws: int) -> dict[str, Any]:
    """Return the heavy example with fewer draws: a strategy in Python, seconds a trial."""
    text = TOURNAMENT.with_name("heavy.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    document["spec"]["strategy"]["parameters"]["draws"] = [draws, 2 * draws]
    return document


def run(folder: Path, document: dict[str, Any], place: str) -> Found:
    """Run a sweep on an empty store in `folder`."""
    folder.mkdir(parents=True)
    shutil.copy(TOURNAMENT.with_name("own_strategies.py"), folder)
    spec = document["spec"]
    placed = {**document, "spec": {**spec, "execution": {**spec.get("execution", {}), **PLACES[place]}}}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(placed, sort_keys=False), encoding="utf-8")
    tree, text = run_tree([sys.executable, "-m", "backsweep", "run", "sweep.yaml", "--json", *PLAINLY], folder)
    return Found(tree, json.loads(text))


def table_of(document: dict[str, Any], runs: int, stores: Path) -> str:
    """Return the table of one sweep by where it ran: the median of a few runs each."""
    found: dict[str, list[Found]] = {place: [] for place in PLACES}
    for number in range(runs):  # in turn, so that a slow minute of the machine meets all of them
        for place, each in found.items():
            each.append(run(stores / f"{document['metadata']['name']}-{number}-{len(each)}-{place}", document, place))
    if len({one.answer["resultDigest"] for each in found.values() for one in each}) != 1:
        raise SystemExit("the result depends on where it ran")
    typical = {place: sorted(each, key=lambda one: one.computing)[runs // 2] for place, each in found.items()}
    return markdown_table(TITLES, [row(place, one, typical["one process"]) for place, one in typical.items()])


def row(place: str, found: Found, serial: Found) -> list[str]:
    """Return a run as the table shows it."""
    tree, answer = found.tree, found.answer
    cpu = tree.cpu_seconds
    return [
        place,
        f"{answer['trials']['total']:,}",
        f"{answer['computed']['blocks']:,}",
        f"{tree.wall_seconds:.1f}",
        f"{found.computing:.1f}",
        f"{found.starting:.1f}",
        f"{serial.computing / found.computing:.2f}",
        f"{serial.tree.wall_seconds / tree.wall_seconds:.2f}",
        f"{sum(cpu.values()):.1f}",
        *(f"{cpu.get(role, 0.0):.1f}" for role in ("workers", "driver", "Ray's own")),
        f"{answer['where']['bytesReturnedPerTrial'] or 0:,}",
    ]


def nothing(_: int) -> int:
    """Be a block of no work, so that what is left is Ray's."""
    return 0


def cost_of_a_block() -> dict[str, float]:
    """Time many blocks of no work, one after the other and two at once."""
    from backsweep.executors.ray_session import RaySession
    from backsweep.executors.ray_tasks import RayExecutor

    found = {}
    with RaySession(cpus=2) as session:
        for parallelism in (1, 2):
            executor = RayExecutor(session, retries=0, timeout_seconds=60, parallelism=parallelism)
            sum(1 for _ in executor.run(range(parallelism), nothing))  # its workers have begun
            started = time.perf_counter()
            answered = sum(1 for _ in executor.run(range(BLOCKS), nothing))
            found[str(parallelism)] = (time.perf_counter() - started) / answered * 1e3
    return found


def main() -> None:
    """Measure both sweeps and a block, or a block in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of each sweep at each place")
    parser.add_argument("--draws", type=int, default=145, help="of the strategy: 145 take a minute of one process")
    parser.add_argument("--lookbacks", type=int, default=150, help="of the tournament; 0 leaves it out")
    parser.add_argument("--blocks", action="store_true", help="internal: what a block costs, in a process of its own")
    options = parser.parse_args()
    if options.blocks:
        sys.stdout.write(json.dumps(cost_of_a_block()) + "\n")
        return
    stores = OUTPUT / f"stores-{time.time():.0f}"  # kept: ext4 makes files slowly for a while after many were removed
    runs = options.runs
    strategy = table_of(heavy(options.draws), runs, stores)
    many = table_of(tournament(options.lookbacks), runs, stores) if options.lookbacks else "Left out."
    _, text = run_child([sys.executable, "-m", "tests.benchmarks.ray_speedup", "--blocks"])
    block = json.loads(text.splitlines()[-1])
    publish(
        "ray_speedup",
        "## Two Ray workers against one process",
        "### A strategy in Python, seconds a solve (examples/heavy.yaml with fewer draws)",
        strategy,
        "### The tournament over 150 lookbacks, milliseconds a trial",
        many,
        f"A block costs Ray {block['1']:.2f} ms one at a time and {block['2']:.2f} ms two at a time ({BLOCKS:,} blocks "
        f"of no work). Medians of {runs} by the time of computing; `starting` is Ray's start, `all of it` the whole "
        f"command, imports, comparison and report included. CPU as sampled ten times a second: what ends between two "
        f"samples is missing. The stores are in {stores.relative_to(ROOT)}; delete them.",
    )


if __name__ == "__main__":
    main()
