"""A job on a Ray elsewhere, watched: its output is read the less often the longer it is, and whole at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast

import pytest

from backsweep.errors import TransientError
from backsweep.executors import ray_jobs
from backsweep.executors.ray_jobs import Patience, run_job
from backsweep.executors.ray_lines import PROGRESS, REPORT, mark_line
from backsweep.executors.ray_rest import JobRequest, JobsApi, JobStatus

HOUR_SECONDS = 3_600.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Cluster:
    """A Ray whose one job says its progress each second for an hour, beside a few lines of its workers."""

    address = "http://ray.example.com:8265"

    def __init__(self, clock: Clock, line: str) -> None:
        self._clock = clock
        self._line = line
        self._submitted = False
        self.read: list[tuple[float, int]] = []

    def find(self, submission_id: str) -> JobStatus | None:
        if not self._submitted:
            return None
        return JobStatus("RUNNING" if self._clock.now < HOUR_SECONDS else "SUCCEEDED", "", 0)

    def submit(self, request: JobRequest) -> None:
        self._submitted = True

    def log(self, submission_id: str) -> str:
        said = int(min(self._clock.now, HOUR_SECONDS))
        log = "".join(f"{mark_line(PROGRESS, {'done': second})}\n{self._line}\n" for second in range(said))
        if self._clock.now >= HOUR_SECONDS:
            log += f"{mark_line(REPORT, {'blocks': 7})}\n"
        self.read.append((self._clock.now, len(log)))
        return log


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Cluster, list[int], dict[str, Any]]]:
    """Return what watches a job whose workers print a line a second to its end."""
    clock = Clock()
    monkeypatch.setattr(ray_jobs, "time", clock)

    def watch(line: str) -> tuple[Cluster, list[int], dict[str, Any]]:
        cluster, seen = Cluster(clock, line), list[int]()
        api = cast("JobsApi", cluster)
        report = run_job(api, JobRequest("job", "python"), Patience(), lambda said: seen.append(said["done"]))
        return cluster, seen, report

    return watch


def test_a_long_output_is_read_at_a_bounded_rate_and_its_end_once(
    watch: Callable[[str], tuple[Cluster, list[int], dict[str, Any]]],
) -> None:
    cluster, seen, report = watch("x" * 1_000)
    assert report == {"blocks": 7}
    assert [at for at, _ in cluster.read].count(HOUR_SECONDS) == 1
    assert seen[-1] == HOUR_SECONDS - 1
    assert sum(size for _, size in cluster.read) < HOUR_SECONDS * 2 * ray_jobs.LOG_CHARACTERS_A_SECOND
    pauses = [later - earlier for (earlier, _), (later, _) in zip(cluster.read, cluster.read[1:], strict=False)]
    assert max(pauses) <= ray_jobs.LONGEST_LOG_PAUSE_SECONDS + Patience().poll_seconds


def test_a_short_output_is_read_at_every_look(
    watch: Callable[[str], tuple[Cluster, list[int], dict[str, Any]]],
) -> None:
    cluster, _, _ = watch("")
    early = [at for at, _ in cluster.read if at < 600]
    assert early == [2.0 * look for look in range(300)]


@pytest.fixture
def closing_address() -> Iterator[str]:
    """Yield the address of what knows no job and hangs up on whoever submits one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_a_submission_that_is_never_taken_says_why(closing_address: str) -> None:
    api = JobsApi(closing_address, bear_seconds=0.0)
    with pytest.raises(TransientError, match=r"no answer from Ray at .*: Remote end closed connection"):
        api.submit(JobRequest("job", "python"))
