"""Publishes artifacts and log lines from a thread of its own: a server that is slow or away never holds up the work."""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from backsweep.orchestration.artifacts import Artifact

if TYPE_CHECKING:
    import httpx

__all__ = ["Publisher"]

SECONDS_BETWEEN_PROGRESS = 5.0
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 30.0
PASSING = frozenset({408, 429})  # of 4xx, those that ask for another try


class _RefusedError(Exception):
    """The server took the request and said no; asking again cannot help."""


class Publisher:
    """Publishes for one flow run, in order; a context manager that waits, within bounds, until all is said."""

    def __init__(self, run: UUID, is_lost: Callable[[], bool]) -> None:
        self._run = run
        self._is_lost = is_lost
        self._condition = threading.Condition()
        self._waiting: deque[Artifact] = deque()
        self._lines: deque[tuple[int, str, datetime.datetime]] = deque()
        self._refused_lines = 0
        self._progress: dict[str, Artifact] = {}
        self._progress_ids: dict[str, UUID] = {}
        self._closing_at: float | None = None
        self._thread = threading.Thread(target=self._publish, name="backsweep-publisher", daemon=True)

    def __enter__(self) -> Publisher:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._condition:
            self._closing_at = time.monotonic()
            self._condition.notify()
        self._thread.join(CLOSE_SECONDS + RETRY_SECONDS)

    def progress(self, artifact: Artifact) -> None:
        """Show how far the sweep is, in place; of several under one key in a few seconds the last is shown."""
        with self._condition:
            self._progress[artifact.key] = artifact
            self._condition.notify()

    def log(self, sentence: str, level: int = logging.INFO) -> None:
        """Add a line to the flow run's log; Prefect's own handler drops lines while the server is away."""
        with self._condition:
            self._lines.append((level, sentence, _now()))

    def add(self, artifact: Artifact) -> None:
        """Publish an artifact."""
        with self._condition:
            self._waiting.append(artifact)
            self._condition.notify()

    def _publish(self) -> None:
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

        with temporary_settings(updates={PREFECT_CLIENT_MAX_RETRIES: 0}), get_client(sync_client=True) as client:
            while not self._is_over():
                self._say(client)
            self._own_up(client)

    def _is_over(self) -> bool:
        with self._condition:
            if self._closing_at is None:
                return False
            late = time.monotonic() - self._closing_at > CLOSE_SECONDS
            return late or self._is_lost() or not (self._waiting or self._progress or self._lines)

    def _say(self, client: Any) -> None:
        """Publish what waits; what cannot be delivered now waits on."""
        import httpx

        with self._condition:
            if not (self._waiting or self._progress or self._closing_at):
                self._condition.wait(SECONDS_BETWEEN_PROGRESS)
            progress, waiting, lines = list(self._progress.values()), list(self._waiting), len(self._lines)
        try:
            self._deliver(client, lines)
            for artifact in progress:
                with contextlib.suppress(_RefusedError):
                    self._show(client, artifact)
                with self._condition:
                    if self._progress[artifact.key] is artifact:
                        del self._progress[artifact.key]
            for artifact in waiting:
                with contextlib.suppress(_RefusedError):
                    self._create(client, artifact)
                self._waiting.popleft()
        except httpx.HTTPError:
            time.sleep(RETRY_SECONDS)
            return
        with self._condition:
            if self._closing_at is None and not self._waiting:
                self._condition.wait_for(lambda: self._closing_at or self._waiting, SECONDS_BETWEEN_PROGRESS)

    def _deliver(self, client: Any, count: int) -> None:
        """Send the first `count` lines and let go of them: also of those that the server refuses for good.

        What is refused together is sent in ever smaller parts, so that one bad line takes no other with it.
        """
        import httpx

        size = count
        while count:
            part = [self._lines[index] for index in range(min(size, count))]
            try:
                client.create_logs([self._line(*line) for line in part])
            except httpx.HTTPStatusError as error:
                if not _is_final(error):
                    raise
                if len(part) > 1:
                    size = len(part) // 2
                    continue
                self._refused_lines += 1
            for _ in part:
                self._lines.popleft()
            count -= len(part)

    def _own_up(self, client: Any) -> None:
        """Say once, at the end, how many lines are missing; a server that refuses this, too, is left alone."""
        import httpx

        if self._refused_lines:
            sentence = f"the server refused {self._refused_lines:,} lines, which are not shown here; the store has them"
            with contextlib.suppress(httpx.HTTPError):
                client.create_logs([self._line(logging.WARNING, sentence, _now())])

    def _line(self, level: int, sentence: str, said: datetime.datetime) -> Any:
        from prefect.client.schemas.actions import LogCreate

        return LogCreate(name="backsweep", level=level, message=sentence, timestamp=said, flow_run_id=self._run)

    def _show(self, client: Any, artifact: Artifact) -> None:
        from prefect.client.schemas.actions import ArtifactUpdate

        shown = self._progress_ids.get(artifact.key)
        if shown is None:
            self._progress_ids[artifact.key] = self._create(client, artifact)
        else:
            update = ArtifactUpdate(data=artifact.data, description=artifact.description)
            client.update_artifact(shown, update)

    def _create(self, client: Any, artifact: Artifact) -> UUID:
        import httpx
        from prefect.client.schemas.actions import ArtifactCreate

        wanted = ArtifactCreate(
            key=artifact.key,
            type=artifact.type,
            description=artifact.description,
            data=artifact.data,
            flow_run_id=self._run,
        )
        try:
            return UUID(str(client.create_artifact(wanted).id))
        except httpx.HTTPStatusError as error:
            if _is_final(error):
                self.log(f"the server refused the artifact {artifact.key}: {error}", logging.WARNING)
                raise _RefusedError from error
            raise


def _is_final(error: httpx.HTTPStatusError) -> bool:
    """Whether the server said no for good."""
    return error.response.is_client_error and error.response.status_code not in PASSING


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)  # noqa: TID251  # when it was said
