"""Calls one function in a process of its own: ``python -P call.py CALL``. Imports nothing of Backsweep."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from typing import Any


def main(call: dict[str, Any]) -> None:
    """Import the function's module, by its name where it has one, and call it."""
    sys.path[:0] = [place for place in call["path"] if place not in sys.path]
    module = importlib.import_module(call["module"]) if _can_be_found(call) else _load(call["file"])
    getattr(module, call["function"])(*call["paths"], **call["parameters"])


def _can_be_found(call: dict[str, Any]) -> bool:
    try:
        found = importlib.util.find_spec(call["module"])
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin == call["file"]


def _load(file: str) -> Any:
    """Load a file that is not on the path: the pipeline's own."""
    spec = importlib.util.spec_from_file_location("pipeline_of_steps", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
