"""What happened to sweeps, when and how it went on, as rows of a Markdown table in build/failures.md."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cluster.clusters import RefusedError
from tests.e2e.releases import ROOT
from tests.e2e.running import done, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.running import RunningSweep

TABLE = ROOT / "build" / "failures.md"
HEAD = "| what happened | before | after | seconds |\n|---|---|---|---|\n"


@contextmanager
def recorded(sweep: RunningSweep, what: str) -> Iterator[None]:
    """Add a row about what is done to a sweep in the block; at once, since another test may never end."""
    before, began = told(sweep), time.monotonic()
    yield
    row = f"| {what} | {before} | {told(sweep)} | {time.monotonic() - began:.0f} |\n"
    TABLE.parent.mkdir(exist_ok=True)
    if not TABLE.exists():
        TABLE.write_text(HEAD, encoding="utf-8")
    with TABLE.open("a", encoding="utf-8") as file:
        file.write(row)


def told(sweep: RunningSweep) -> str:
    """Return how a sweep is, in a few words."""
    try:
        status = sweep.status()
    except RefusedError:
        return "not there"
    run = status.get("run") or {}
    reason = (run.get("stop") or {}).get("reason", "") if state(status) == "Failed" else ""
    total = (status.get("trials") or {}).get("total", 0)
    return f"{state(status) or 'New'} {reason}, attempt {run.get('attempt', 0)}, {done(status)} of {total} trials"
