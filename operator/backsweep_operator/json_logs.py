"""Logs as one JSON object a line, with the sweep and the attempt they are about."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["JsonFormatter", "about", "log_as_json"]

_about: ContextVar[tuple[str, int | None] | None] = ContextVar("backsweep_about", default=None)


@contextmanager
def about(sweep: str, attempt: int | None) -> Iterator[None]:
    """Say what the log lines of this task are about: namespace/name and the number of the attempt."""
    token = _about.set((sweep, attempt))
    try:
        yield
    finally:
        _about.reset(token)


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = _about.get()
        if known is not None:
            line["sweep"] = known[0]
            if known[1] is not None:
                line["attempt"] = known[1]
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: str) -> None:
    """Send every logger's lines to standard error as JSON; Kopf's talk only where it matters."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING if level != "debug" else logging.DEBUG)
