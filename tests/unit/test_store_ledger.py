"""The ledger counts distinct trials ever run on a lineage, whoever ran them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.errors import CorruptObjectError, InvariantError
from backsweep.stores.file import FileStore
from backsweep.stores.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
LINEAGE = "file:///data/prices.parquet"


def trial(number: int) -> str:
    return f"{number:016x}"


def test_trials_are_counted_once_however_often_they_run(tmp_path: Path) -> None:
    ledger = Ledger(FileStore(tmp_path))
    assert ledger.count(LINEAGE) == 0
    assert ledger.record(LINEAGE, [trial(3), trial(1), trial(3)]) == 2
    assert ledger.record(LINEAGE, [trial(1), trial(2), "f" * 16]) == 4
    assert ledger.count(LINEAGE) == 4
    assert ledger.ids(LINEAGE) == [trial(1), trial(2), trial(3), "f" * 16]
    assert ledger.count("another lineage") == 0


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    ledger = Ledger(store)
    ledger.record(LINEAGE, [trial(number) for number in range(100)])
    for _ in range(3):
        ledger.record(LINEAGE, [trial(number) for number in range(101)])
    assert [len(data) for data in sorted(store.entries(LINEAGE), key=len)] == [8, 800]
    ledger.record(LINEAGE, [])
    assert len(list(store.entries(LINEAGE))) == 2


@settings(deadline=None, max_examples=30, derandomize=True)
@given(sweeps=st.lists(st.sets(st.integers(0, 2**64 - 1), max_size=20), max_size=6))
def test_the_ledger_is_the_union_of_all_sweeps(
    sweeps: list[set[int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    ledger = Ledger(FileStore(tmp_path_factory.mktemp("store")))
    for sweep in sweeps:
        ledger.record(LINEAGE, map(trial, sweep))
    assert ledger.ids(LINEAGE) == sorted(map(trial, set().union(*sweeps)))


@pytest.mark.parametrize("wrong", ["", "abc", "G" * 16, "a" * 17])
def test_what_is_no_trial_id_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(InvariantError, match="is not a trial id: 16 hexadecimal digits"):
        Ledger(FileStore(tmp_path)).record(LINEAGE, [trial(1), wrong])


def test_a_damaged_entry_is_an_error_and_never_a_smaller_count(tmp_path: Path) -> None:
    ledger = Ledger(FileStore(tmp_path))
    ledger.record(LINEAGE, [trial(1), trial(2)])
    (entry,) = (path for path in (tmp_path / "lineages").rglob("*") if path.is_file())
    entry.write_bytes(entry.read_bytes()[:8])
    with pytest.raises(CorruptObjectError):
        ledger.count(LINEAGE)


def test_two_processes_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    script = """
import sys
from backsweep.stores.file import FileStore
from backsweep.stores.ledger import Ledger
ledger = Ledger(FileStore(sys.argv[1]))
start = int(sys.argv[2])
for number in range(start, start + 60):
    ledger.record("lineage", [f"{number:016x}", f"{number + 1:016x}"])
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'api'}{os.pathsep}{ROOT / 'pipeline'}"}
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(start)], env=environment)
        for start in (0, 30)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert Ledger(FileStore(tmp_path)).count("lineage") == 91


def test_hundreds_of_thousands_of_trials_take_eight_bytes_each(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert Ledger(store).record(LINEAGE, map(trial, range(200_000))) == 200_000
    assert sum(map(len, store.entries(LINEAGE))) == 1_600_000
