"""100,000 trials through all of it: time by stage, and memory that does not grow with the blocks in flight.

Six assets and few windows, so that what is measured is everything that is done a trial and not the solving of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.benchmarks.processes import Tree, run_tree
from tests.benchmarks.timing import OUTPUT, ROOT, markdown_table, publish

TRIALS_A_LOOKBACK = 8 * 5 * 2 * 5  # profiles x covariances x rebalancing rules x cost levels
LOOKBACKS = 250
ASSETS, ROWS = 6, 1280
SETTLED = (0.3, 0.9)  # of a worker's life: its imports are done and its data are open; it does not end yet
PLACES = {
    "one process": {"mode": "local", "parallelism": 1},
    "two processes": {"mode": "local", "parallelism": 2},
    "Ray, 2 workers": {"mode": "ray", "parallelism": 2},
    "Ray, 8 workers": {"mode": "ray", "parallelism": 8},
}
STAGES = {
    "plan": "plan",
    "solve and simulate": "compute",
    "compare": "compare",
    "tables": "tables",
    "name units": "name units",
    "report": "report",
    "run folder": "run folder",
}


def document(lookbacks: int, execution: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep of `lookbacks` times 400 trials."""
    axes = {
        "profile": [
            "inverse_volatility",
            "min_variance",
            "max_sharpe",
            "max_diversification",
            "risk_parity",
            "hrp",
            "herc",
            "nco",
        ],
        "covariance": ["sample", "ledoit_wolf", "oas", "ewma", "denoised"],
        "lookback": [21 + 2 * number for number in range(lookbacks)],
        "rebalance": ["window", "daily"],
        "costs": [{"slippageBps": level, "commissionBps": 1} for level in range(5)],
    }
    return {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "hundred-thousand"},
        "spec": {
            "data": {"uri": "file://six.parquet", "kind": "prices"},
            "walkForward": {"test": 20, "step": 20},
            "axes": axes,
            "execution": {**execution, "onSolveFailure": "hold"},  # short lookbacks have windows without a portfolio
        },
    }


def prepare(folder: Path, lookbacks: int, execution: Mapping[str, Any]) -> None:
    """Write the last five years of six of the bundled stocks, and the sweep over them."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(ROOT / "pipeline/backsweep/sources/bundled/sp500-20.parquet")
    six = table.select(table.column_names[: 1 + ASSETS]).slice(table.num_rows - ROWS)
    folder.mkdir(parents=True)
    parquet.write_table(six, folder / "six.parquet")
    text = yaml.safe_dump(document(lookbacks, execution), sort_keys=False)
    (folder / "sweep.yaml").write_text(text, encoding="utf-8")


def run(folder: Path) -> tuple[Tree, dict[str, Any]]:
    """Run the sweep in `folder`, without Prefect."""
    plainly = ["--no-prefect", "--baseline", "none"]
    tree, text = run_tree([sys.executable, "-m", "backsweep", "run", "sweep.yaml", "--json", *plainly], folder)
    answer: dict[str, Any] = json.loads(text)
    return tree, answer


def row(name: str, tree: Tree, answer: Mapping[str, Any]) -> list[str]:
    """Return a run as the tables show it."""
    timings = answer["timings"]
    worker = f"{tree.peak_mib['workers']:.0f}" if "workers" in tree.peak_mib else ""
    return [
        name,
        f"{answer['trials']['total']:,}",
        f"{answer['computed']['blocks']:,}",
        f"{tree.wall_seconds:.1f}",
        f"{sum(tree.cpu_seconds.values()):.1f}",
        *(f"{timings.get(stage, 0.0):.1f}" for stage in STAGES),
        f"{tree.peak_mib['driver']:.0f}",
        worker,
        f"{tree.grown_mib('workers', *SETTLED):+.0f}" if worker else "",
    ]


def main() -> None:
    """Run it where blocks can run, then again with all of it stored, and a tenth of it for comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lookbacks", type=int, default=LOOKBACKS, help="400 trials each")
    lookbacks = parser.parse_args().lookbacks
    stores = OUTPUT / f"stores-{time.time():.0f}"  # kept: ext4 makes files slowly for a while after many were removed
    runs = [(name, lookbacks, execution) for name, execution in PLACES.items()]
    runs.insert(0, ("one process", max(1, lookbacks // 10), PLACES["one process"]))
    rows, digests = [], set()
    for number, (name, count, execution) in enumerate(runs):
        folder = stores / str(number)
        prepare(folder, count, execution)
        tree, answer = run(folder)
        rows.append(row(name, tree, answer))
        if count == lookbacks:
            digests.add(answer["resultDigest"])
        if number == 1:
            rows.append(row("again, nothing to do", *run(folder)))
    if len(digests) != 1:
        raise SystemExit(f"the result depends on where it ran: {sorted(digests)}")
    titles = ["where", "trials", "blocks", "s", "s of CPU", *(f"{title}, s" for title in STAGES.values())]
    titles += ["driver, MiB", "a worker, MiB", "grown, MiB"]
    sentence = (
        f"{TRIALS_A_LOOKBACK} trials a lookback, {ASSETS} assets, {ROWS:,} rows. MiB: the most private memory of the "
        f"driver and of any one worker. `grown`: of the largest worker between 30 % and 90 % of its life. All runs "
        f"of a size have one result digest. The stores are in {stores.relative_to(ROOT)}; delete them."
    )
    publish("hundred_thousand", "## 100,000 trials", markdown_table(titles, rows), sentence)


if __name__ == "__main__":
    main()
