"""One sweep of a minute in one process and on two Ray workers; what a block costs Ray; what a new worker costs."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from tests.benchmarks.documents import changed, example
from tests.benchmarks.timing import markdown_table, publish, run_child

LOOKBACKS = [63 + 3 * number for number in range(150)]
QUICK_LOOKBACKS = [63 + 40 * number for number in range(10)]
RUNS = 3
BLOCKS = 2_000
# What a strategy's module may import: the plots and reports of a laptop are loaded by each worker of a cluster, too.
HEAVY = ("quantstats", "seaborn", "scipy.stats", "matplotlib.pyplot", "pandas")


def nothing(_: int) -> int:
    """Be a block of no work, so that what is left is Ray's."""
    return 0


def first_result(heavy: bool) -> int:
    """Import what a worker of Backsweep imports; with `heavy`, what quantstats and seaborn bring along, too."""
    import importlib

    importlib.import_module("backsweep.sweep.work")
    importlib.import_module("backsweep.stores.file")
    for name in HEAVY if heavy else ():
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    return len(sys.modules)


def run_sweep(folder: Path, workers: int) -> dict[str, Any]:
    """Compute the sweep in `folder` on an empty store: in this process for 0 workers, else on Ray."""
    from contextlib import nullcontext

    from backsweep.executors.ray_session import RaySession
    from backsweep.executors.ray_tasks import RayExecutor
    from backsweep.executors.serial import SerialExecutor
    from backsweep.flow import prepare, read_sweep
    from backsweep.stores.opening import open_store
    from backsweep.sweep.compute import compute
    from backsweep.sweep.work import Work

    prepared = prepare(read_sweep((folder / "sweep.yaml").read_text(encoding="utf-8"), []), folder)
    address = prepared.store_address.for_workers(prepared.store)
    work = Work(open_store, address, prepared.references, ())
    phases = prepared.plan.blocks(max(workers, 1))
    started = time.perf_counter()
    with RaySession(cpus=workers) if workers else nullcontext() as session:
        executor: Any = RayExecutor(session, retries=2, timeout_seconds=600) if session else SerialExecutor()
        ready = time.perf_counter()
        _, computed = compute(prepared.plan, prepared.store, executor, work, phases, lambda _: None)
        seconds = time.perf_counter() - ready
    return {
        "trials": len(prepared.plan.trials),
        "blocks": computed.blocks,
        "start_seconds": ready - started,
        "seconds": seconds,
        "busy_seconds": sum(computed.seconds.values()),
        "bytes_a_trial": getattr(executor, "bytes_returned", 0) / len(prepared.plan.trials),
    }


def run_blocks(heavy: bool) -> dict[str, Any]:
    """Time the first result of a new Ray, then many blocks of no work one after the other and two at once."""
    from backsweep.executors.ray_session import RaySession
    from backsweep.executors.ray_tasks import RayExecutor

    with RaySession(cpus=2) as session:
        started = time.perf_counter()
        (modules,) = RayExecutor(session, retries=0, timeout_seconds=60).run([heavy], first_result)
        first = time.perf_counter() - started
        found = {"first_seconds": first, "modules": modules.result}
        for parallelism in (1, 2):
            executor = RayExecutor(session, retries=0, timeout_seconds=60, parallelism=parallelism)
            started = time.perf_counter()
            answered = sum(1 for _ in executor.run(range(BLOCKS), nothing))
            found[f"block_ms_{parallelism}"] = (time.perf_counter() - started) / answered * 1e3
    return found


def child(*arguments: str) -> dict[str, Any]:
    """Return what this module prints in a process of its own: Ray is started once in each."""
    _, text = run_child([sys.executable, "-m", "tests.benchmarks.ray_speedup", *arguments])
    answer: dict[str, Any] = json.loads(text.splitlines()[-1])
    return answer


def cold_sweep(lookbacks: list[int], workers: int) -> dict[str, Any]:
    """Return what the sweep took on a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        document = changed(example(), "axes", "lookback", lookbacks)
        document = changed(document, "storage", "uri", (Path(folder) / "store").as_uri())
        (Path(folder) / "sweep.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        return child("--sweep", folder, "--workers", str(workers))


def sweep_table(lookbacks: list[int], runs: int) -> tuple[str, str]:
    """Return the table of the sweep by where it ran, and a sentence on its speedup."""
    runs_of: dict[int, list[dict[str, Any]]] = {0: [], 1: [], 2: []}
    for _ in range(runs):  # in turn, so that a slow minute of the machine meets all of them
        for workers, each in runs_of.items():
            each.append(cold_sweep(lookbacks, workers))
    found = {workers: sorted(each, key=lambda run: run["seconds"])[runs // 2] for workers, each in runs_of.items()}
    names = {0: "one process", 1: "Ray, 1 worker", 2: "Ray, 2 workers"}
    serial = found[0]["seconds"]
    rows = [
        [
            names[workers],
            f"{each['trials']:,}",
            f"{each['blocks']:,}",
            f"{each['seconds']:.1f}",
            f"{serial / each['seconds']:.2f}",
            f"{each['start_seconds']:.1f}",
            f"{each['busy_seconds']:.1f}",
            f"{each['bytes_a_trial']:,.0f}",
        ]
        for workers, each in found.items()
    ]
    titles = [
        "where",
        "trials",
        "blocks",
        "s",
        "speedup",
        "s to start Ray",
        "s in blocks",
        "bytes to the driver a trial",
    ]
    two = found[2]
    whole = two["seconds"] + two["start_seconds"]
    sentence = (
        f"Two workers are {serial / two['seconds']:.2f} times as fast as one process, {serial / whole:.2f} times with "
        f"the start of Ray; `s in blocks` is what the workers' own clocks add up to. Median runs of {runs}."
    )
    return markdown_table(titles, rows), sentence


def worker_table() -> tuple[str, str]:
    """Return the table of a worker's first result by what it imports, and a sentence on blocks."""
    there = [name for name in HEAVY if importlib.util.find_spec(name.partition(".")[0]) is not None]
    slim, heavy = child("--blocks", "slim"), child("--blocks", "heavy")
    rows = [
        ["what Backsweep imports", f"{slim['first_seconds']:.2f}", f"{slim['modules']:,}"],
        [f"and {', '.join(there)}", f"{heavy['first_seconds']:.2f}", f"{heavy['modules']:,}"],
    ]
    table = markdown_table(["a worker's first block imports", "s from ray.remote to its result", "modules"], rows)
    sentence = (
        f"A block costs Ray {slim['block_ms_1']:.2f} ms one at a time and {slim['block_ms_2']:.2f} ms two at a time "
        f"({BLOCKS:,} blocks of no work)."
    )
    return table, sentence


def main() -> None:
    """Measure everything, or one piece of it in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sweep of seconds")
    parser.add_argument("--sweep", type=Path, help="internal: the folder of one sweep")
    parser.add_argument("--workers", type=int, default=0, help="internal: of that sweep")
    parser.add_argument("--blocks", choices=("slim", "heavy"), help="internal: one new Ray")
    options = parser.parse_args()
    if options.sweep or options.blocks:
        found = run_sweep(options.sweep, options.workers) if options.sweep else run_blocks(options.blocks == "heavy")
        sys.stdout.write(json.dumps(found) + "\n")
        return
    sweep, speedup = sweep_table(QUICK_LOOKBACKS, 1) if options.quick else sweep_table(LOOKBACKS, RUNS)
    worker, block = worker_table()
    publish("ray_speedup", "## Ray", sweep, speedup, worker, block)


if __name__ == "__main__":
    main()
