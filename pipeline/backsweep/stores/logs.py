"""A sweep's logs in its store: what a run said, readable after the run, its workers and its server are gone.

    sweeps/<namespace>/<name>/<specDigest>/logs/<begun>-<run>.flow.log       what the flow said
    sweeps/<namespace>/<name>/<specDigest>/logs/<begun>-<run>.workers.log    what its workers printed

`begun` is a time of UTC that sorts (20261123T211843Z), so that the newest run stands last. Each log is at most
`LOG_BYTES` long: its beginning and its end are kept, and a line says how many are left out between them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from backsweep.errors import UserError

if TYPE_CHECKING:
    from backsweep.ports import ManifestKey
    from backsweep.stores.opening import AnyStore

__all__ = ["FLOW", "LOG_BYTES", "WORKERS", "CappedLog", "log_name", "newest_log"]

LOG_BYTES = 2**20
HEAD_BYTES = LOG_BYTES // 4
LINE_BYTES = 4096  # a longer line is cut: it would push out others
NOTE_BYTES = 64
FLOW = "flow"
WORKERS = "workers"


class CappedLog:
    """Lines of a log that never takes more than `LOG_BYTES` of memory or of a store."""

    def __init__(self) -> None:
        self._head: list[bytes] = []
        self._tail: deque[bytes] = deque()
        self._head_bytes = self._tail_bytes = self._left_out = 0

    def add(self, lines: Iterable[str]) -> None:
        """Add lines; an empty one is one too."""
        for line in lines:
            data = line.encode("utf-8", "replace")[: LINE_BYTES - 1] + b"\n"
            if not self._tail and self._head_bytes + len(data) <= HEAD_BYTES:
                self._head.append(data)
                self._head_bytes += len(data)
            else:
                self._tail.append(data)
                self._tail_bytes += len(data)
        while self._tail_bytes > LOG_BYTES - HEAD_BYTES - NOTE_BYTES:
            self._tail_bytes -= len(self._tail.popleft())
            self._left_out += 1

    def data(self) -> bytes:
        """Return the log as it is stored."""
        note = [f"... {self._left_out:,} lines are left out here ...\n".encode()] if self._left_out else []
        return b"".join([*self._head, *note, *self._tail])


def log_name(started: str, run: str, kind: str) -> str:
    """Return a log's name.

    Parameters
    ----------
    started : when the run began, ISO 8601 in UTC.
    run : what tells the run from another that began in the same second.
    kind : FLOW or WORKERS.
    """
    stamp = re.sub(r"[-:]", "", started.removesuffix("+00:00")) + "Z"
    return f"{stamp}-{run}.{kind}.log"


def newest_log(store: AnyStore, key: ManifestKey, kind: str) -> str:
    """Return the name of the newest log of a sweep.

    Raises
    ------
    UserError
        If there is none.
    """
    found = [name for name in store.log_names(key) if name.endswith(f".{kind}.log")]
    if not found:
        raise UserError(
            f"{key.name}: {store.uri} has no {kind} log of it; runs with Prefect leave one"
            + (", where a worker printed something" if kind == WORKERS else "")
        )
    return found[-1]
