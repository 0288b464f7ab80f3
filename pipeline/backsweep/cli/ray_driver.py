"""``python -m backsweep.cli.ray_driver REQUEST``: what the Jobs API of a Ray elsewhere starts for a sweep.

The side that submitted it reads this output: see `executors.ray_lines`.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from backsweep.errors import BacksweepError, InvariantError
from backsweep.executors.ray_lines import ERROR, PROGRESS, REPORT, mark_line
from backsweep.executors.ray_session import LOGGER
from backsweep.flow.cluster.driver import drive
from backsweep.flow.cluster.request import read_request
from backsweep.sweep.compute import Progress

__all__ = ["main"]

SAY_SECONDS = 1.0  # progress is said no more often: the other side reads the whole output each time


def main(arguments: Sequence[str]) -> int:
    """Compute the sweep the one argument describes; say progress, report or error on the output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        _say(REPORT, drive(read_request(arguments[0]), _Sayer()))
    except BacksweepError as error:
        _say(ERROR, {"reason": error.reason, "message": str(error)})
        return 1
    except Exception as error:
        traceback.print_exc()
        _say(ERROR, {"reason": InvariantError.reason, "message": f"{type(error).__name__} in the driver: {error}"})
        return 1
    return 0


class _Sayer:
    """Says progress, at most once a second and the last one always."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAY_SECONDS or progress.done == progress.total:
            self._said_at = now
            counts = {name: getattr(progress, name) for name in ("done", "total", "cached", "failed")}
            _say(PROGRESS, counts)


def _say(mark: str, tree: Mapping[str, Any]) -> None:
    sys.stdout.write(mark_line(mark, tree) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
