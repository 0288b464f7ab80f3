"""spec.budget: no block begins that could pass it; what is finished stays, and a higher one goes on from there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from backsweep.errors import BudgetExceededError
from backsweep.flow.budget import Allowance, ThriftyExecutor
from backsweep.ports import BlockOutcome

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: thrifty}
spec:
  data: {name: sp500-20, start: "2016-01-04"}
  storage: {uri: "file://FOLDER/store"}
  axes: {profile: [hrp, min_cvar], covariance: [sample, oas], lookback: [252, 126]}
  execution: {mode: local, parallelism: 1, onSolveFailure: hold}
  pricing: {cpuHour: "0.04"}
  budget: {maxCost: "1"}
"""


@dataclass(frozen=True)
class Piece:
    seconds: float
    takes: float


class Machine:
    """Runs pieces one after the other, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: list[float] = []

    def run(self, blocks: Iterable[Any], work: Callable[[Any], Any]) -> Iterator[BlockOutcome[Any]]:
        for index, block in enumerate(blocks):
            self.now += block.takes
            self.ends.append(self.now)
            yield BlockOutcome(index, work(block))


def run_all(machine: Machine, pieces: list[Piece], until: float) -> str | None:
    thrifty = ThriftyExecutor(machine, Allowance(until, "5 USD"), 1, lambda: machine.now)
    try:
        for _ in thrifty.run(pieces, lambda piece: piece):
            pass
    except BudgetExceededError as error:
        return str(error)
    return None


SECONDS = some.floats(0.01, 5)


@settings(deadline=None)
@given(some.lists(SECONDS, min_size=1, max_size=20), some.floats(0.5, 3), some.floats(0, 60))
def test_nothing_ends_late_where_predictions_are_off_by_one_factor(
    times: list[float], off: float, until: float
) -> None:
    """The first block is trusted; from then on its own time says how far predictions are off."""
    machine = Machine()
    refused = run_all(machine, [Piece(seconds, seconds * off) for seconds in times], until)
    late = [end for end in machine.ends[1:] if end > until + 1e-6]
    assert late == []
    assert (refused is None) == (len(machine.ends) == len(times))


def test_what_is_not_begun_is_counted_in_the_sentence() -> None:
    machine = Machine()
    assert run_all(machine, [Piece(1, 1)] * 5, 3.5) == (
        "stopped before spec.budget.maxCost = 5 USD is passed: 2 of 5 blocks are not begun; what is finished is "
        "stored; raise it, and the same sweep goes on from there"
    )
    assert machine.ends == [1, 2, 3]


def test_blocks_in_flight_count_and_one_that_is_long_is_not_shared_out() -> None:
    taken: list[int] = []

    class Two:
        """Has two blocks in flight before the first of them ends; its clock stands still."""

        def run(self, blocks: Iterable[Any], work: Callable[[Any], Any]) -> Iterator[BlockOutcome[Any]]:
            for index, _ in enumerate(blocks):
                taken.append(index)
            for index in taken:
                yield BlockOutcome(index, None)

    thrifty = ThriftyExecutor(Two(), Allowance(5.5, "5 USD"), 2, lambda: 0.0)
    with pytest.raises(BudgetExceededError, match="1 of 3 blocks are not begun"):
        list(thrifty.run([Piece(5, 5), Piece(5, 5), Piece(5, 5)], lambda piece: piece))
    assert taken == [0, 1]


def test_an_allowance_crosses_to_a_driver_as_text() -> None:
    assert Allowance.from_text(None) is None
    assert Allowance.from_text(Allowance(12.5, "5 EUR").to_text()) == Allowance(12.5, "5 EUR")
    with pytest.raises(BudgetExceededError):
        Allowance(0.0, "5 USD").check()


def backsweep(folder: Path, limit: str, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = ["run", "sweep.yaml", "--no-prefect", "--json", "--set", f"spec.budget.maxCost='{limit}'", *more]
    command = [sys.executable, "-m", "backsweep", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_that_may_cost_nothing_begins_nothing_and_a_higher_limit_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(DOCUMENT.replace("FOLDER", str(tmp_path)))
    stopped = backsweep(tmp_path, "0.0000001")
    assert stopped.returncode == 2
    assert "BudgetExceeded: stopped before spec.budget.maxCost = 0.0000001 USD is passed" in stopped.stderr
    assert stopped.stdout == ""  # no best, no PBO, no DSR
    assert not list(tmp_path.glob("store/**/manifest.json"))
    assert not (tmp_path / "runs").exists()
    digests = [
        json.loads(done.stdout)["resultDigest"]
        for done in (
            backsweep(tmp_path, "5"),
            backsweep(tmp_path, "7", "--set", f"spec.storage.uri=file://{tmp_path}/other"),
        )
    ]
    assert digests[0] == digests[1]
