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
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from backsweep.stores.collection import collect
from backsweep.stores.file import FileStore
from backsweep.stores.ledger import Ledger
from backsweep.stores.manifest import commit, earlier_manifests
from backsweep.stores.records import record_digest
from backsweep.stores.s3 import S3Store

if TYPE_CHECKING:
    from tests.contract.conftest import StorePlace

ROOT = Path(__file__).resolve().parents[2]
KEY = ManifestKey("local", "tournament", "ab" * 32)
NOWHERE = "0" * 64


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


def test_many_arrays_and_units_come_in_the_order_asked(store: Store) -> None:
    digests = [store.put_array(np.full(3, number)) for number in range(40)]
    asked = [digests[number] for number in (7, 3, 3, *range(40))]
    assert [int(array[0]) for array in store.open_arrays(asked)] == [7, 3, 3, *range(40)]
    with pytest.raises(MissingObjectError, match=NOWHERE):
        list(store.open_arrays([*digests, NOWHERE]))
    stated = {f"u{number}": store.put_unit(f"u{number}", {"number": number}) for number in range(20)}
    ids = [f"u{number}" for number in (19, 2, 30, *range(20))]
    found = [(19, 2), *((number,) for number in range(20))]
    assert [record["number"] for _, record, _ in store.get_units(ids)] == [each for some in found for each in some]
    assert all(digest == stated[unit_id] for unit_id, _, digest in store.get_units(ids))


def test_what_is_wrong_with_many_objects_is_told_in_the_order_asked(store: Store) -> None:
    digests = [store.put_object(b"%d" % number) for number in range(30)]
    found = list(store.faults([*digests[:7], NOWHERE, *digests[7:]]))
    assert [place for place, fault in enumerate(found) if fault] == [7]
    assert str(found[7]).startswith(f"object {NOWHERE} is not in the store")


def test_a_block_of_units_is_stored_with_the_digests_told_before(store: Store) -> None:
    arrays = [np.arange(number, dtype=np.float64) for number in range(50)]
    with store.unit_writer() as writer:
        told = [
            writer.put(f"u{number}", {"kind": "simulation", "objects": {}}, {"returns": array, "again": array[:1]})
            for number, array in enumerate(arrays)
        ]
        failed = writer.put("none", {"status": "failed"}, {})
        writer.finish()
        assert store.get_unit("u49") == told[49][0]
    assert failed == ({"status": "failed", "objects": {}}, store.put_unit("none", {"status": "failed", "objects": {}}))
    for number, (record, digest) in enumerate(told):
        assert store.get_unit(f"u{number}") == record
        assert record_digest(record) == digest
        np.testing.assert_array_equal(store.open_array(record["objects"]["returns"]), arrays[number])


def test_what_was_put_is_stored_also_where_the_array_is_used_again(store: Store) -> None:
    scratch = np.zeros(5)
    with store.unit_writer() as writer:
        for number in range(30):
            scratch[:] = number
            writer.put(f"u{number}", {}, {"data": scratch})
    for _, record, _ in store.get_units([f"u{number}" for number in range(30)]):
        assert len(set(store.open_array(record["objects"]["data"]).tolist())) == 1


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


# What the commands on a store need beyond the port.


def test_a_store_that_was_never_written_to_is_empty_and_reading_it_writes_nothing(store: FileStore | S3Store) -> None:
    for _ in range(2):
        assert store.get_manifest(KEY) is None
        assert store.get_unit("u") is None
        assert list(store.stored_objects()) == list(store.drafts()) == list(store.referring()) == []
        assert list(store.entries("lineage")) == []


def test_a_good_store_passes_the_probe_again_and_again_and_keeps_nothing_of_it(store: FileStore | S3Store) -> None:
    for _ in range(2):
        store.probe()
    assert list(store.drafts()) == list(store.stored_objects()) == []


def test_the_ledger_counts_each_trial_once_whoever_adds_it(store: FileStore | S3Store, place: StorePlace) -> None:
    lineage = "https://somewhere/prices?x=1"
    assert Ledger(store).record(lineage, [f"{number:016x}" for number in range(5)]) == 5
    assert Ledger(place.open()).record(lineage, [f"{number:016x}" for number in range(3, 9)]) == 9
    assert Ledger(store).count(lineage) == 9
    assert Ledger(store).count("another") == 0
    store.put_entry(lineage, b"12345678")
    store.put_entry(lineage, b"12345678")
    assert Ledger(store).count(lineage) == 10


def test_what_nothing_names_is_collected_once_it_is_old(store: FileStore | S3Store) -> None:
    named = store.put_object(b"of a unit")
    store.put_unit("u", {"objects": {"weights": named}})
    listed = store.put_object(b"of a manifest")
    store.commit_manifest(KEY, listed.encode(), None)
    loose = store.put_object(b"of nothing")
    now = time.time()
    assert collect(store, now + 6.9 * 86_400).objects == 0
    dry = collect(store, now + 7.1 * 86_400, dry_run=True)
    assert store.has_object(loose)
    done = collect(store, now + 7.1 * 86_400)
    assert (done.objects, done.object_bytes, done.kept_objects) == (1, 10, 2)
    assert (dry.objects, dry.object_bytes, dry.kept_objects) == (1, 10, 2)
    assert {stored.name for stored in store.stored_objects()} == {named, listed}
    assert not store.has_object(loose)
    assert list(store.drafts()) == []


