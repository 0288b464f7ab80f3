"""What Prefect costs a sweep: the bare engine against the same sweep as a flow, on a server that runs already."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tests.benchmarks.timing import markdown_table, publish

from backsweep.orchestration import server

ROOT = Path(__file__).resolve().parents[2]
RUNS = 3


def main(file: Path) -> None:
    """Run a sweep both ways, each from an empty store and again with all stored."""
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        folder = Path(temporary)
        patch.setenv("BACKSWEEP_STATE", str(folder / "state"))
        for name in ("PREFECT_API_URL", "BACKSWEEP_PREFECT"):
            patch.delenv(name, raising=False)
        start = time.perf_counter()
        server.ensure()
        first = time.perf_counter() - start
        try:
            command = [sys.executable, "-m", "backsweep", "run", str(file), "--json", "--baseline", "none"]
            bare = seconds([*command, "--no-prefect"], folder / "bare")
            flow = seconds(command, folder / "flow")
        finally:
            server.stop()
        imports = seconds([sys.executable, "-c", "import prefect.flows"], folder / "imports")
    shares = (flow[0] - bare[0], flow[1] - bare[1])
    named = {
        "bare engine": bare,
        "as a Prefect flow": flow,
        "Prefect's share": shares,
        "of it `import prefect`": (min(imports), min(imports)),
    }
    rows = [[name, *(f"{each:.2f}" for each in found)] for name, found in named.items()]
    publish(
        "prefect",
        "## Prefect",
        markdown_table([file.stem, "s, nothing stored", "s, all stored"], rows),
        f"Whole processes, imports included, the quickest of {RUNS}; the server runs already. Its first start, with a "
        f"new database, took {first:.0f} s.",
    )


def seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Return the least seconds of a few runs by the clock: with nothing stored, and with all stored."""
    cold: list[float] = []
    warm: list[float] = []
    for number in range(RUNS):
        place = folder / str(number)
        place.mkdir(parents=True)
        for found in (cold, warm):
            start = time.perf_counter()
            subprocess.run(command, cwd=place, check=True, capture_output=True)
            found.append(time.perf_counter() - start)
    return min(cold), min(warm)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "examples/sp500-tournament.yaml")
