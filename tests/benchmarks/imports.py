"""What a worker imports, against what its user would import anyway: `import numpy, pandas`."""

from __future__ import annotations

import sys

from tests.benchmarks.timing import Cost, markdown_table, medians, publish, run_child

RUNS = 21
BAR = 1.15
PROGRAMS = {
    "numpy, pandas": "import numpy, pandas",
    "what a worker imports": "import backsweep.executors.processes, backsweep.stores.file, backsweep.sweep.work",
    "numpy": "import numpy",
    "an empty program": "",
}


def main() -> None:
    """Measure the programs in turn, many times, so that a slow minute of the machine meets all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in PROGRAMS}
    for program in PROGRAMS.values():
        run_child([sys.executable, "-c", program])  # the first run writes bytecode
    for _ in range(RUNS):
        for name, program in PROGRAMS.items():
            costs[name].append(run_child([sys.executable, "-c", program])[0])
    typical = {name: medians(found) for name, found in costs.items()}
    reference = typical["numpy, pandas"].cpu_seconds
    rows = [
        [
            name,
            f"{cost.cpu_seconds * 1e3:.0f}",
            f"{cost.wall_seconds * 1e3:.0f}",
            f"{cost.peak_mib:.0f}",
            f"{cost.cpu_seconds / reference:.2f}",
        ]
        for name, cost in typical.items()
    ]
    table = markdown_table(["import", "ms of CPU", "ms", "MiB", "against numpy, pandas"], rows)
    note = f"Medians of {RUNS} alternating processes; a worker may take at most {BAR} x numpy and pandas."
    publish("imports", "## Import time", table, note)


if __name__ == "__main__":
    main()
