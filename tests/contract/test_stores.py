"""What every store promises, checked on each kind of store there is."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backsweep.errors import (
    CorruptObjectError,
    InvariantError,
    ManifestConflictError,
    MissingObjectError,
    StoreError,
)
from backsweep.ports import ManifestKey, Store
from backsweep.stores.file import FileStore

ROOT = Path(__file__).resolve().parents[2]
KEY = ManifestKey("local", "tournament", "ab" * 32)
NOWHERE = "0" * 64


def open_file_store(folder: Path) -> Store:
    return FileStore(folder / "store")


OPENERS: list[Callable[[Path], Store]] = [open_file_store]


@pytest.fixture(params=OPENERS, ids=["file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    opened = request.param(tmp_path)
    assert isinstance(opened, FileStore)
    return opened


def test_an_object_is_found_under_the_hash_of_its_bytes(store: Store) -> None:
    digest = store.put_object(b"some bytes")
    assert digest == hashlib.sha256(b"some bytes").hexdigest()
    assert store.get_object(digest) == b"some bytes"
    assert store.has_object(digest)
    assert store.put_object(b"some bytes") == digest
    assert store.get_object(store.put_object(b"")) == b""


def test_an_object_that_is_not_there_is_missing_also_in_a_store_that_does_not_exist_yet(store: Store) -> None:
    assert not store.has_object(NOWHERE)
    for read in (store.get_object, store.open_array):
        with pytest.raises(MissingObjectError, match=f"^object {NOWHERE} is not in the store"):
            read(NOWHERE)


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "ab", "A" * 64, ""])
def test_what_is_no_digest_names_nothing(store: Store, digest: str) -> None:
    with pytest.raises(StoreError, match="is not a digest"):
        store.get_object(digest)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24)[::2],
        np.array(3.5),
        np.zeros((0, 5)),
        np.array([True, False]),
        np.array([np.nan, -0.0, np.inf]),
        np.arange(5, dtype=">i4"),
        np.array(["1990-01-02", "NaT"], dtype="datetime64[D]"),
        np.arange(200_000.0),
    ],
    ids=str,
)
def test_an_array_comes_back_as_it_was_and_read_only(store: Store, array: NDArray[Any]) -> None:
    back = store.open_array(store.put_array(array))
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("<")
    assert back.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert not back.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        back[...] = 0


def test_equal_arrays_have_one_digest_however_they_lie_in_memory(store: Store) -> None:
    array = np.arange(12.0).reshape(3, 4)
    same = [array, np.asfortranarray(array), array.astype(">f8"), np.arange(24.0).reshape(3, 8)[:, :4] * 0 + array]
    assert len({store.put_array(each) for each in same}) == 1


def test_numpy_itself_reads_a_stored_array_without_pickle(store: Store, tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    (tmp_path / "a.npy").write_bytes(store.get_object(store.put_array(array)))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)


def test_the_digest_of_an_array_is_the_same_in_every_release(store: Store) -> None:
    found = store.put_array(np.arange(3.0))
    assert found == hashlib.sha256(store.get_object(found)).hexdigest()
    head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }" + b" " * 60 + b"\n"
    assert store.get_object(found) == head + np.arange(3.0).tobytes()


def test_objects_and_text_are_not_stored_as_arrays_and_other_bytes_are_not_opened_as_such(store: Store) -> None:
    with pytest.raises(InvariantError, match="an array of object cannot be stored"):
        store.put_array(np.array([object()]))
    digest = store.put_object(b"no array at all")
    with pytest.raises(CorruptObjectError, match="should be an array"):
        store.open_array(digest)
    whole = store.get_object(store.put_array(np.arange(9.0)))
    with pytest.raises(CorruptObjectError, match="should be an array"):
        store.open_array(store.put_object(whole[:-8]))


def test_a_pickle_in_the_store_is_never_loaded(store: Store, tmp_path: Path) -> None:
    np.save(tmp_path / "evil.npy", np.array([{}], dtype=object), allow_pickle=True)
    digest = store.put_object((tmp_path / "evil.npy").read_bytes())
    with pytest.raises(CorruptObjectError, match="an array of object"):
        store.open_array(digest)


def test_the_first_record_of_a_unit_stays(store: Store) -> None:
    assert store.get_unit("u1") is None
    store.put_unit("u1", {"objects": {"weights": NOWHERE}, "worst": 1e-12, "none": None})
    store.put_unit("u1", {"objects": {}})
    assert store.get_unit("u1") == {"objects": {"weights": NOWHERE}, "worst": 1e-12, "none": None}


def test_a_record_with_nan_is_refused_before_anything_is_written(store: Store) -> None:
    with pytest.raises(InvariantError, match="cannot be written as JSON"):
        store.put_unit("u1", {"value": float("nan")})
    assert store.get_unit("u1") is None


@pytest.mark.parametrize("unit_id", ["../up", "", ".hidden", "a/b", "x" * 200])
def test_what_is_no_unit_id_is_refused(store: Store, unit_id: str) -> None:
    with pytest.raises(StoreError, match="cannot be a unit's id"):
        store.get_unit(unit_id)


@pytest.mark.parametrize("asked", [3, 150])
def test_which_units_are_present_is_told_for_few_and_for_many(store: Store, asked: int) -> None:
    wanted = [f"unit{number}" for number in range(asked)]
    assert store.present_units(wanted) == set()
    for unit_id in (*wanted[::2], "another"):
        store.put_unit(unit_id, {})
    assert store.present_units(wanted) == set(wanted[::2])
    assert store.present_units(iter(wanted)) == set(wanted[::2])


def test_a_manifest_is_replaced_only_by_who_has_seen_it(store: Store) -> None:
    assert store.get_manifest(KEY) is None
    store.commit_manifest(KEY, b"one", None)
    first = store.get_manifest(KEY)
    assert first is not None
    assert first.data == b"one"
    with pytest.raises(ManifestConflictError, match="committed by another run in between"):
        store.commit_manifest(KEY, b"two", None)
    with pytest.raises(ManifestConflictError):
        store.commit_manifest(KEY, b"two", "another tag")
    store.commit_manifest(KEY, b"two", first.tag)
    second = store.get_manifest(KEY)
    assert second is not None
    assert second.data == b"two"
    assert second.tag != first.tag


def test_a_manifest_cannot_be_put_outside_its_place(store: Store) -> None:
    with pytest.raises(StoreError, match=r"'\.\./\.\.' cannot be part of a manifest's place"):
        store.commit_manifest(ManifestKey("local", "../..", "ab"), b"", None)


# Several processes, and processes that are killed.

SCRIPT = """
import json, sys, random
import numpy as np
from backsweep.errors import ManifestConflictError
from backsweep.ports import ManifestKey
from backsweep.stores.file import FileStore
store = FileStore(sys.argv[1])
key = ManifestKey("local", "tournament", "ab" * 32)
"""

COUNTING = """
for _ in range(40):
    while True:
        found = store.get_manifest(key)
        count = json.loads(found.data)["count"] if found else 0
        try:
            store.commit_manifest(key, json.dumps({"count": count + 1}).encode(), found and found.tag)
        except ManifestConflictError:
            continue
        break
