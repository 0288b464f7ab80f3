"""Watches the server during a run: an embedded one that dies is started again, one that is away is waited for."""

from __future__ import annotations

import threading
import time

from backsweep.errors import BacksweepError
from backsweep.orchestration.server import Endpoint, answers, ensure

__all__ = ["Keeper"]

LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 120.0


class Keeper:
    """Keeps the server of one run; a context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._over = threading.Event()
        self._patience = PATIENCE_SECONDS
        self._thread = threading.Thread(target=self._watch, name="backsweep-server-keeper", daemon=True)

    def __enter__(self) -> Keeper:
        if self.endpoint.state is not None:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()

    @property
    def is_lost(self) -> bool:
        """Whether all patience is spent."""
        return self._patience <= 0.0

    def wait(self) -> bool:
        """Wait until the server answers, and return whether it does.

        All waits of a run together are bounded: after that the sweep goes on unseen.
        """
        start = time.monotonic()
        while not (found := answers(self.endpoint)):
            if time.monotonic() - start > self._patience:
                break
            time.sleep(0.2)
        self._patience = max(0.0, self._patience - (time.monotonic() - start))
        return found

    def _watch(self) -> None:
        """Start the embedded server again when it died; not when it was stopped."""
        state = self.endpoint.state
        while state is not None and not self._over.wait(LOOK_SECONDS):
            record = state.record()
            if record is None or record.is_stopped or state.is_served():
                continue
            try:
                ensure()
            except BacksweepError:
                continue  # patience ends, and so does the run
