"""What a flow run says, twice: on the dashboard, and in the store of its sweep for when no server is left."""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from backsweep.errors import BacksweepError
from backsweep.executors.ray_session import LOGGER
from backsweep.stores.logs import FLOW, WORKERS, CappedLog

if TYPE_CHECKING:
    from backsweep.flow import Prepared
    from backsweep.orchestration.publisher import Publisher

__all__ = ["FlowLog"]

SECONDS_BETWEEN_SAVES = 30.0  # what a killed run leaves is at most so much older than its end
WORKER_LINES = 100  # shown on the dashboard between two saves; the store has them all, up to its own bound


class FlowLog:
    """The two logs of one run: what the flow said, and what its workers printed.

    Parameters
    ----------
    names : of the flow's log and of its workers', by kind; see `log_name`.
    prepared : returns the sweep as soon as it is planned: its store is where the logs belong.

    Attributes
    ----------
    worker_lines : how many lines workers have printed.
    """

    def __init__(self, publisher: Publisher, names: Mapping[str, str], prepared: Callable[[], Prepared | None]) -> None:
        self.worker_lines = 0
        self._publisher = publisher
        self._names = names
        self._prepared = prepared
        self._logs = {kind: CappedLog() for kind in (FLOW, WORKERS)}
        self._changed: set[str] = set()
        self._saved = time.monotonic()
        self._shown = 0
        self._lock = threading.Lock()

    def say(self, sentence: str, level: int = logging.INFO) -> None:
        """Add a line of the flow's own."""
        self._publisher.log(sentence, level)
        self._add(FLOW, [sentence], level)

    @contextlib.contextmanager
    def hearing_workers(self) -> Iterator[None]:
        """Add what workers print, wherever they are."""
        handler = _Handler(self)
        level, propagate = LOGGER.level, LOGGER.propagate
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False  # the terminal is the command line's own
        try:
            yield
        finally:
            LOGGER.removeHandler(handler)
            LOGGER.setLevel(level)
            LOGGER.propagate = propagate

    def hear(self, line: str, level: int) -> None:
        """Add a line of a worker; the dashboard is spared most of what a chatty one says."""
        with self._lock:
            self.worker_lines += 1
            self._shown += 1
            is_shown = self._shown <= WORKER_LINES
        if is_shown:
            self._publisher.log(f"worker {line}", level)
        self._add(WORKERS, [line], level)

    def save(self) -> None:
        """Write to the store what was said since the last time; a store that refuses a log fails no sweep."""
        with self._lock:
            hidden, self._shown = self._shown - WORKER_LINES, 0
        if hidden > 0:
            self.say(f"{hidden:,} more lines of workers are in {self._names[WORKERS]} in the store")
        with self._lock:
            changed = {kind: self._logs[kind].data() for kind in sorted(self._changed)}
            self._changed.clear()
        self._saved = time.monotonic()
        prepared = self._prepared()
        if prepared is None:
            return  # it failed before its store was known: the sentence is on the terminal and on the dashboard
        try:
            for kind, data in changed.items():
                prepared.store.put_log(prepared.key, self._names[kind], data)
        except BacksweepError as error:
            self._publisher.log(f"the log could not be stored: {error}", logging.WARNING)

    def save_sometimes(self) -> None:
        """Save, unless that was done a moment ago."""
        if time.monotonic() - self._saved > SECONDS_BETWEEN_SAVES:
            self.save()

    def _add(self, kind: str, lines: Sequence[str], level: int) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")  # noqa: TID251  # when it was said
        mark = "" if level < logging.WARNING else f"{logging.getLevelName(level)} "
        with self._lock:
            self._logs[kind].add(f"{now} {mark}{part}" for line in lines for part in line.splitlines())
            self._changed.add(kind)


class _Handler(logging.Handler):
    """Gives what is logged of workers to the log of a run."""

    def __init__(self, log: FlowLog) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Add the record's line."""
        self._log.hear(record.getMessage(), record.levelno)