"""

CLAIMING = """
won = 0
for number in range(300):
    store.put_unit(f"unit{number}", {"writer": sys.argv[2]})
    store.put_object(b"shared by both" * number)
    won += store.get_unit(f"unit{number}")["writer"] == sys.argv[2]
print(won)
"""

WRITING = """
random.seed(sys.argv[2])
print("started", flush=True)
while True:
    data = random.randbytes(random.randrange(1, 200_000))
    store.put_unit(f"unit{random.getrandbits(60)}", {"objects": {"data": store.put_object(data)}})
    found = store.get_manifest(key)
    store.commit_manifest(key, json.dumps({"pad": "x" * random.randrange(100_000)}).encode(), found and found.tag)
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'api'}{os.pathsep}{ROOT / 'pipeline'}"}
    command = [sys.executable, "-c", SCRIPT + script, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return text


def test_two_processes_that_commit_one_manifest_lose_no_commit(tmp_path: Path) -> None:
    processes = [start(COUNTING, str(tmp_path)) for _ in range(2)]
    for process in processes:
        finish(process)
    found = FileStore(tmp_path).get_manifest(KEY)
    assert found is not None
    assert json.loads(found.data) == {"count": 80}


def test_of_two_processes_that_claim_a_unit_exactly_one_wins(tmp_path: Path) -> None:
    processes = [start(CLAIMING, str(tmp_path), str(number)) for number in range(2)]
    assert sum(int(finish(process)) for process in processes) == 300


def test_a_process_killed_at_any_moment_leaves_nothing_half_written(tmp_path: Path) -> None:
    moments = random.Random(5)
    for attempt in range(4):
        process = start(WRITING, str(tmp_path), str(attempt))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0.02, 0.2))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        process.stdout.close()
    store = FileStore(tmp_path)
    objects = [stored.path for stored in store.stored_objects()]
    assert len(objects) > 4
    for path in objects:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    for path in (tmp_path / "units").iterdir():
        record = store.get_unit(path.name.removesuffix(".json"))
        assert record is not None
        assert store.has_object(record["objects"]["data"])
    found = store.get_manifest(KEY)
    assert found is not None
    assert set(json.loads(found.data)) == {"pad"}
    store.commit_manifest(KEY, b"the lock of the killed is free", found.tag)
