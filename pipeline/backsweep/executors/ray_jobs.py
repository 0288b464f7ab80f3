"""A job run to its end on a Ray elsewhere: attached to, watched, and submitted again where it was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backsweep.errors import BlockTimeoutError, TransientError, WorkerLostError
from backsweep.executors.ray_lines import ERROR, MARKS, PROGRESS, REPORT, error_of, last_line
from backsweep.executors.ray_rest import JobRequest, JobsApi, JobStatus
from backsweep.executors.ray_session import LOGGER

__all__ = ["Patience", "run_job", "stop_job"]

TAIL_LINES = 15
# Ray's Jobs API gives a driver's whole output or, over a WebSocket, all of it from its start: nobody can ask for what
# is new. So the longer it is, the less often it is read; within a minute, as progress is looked for in it.
LOG_CHARACTERS_A_SECOND = 32_768
LONGEST_LOG_PAUSE_SECONDS = 60.0
KILLED = 128  # a shell's exit code for a signal is above it, Python's own is negative


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what.

    Parameters
    ----------
    poll_seconds : between two looks at the job.
    pending_seconds : until the driver has begun.
    stall_seconds : without progress of a driver that runs.
    resubmissions : how often a lost job is submitted again.
    """

    poll_seconds: float = 2.0
    pending_seconds: float = 600.0
    stall_seconds: float = 1_200.0
    resubmissions: int = 3


def run_job(
    api: JobsApi, request: JobRequest, patience: Patience, observe: Callable[[Mapping[str, Any]], None]
) -> dict[str, Any]:
    """Return the report of the job's driver, having told `observe` each progress it made.

    A job that runs under the request's id is attached to. One that is over left work undone, or nobody would ask for
    it: the next runs under the id with a number. Ids are not used twice on one cluster, though Ray lets them be once
    the job is deleted: the name of its process may stay taken, and its watch then calls the new job dead. An
    interruption on this side leaves the job running: the next call attaches to it; `stop_job` ends it.

    Raises
    ------
    WorkerLostError
        If the job was lost more than `resubmissions` times.
    BlockTimeoutError
        If it did not begin, or made no progress; it is stopped.
    BacksweepError
        What the driver ended with.
    """
    last = ""
    for _ in range(patience.resubmissions + 1):
        mine, is_there = _first_not_over(api, request)
        if not is_there:
            api.submit(mine)
        watch = _Watch(api, mine.submission_id, patience, observe)
        end = watch.until_over()
        if end is None:  # lost with its head: what it stored is there
            last = "its cluster does not know it any more"
            continue
        report = _report(mine.submission_id, end, watch.log)
        if report is not None:
            return report
        last = end.message
    raise WorkerLostError(
        f"the Ray job {request.submission_id} at {api.address} was lost {patience.resubmissions + 1} times; what is "
        f"finished is stored, run the same command to go on; the last time: {last}"
    )


def stop_job(api: JobsApi, request: JobRequest) -> None:
    """Ask the job of this request to end, where one runs."""
    mine, is_there = _first_not_over(api, request)
    if is_there:
        api.stop(mine.submission_id)


def _first_not_over(api: JobsApi, request: JobRequest) -> tuple[JobRequest, bool]:
    """Return the request under its first id that is not used up, and whether a job runs under that."""
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        mine = replace(request, submission_id=request.submission_id + suffix)
        found = api.find(mine.submission_id)
        if found is None or not found.is_over:
            return mine, found is not None
        number += 1


class _Watch:
    """One submission, watched until it is over or gone.

    Attributes
    ----------
    log : the driver's output, as it was read last: once the job is over, all of it.
    """

    def __init__(
        self, api: JobsApi, submission_id: str, patience: Patience, observe: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._api = api
        self._id = submission_id
        self._patience = patience
        self._observe = observe
        self._progress: dict[str, Any] | None = None
        self._state = ""
        self._moved_at = time.monotonic()
        self.log = ""
        self._logged = 0
        self._read_log_at = 0.0

    def until_over(self) -> JobStatus | None:
        """Return the job's end, or None if the cluster does not know the job any more."""
        while True:
            status = self._api.find(self._id)
            if status is None:
                return None
            self._look(status)
            if status.is_over:
                return status
            self._give_up(status)
            time.sleep(self._patience.poll_seconds)

    def _look(self, status: JobStatus) -> None:
        """Note a step the job has made: into another state, or in its progress."""
        if status.is_over or (status.state != "PENDING" and time.monotonic() >= self._read_log_at):
            self._read_log()
        if status.state != self._state:
            self._state = status.state
            self._moved_at = time.monotonic()

    def _read_log(self) -> None:
        self.log = self._api.log(self._id)
        pause = min(len(self.log) / LOG_CHARACTERS_A_SECOND, LONGEST_LOG_PAUSE_SECONDS)
        self._read_log_at = time.monotonic() + pause
        self._pass_on()
        progress = last_line(self.log, PROGRESS)
        if progress is not None and progress != self._progress:
            self._observe(progress)
            self._progress = progress
            self._moved_at = time.monotonic()

    def _pass_on(self) -> None:
        """Log the whole lines that are new, but for those the two sides speak by."""
        end = self.log.rfind("\n") + 1
        for line in self.log[self._logged : end].splitlines():
            if not line.startswith(MARKS):
                LOGGER.info("%s: %s", self._id, line)
        self._logged = max(self._logged, end)

    def _give_up(self, status: JobStatus) -> None:
        pending = status.state == "PENDING"
        most = self._patience.pending_seconds if pending else self._patience.stall_seconds
        if time.monotonic() - self._moved_at < most:
            return
        self._api.stop(self._id)
        what = "did not begin" if pending else "made no progress"
        raise BlockTimeoutError(
            f"the Ray job {self._id} at {self._api.address} {what} within {most:g} s and was stopped: "
            f"{status.message or 'Ray says nothing more'}; what is finished is stored"
        )


def _report(submission_id: str, end: JobStatus, log: str) -> dict[str, Any] | None:
    """Return the report of a job that is over, or None where its driver was lost.

    Raises
    ------
    TransientError
        If it was stopped.
    BacksweepError
        What the driver ended with.
    """
    if end.state == "SUCCEEDED":
        return last_line(log, REPORT) or {}
    if end.state == "STOPPED":
        raise TransientError(f"the Ray job {submission_id} was stopped; what is finished is stored")
    said = last_line(log, ERROR)
    if said is not None:
        raise error_of(said)
    if end.exit_code is not None and 0 < end.exit_code < KILLED:
        raise TransientError(f"the Ray job {submission_id} ended with exit code {end.exit_code}:\n{_tail(log)}")
    return None


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-TAIL_LINES:])