def test_manifests_that_were_replaced_are_kept_with_all_they_name(store: FileStore | S3Store) -> None:
    tables = [store.put_object(b"trials of run %d" % run) for run in range(4)]
    for table in tables:
        commit(store, KEY, {"objects": {"trials": table}}, {})
    other = ManifestKey("local", "other", "cd" * 32)
    commit(store, other, {"objects": {}}, {})
    assert [key for key, _ in store.manifests()] == [other, KEY]
    (stands,) = [data for key, data in store.manifests() if key == KEY]
    chain = [stands, *earlier_manifests(stands, store.get_object)]
    assert [json.loads(data)["result"]["objects"]["trials"] for data in chain] == tables[::-1]
    loose = store.put_object(b"of nothing")
    assert collect(store, time.time() + 30 * 86_400).objects == 1
    assert not store.has_object(loose)
    assert all(store.has_object(table) for table in tables)
    assert len(list(earlier_manifests(stands, store.get_object))) == 3


def test_a_discarded_unit_is_forgotten_and_its_whole_objects_stay(store: FileStore | S3Store) -> None:
    digest = store.put_object(b"whole")
    store.put_unit("u", {"objects": {"weights": digest, "returns": NOWHERE}})
    store.discard_unit("u")
    store.discard_unit("u")
    assert store.get_unit("u") is None
    assert store.get_object(digest) == b"whole"
    store.put_unit("u", {"second": True})
    assert store.get_unit("u") == {"second": True}


# Several processes, and processes that are killed.

SCRIPT = """
import json, sys, random
import numpy as np
from backsweep.errors import ManifestConflictError
from backsweep.ports import ManifestKey
from backsweep.stores.opening import open_store
store = open_store(sys.argv[1], sys.argv[2] or None)
key = ManifestKey("local", "tournament", "ab" * 32)
"""

COUNTING = """
for _ in range(int(sys.argv[3])):
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
for number in range(int(sys.argv[4])):
    store.put_unit(f"unit{number}", {"writer": sys.argv[3]})
    store.put_object(b"shared by both" * number)
    won += store.get_unit(f"unit{number}")["writer"] == sys.argv[3]
print(won)
"""

WRITING = """
random.seed(sys.argv[3])
store.get_manifest(key)
print("started", flush=True)
while True:
    data = random.randbytes(random.randrange(1, 200_000))
    store.put_unit(f"unit{random.getrandbits(60)}", {"objects": {"data": store.put_object(data)}})
    found = store.get_manifest(key)
    store.commit_manifest(key, json.dumps({"pad": "x" * random.randrange(100_000)}).encode(), found and found.tag)
"""


def start(script: str, place: StorePlace, *arguments: str | int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'api'}{os.pathsep}{ROOT / 'pipeline'}"}
    told = [place.uri, place.endpoint_url or "", *map(str, arguments)]
    command = [sys.executable, "-c", SCRIPT + script, *told]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return text


def test_two_processes_that_commit_one_manifest_lose_no_commit(place: StorePlace) -> None:
    each = 40 if place.endpoint_url is None else 10
    processes = [start(COUNTING, place, each) for _ in range(2)]
    for process in processes:
        finish(process)
    found = place.open().get_manifest(KEY)
    assert found is not None
    assert json.loads(found.data) == {"count": 2 * each}


def test_of_two_processes_that_claim_a_unit_exactly_one_wins(place: StorePlace) -> None:
    units = 300 if place.endpoint_url is None else 25
    processes = [start(CLAIMING, place, number, units) for number in range(2)]
    assert sum(int(finish(process)) for process in processes) == units


def test_a_process_killed_at_any_moment_leaves_nothing_half_written(place: StorePlace) -> None:
    moments = random.Random(5)
    for attempt in range(4 if place.endpoint_url is None else 2):
        process = start(WRITING, place, attempt)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0.02, 0.2) * (1 if place.endpoint_url is None else 3))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        process.stdout.close()
    store = place.open()
    objects = [stored.name for stored in store.stored_objects()]
    assert len(objects) > 2
    for digest in objects:
        store.get_object(digest)  # raises unless its bytes hash to its name
    *units, manifest = [json.loads(data) for data in store.referring()]
    assert 0 <= len(objects) - len(units) <= 4  # one a process that was killed in between
    for record in units:
        assert store.has_object(record["objects"]["data"])
    assert set(manifest) == {"pad"}
    found = store.get_manifest(KEY)
    assert found is not None
    store.commit_manifest(KEY, b"the lock of the killed is free", found.tag)
