"""The pipeline before: scripts called one after the other, all of them, every night."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run everything."""
    for folder in ("raw", "build"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / "build").mkdir()
    for command in (
        ["deliver.py", "raw"],
        ["scan.py", "raw", "build/scan.json"],
        ["ingest.py", "raw", "build/scan.json", "build/lake"],
        ["selection.py", "build/lake", "build/prices.parquet"],
    ):
        subprocess.run([sys.executable, *command], cwd=HERE, check=True)
    subprocess.run([sys.executable, "-m", "backsweep", "run", "sweep.yaml"], cwd=HERE, check=True)


if __name__ == "__main__":
    main()
