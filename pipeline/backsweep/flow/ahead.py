"""Reads the data and plans in a thread of its own, while others start; each of the two can be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backsweep.flow.prepare import Prepared, StageTimes, prepare
from backsweep.flow.site import Site
from backsweep_api.spec.document import BacktestSweep

__all__ = ["Ahead"]

LAST_OF_DATA = "store data"


@dataclass(slots=True)
class _TimesWithDataEvent(StageTimes):
    """Times each stage, and tells when the data are there."""

    have_data: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and note how long it took."""
        result = StageTimes.time(self, stage, work)
        if stage == LAST_OF_DATA:
            self.have_data = True
            self.over.set()
        return result


class Ahead:
    """A sweep that is being prepared; making one begins it."""

    def __init__(self, document: BacktestSweep, folder: Path, site: Site) -> None:
        self._times = _TimesWithDataEvent()
        with_one_thread = ThreadPoolExecutor(1, "backsweep-data")
        self._prepared: Future[Prepared] = with_one_thread.submit(prepare, document, folder, self._times, site)
        self._prepared.add_done_callback(lambda _: self._times.over.set())
        with_one_thread.shutdown(wait=False)

    def wait_for_data(self) -> None:
        """Wait until the data are resolved and stored.

        Raises
        ------
        BacksweepError
            What went wrong on the way there; what goes wrong in planning is raised by `prepared`.
        """
        self._times.over.wait()
        if not self._times.have_data:
            self._prepared.result()

    def prepared(self) -> Prepared:
        """Wait for the plan, too, and return all of it.

        Raises
        ------
        BacksweepError
            As `prepare`.
        """
        return self._prepared.result()
