"""What it takes to plan 100,000 trials: `backsweep plan` as a whole process, imports and data included."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.documents import backsweep, example, hundred_thousand
from tests.benchmarks.timing import markdown_table, medians, publish

RUNS = 3


def main() -> None:
    """Plan a small and a large sweep several times on empty stores."""
    rows = []
    for document in (example(), hundred_thousand()):
        costs = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                cost, answer = backsweep(Path(folder), "plan", document)
                costs.append(cost)
        typical = medians(costs)
        figures = (typical.cpu_seconds, typical.wall_seconds)
        trials = f"{answer['trials']:,}"
        rows.append([trials, *(f"{seconds:.2f}" for seconds in figures), f"{typical.peak_mib:.0f}"])
    table = markdown_table(["trials", "s of CPU", "s", "peak MiB"], rows)
    publish("planning", "## Planning", table, f"Medians of {RUNS} runs of `backsweep plan --json` on empty stores.")


if __name__ == "__main__":
    main()
