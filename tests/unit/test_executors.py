"""Blocks in several processes: results whole, lost workers replaced, hung ones given up."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from backsweep.errors import BlockTimeoutError, NumericError, WorkerLostError
from backsweep.executors.processes import ProcessExecutor
from backsweep.executors.serial import SerialExecutor


def square(number: int) -> int:
    return number * number


def process(_: int) -> int:
    return os.getpid()


def die_once(place: str) -> str:
    """Kill this very process the first time it is called for a place."""
    path = Path(place)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return place


def die_always(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def hang(_: int) -> int:
    time.sleep(600)  # killed by the executor: that is what is tested
    return 0


def refuse(_: int) -> int:
    raise NumericError("this block has no answer")


SQUARES = {number: number * number for number in range(40)}


def squares(executor: SerialExecutor | ProcessExecutor) -> dict[int, int]:
    return {outcome.index: outcome.result for outcome in executor.run(range(40), square)}


def test_every_block_is_answered_once() -> None:
    assert squares(SerialExecutor()) == SQUARES


def test_processes_answer_every_block_once_and_stay_for_the_next_run() -> None:
    with ProcessExecutor(2, retries=0, timeout_seconds=60) as executor:
        assert squares(executor) == SQUARES
        first = {outcome.result for outcome in executor.run(range(20), process)}
        assert {outcome.result for outcome in executor.run(range(20), process)} <= first
        assert len(first) <= 2
    assert not any(Path(f"/proc/{identity}").exists() for identity in first)


def test_a_worker_that_dies_is_replaced_and_its_blocks_are_done_again(tmp_path: Path) -> None:
    places = [str(tmp_path / str(number)) for number in range(3)]
    with ProcessExecutor(2, retries=5, timeout_seconds=60) as executor:
        assert sorted(outcome.result for outcome in executor.run(places, die_once)) == places


def test_a_block_that_kills_its_worker_each_time_ends_the_sweep_with_a_reason() -> None:
    executor = ProcessExecutor(1, retries=1, timeout_seconds=60)
    with pytest.raises(WorkerLostError, match="its worker process died 2 times"):
        list(executor.run([1], die_always))


def test_a_block_that_hangs_is_given_up_and_its_process_does_not_outlive_it() -> None:
    executor = ProcessExecutor(1, retries=0, timeout_seconds=2)
    started = time.monotonic()
    with pytest.raises(BlockTimeoutError, match="blockTimeoutSeconds = 2"):
        list(executor.run([1], hang))
    assert time.monotonic() - started < 60


def test_what_the_work_raises_passes_through() -> None:
    with pytest.raises(NumericError, match="this block has no answer"):
        list(ProcessExecutor(1, retries=3, timeout_seconds=60).run([1], refuse))
