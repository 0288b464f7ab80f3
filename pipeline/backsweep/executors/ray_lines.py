"""What a driver says on its output to the side that submitted it: one line each, a mark and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backsweep import errors

__all__ = ["ERROR", "MARKS", "PROGRESS", "REPORT", "error_of", "last_line", "mark_line"]

PROGRESS = "backsweep-progress"
REPORT = "backsweep-report"
ERROR = "backsweep-error"
MARKS = (PROGRESS, REPORT, ERROR)


def mark_line(mark: str, tree: Mapping[str, Any]) -> str:
    """Return the line that says `tree`."""
    return f"{mark} {json.dumps(tree, separators=(',', ':'))}"


def last_line(log: str, mark: str) -> dict[str, Any] | None:
    """Return what was said last with this mark; a line that is not whole yet is not counted."""
    for line in reversed(log.splitlines()):
        if line.startswith(mark + " "):
            try:
                tree = json.loads(line[len(mark) + 1 :])
            except ValueError:
                continue
            if isinstance(tree, dict):
                return tree
    return None


def error_of(said: Mapping[str, Any]) -> errors.BacksweepError:
    """Return the error a driver ended with, of the class it had there."""
    classes = {getattr(errors, name).reason: getattr(errors, name) for name in errors.__all__}
    kind: type[errors.BacksweepError] = classes.get(str(said.get("reason")), errors.InvariantError)
    return kind(str(said.get("message")))
