"""A sweep of 1,000 trials that is stored already: what the command takes beyond its imports, with Prefect and without.

What a run imports is found by asking one which modules it had loaded at its end; a program that imports the same ones
in the same order is measured in turn with the runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import pytest
import yaml
from tests.benchmarks.documents import changed, example
from tests.benchmarks.timing import OUTPUT, Cost, markdown_table, publish, run_child

RUNS = 5
BAR_SECONDS = 2.0
WAYS = {"without Prefect": ["--no-prefect"], "as a Prefect flow": []}
COMMAND = ["run", "sweep.yaml", "--json", "--output", "run"]
LISTING = """
import json, sys
from backsweep.cli.main import main
code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump([name for name in sys.modules if name != "__main__"], file)
sys.exit(code)
"""
IMPORTING = """
import importlib, json, sys
for name in json.load(open(sys.argv[1])):
    try:
        importlib.import_module(name)
    except Exception:
        pass  # what another module makes when it is imported has no file of its own
"""


def measure(folder: Path, way: str, runs: int) -> list[str]:
    """Return a row of the table: medians of runs and of their imports, in turn."""
    options = WAYS[way]
    names = folder / "modules.json"
    run_child([sys.executable, "-c", LISTING, str(names), *COMMAND, *options], folder)
    costs: list[Cost] = []
    imports: list[Cost] = []
    for _ in range(runs):
        cost, text = run_child([sys.executable, "-m", "backsweep", *COMMAND, *options], folder)
        answer = json.loads(text)
        if answer["trials"]["cached"] != answer["trials"]["total"]:
            raise SystemExit(f"only {answer['trials']['cached']} trials were stored: this measures something else")
        costs.append(cost)
        imports.append(run_child([sys.executable, "-c", IMPORTING, str(names)], folder)[0])
    whole, imported = median(cost.wall_seconds for cost in costs), median(cost.wall_seconds for cost in imports)
    cpu, imported_cpu = median(cost.cpu_seconds for cost in costs), median(cost.cpu_seconds for cost in imports)
    figures = (whole, imported, whole - imported, cpu, cpu - imported_cpu)
    memory = f"{median(cost.peak_mib for cost in costs):.0f}"
    return [way, f"{answer['trials']['total']:,}", *(f"{seconds:.2f}" for seconds in figures), memory]


def main() -> None:
    """Fill a store, start a server, and run the same sweep again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    runs = parser.parse_args().runs
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUT) as temporary, pytest.MonkeyPatch.context() as patch:
        folder = Path(temporary)
        patch.setenv("BACKSWEEP_STATE", str(folder / "state"))
        patch.delenv("PREFECT_API_URL", raising=False)
        text = yaml.safe_dump(changed(example(), "execution", "mode", "local"), sort_keys=False)
        (folder / "sweep.yaml").write_text(text, encoding="utf-8")
        run_child([sys.executable, "-m", "backsweep", *COMMAND, "--no-prefect"], folder)
        run_child([sys.executable, "-m", "backsweep", "server", "start"], folder)
        try:
            run_child([sys.executable, "-m", "backsweep", *COMMAND], folder)  # the server has seen a run
            rows = [measure(folder, way, runs) for way in WAYS]
        finally:
            run_child([sys.executable, "-m", "backsweep", "server", "stop"], folder)
    times = ["s", "s of imports", "s beyond imports", "s of CPU", "s of CPU beyond imports"]
    titles = ["all trials stored", "trials", *times, "peak MiB"]
    note = (
        f"Medians of {runs} runs by the clock, and of as many programs that import the same modules; the Prefect "
        f"server runs already. The bar is {BAR_SECONDS:g} s beyond imports."
    )
    publish("cached", "## A sweep that is stored already", markdown_table(titles, rows), note)


if __name__ == "__main__":
    main()
