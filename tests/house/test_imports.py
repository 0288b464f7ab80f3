"""What a worker imports stays as light as numpy: pandas, scipy and the rest cost most of a second each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.house.conftest import Source

WORKER = (
    "solve",
    "simulate",
    "measure",
    "aggregate",
    "executors",
    "trial",
    "sweep.work",
    "stores.file",
    "stores.opening",
    "stores.s3",
)
SCRIPT = """
import importlib, json, sys
before = set(sys.modules)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def imported_by(modules: list[str], root: Path) -> set[str]:
    """Return the top-level packages, beyond Python's own, that importing `modules` brings in."""
    environment = {**os.environ, "PYTHONPATH": f"{root / 'api'}{os.pathsep}{root / 'pipeline'}"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(modules)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    ours_to_judge = set(json.loads(run.stdout)) - sys.stdlib_module_names
    return ours_to_judge - {"__mp_main__"}  # multiprocessing's second name of the script itself


def test_a_worker_imports_numpy_and_nothing_else(root: Path, shipped: list[Source]) -> None:
    prefixes = tuple(f"backsweep.{part}" for part in WORKER)
    worker = [source.module for source in shipped if source.module.startswith(prefixes)]
    assert {"backsweep.trial", "backsweep.sweep.work", "backsweep.stores.file"} <= set(worker)
    assert imported_by(worker, root) == {"backsweep", "backsweep_api", "numpy"}


def test_reading_a_document_needs_neither_numpy_nor_the_pipeline(root: Path, shipped: list[Source]) -> None:
    names = [source.module for source in shipped if source.module.startswith("backsweep_api")]
    assert not imported_by(names, root) & {"numpy", "pandas", "backsweep"}
