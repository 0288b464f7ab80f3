"""What worker processes print, as lines of our logger: to be shown and kept where nobody sees a terminal."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from backsweep.executors.ray_session import LOGGER

__all__ = ["Initializer", "output_logged"]

Initializer = tuple[Callable[..., None] | None, tuple[Any, ...]]
LISTEN_SECONDS = 2.0  # a grandchild that lives on may hold the pipe open for ever


@contextlib.contextmanager
def output_logged() -> Iterator[Initializer]:
    """Yield what a pool calls in each new process so that its output is logged here; nothing where nobody listens."""
    if all(isinstance(handler, logging.NullHandler) for handler in LOGGER.handlers):
        yield None, ()
        return
    ours, theirs = multiprocessing.Pipe(duplex=False)
    reader = threading.Thread(target=_log, args=(ours,), name="backsweep-worker-output", daemon=True)
    reader.start()
    try:
        yield _print_to, (theirs,)
    finally:
        theirs.close()
        reader.join(LISTEN_SECONDS)


def _print_to(theirs: Connection) -> None:
    """Print into the pipe, line by line; runs in a new process."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        os.dup2(theirs.fileno(), number)
        if hasattr(stream, "reconfigure"):
            # A line in one write, also under PYTHONUNBUFFERED: the pipe is every process's, and pieces would mix.
            stream.reconfigure(line_buffering=True, write_through=False)


def _log(ours: Connection) -> None:
    """Log each line, until the last process has closed its end."""
    with os.fdopen(os.dup(ours.fileno()), encoding="utf-8", errors="replace") as lines:
        ours.close()
        for line in lines:
            LOGGER.info("%s", line.rstrip("\n"))
