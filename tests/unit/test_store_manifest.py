"""Manifests: built, read, committed against other runs, and verified against the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backsweep.errors import ManifestConflictError, VerificationError
from backsweep.ports import ManifestKey
from backsweep.stores.file import FileStore
from backsweep.stores.manifest import (
    SCHEMA,
    build_manifest,
    build_unit_index,
    commit,
    parse_manifest,
    parse_unit_index,
    result_digest,
)
from backsweep.stores.verification import verify
from backsweep_api.canonical import canonical_json

KEY = ManifestKey("local", "tournament", "ab" * 32)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def result(store: FileStore) -> dict[str, Any]:
    """A finished sweep of two units."""
    records = {}
    for number in range(2):
        objects = {"weights": store.put_object(b"weights %d" % number), "more": [store.put_object(b"shared")]}
        record = {"objects": objects, "worst": 1.0, "error": None}
        records[f"unit{number}"] = store.put_unit(f"unit{number}", record)
    index = store.put_object(build_unit_index(records))
    return {
        "document": {"spec": {"train": 252.0}},
        "objects": {"trials": store.put_object(b"table"), "dataset sp500-20": store.put_object(b"data")},
        "units": {"count": 2, "index": index},
    }


def spoil(store: FileStore, digest: str, data: bytes | None) -> None:
    path = store.folder / "objects" / "sha256" / digest[:2] / digest
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)


def test_the_result_digest_is_of_the_result_alone() -> None:
    one = json.loads(build_manifest({"a": 1, "b": [1.0, None]}, {"seconds": 1.5}))
    two = json.loads(build_manifest({"b": [1, None], "a": 1.0}, {"seconds": 2.5}))
    other = json.loads(build_manifest({"a": 2, "b": [1, None]}, {"seconds": 1.5}))
    assert one["resultDigest"] == two["resultDigest"] == result_digest({"a": 1, "b": [1, None]})
    assert other["resultDigest"] != one["resultDigest"]
    assert set(one) == {"schema", "resultDigest", "result", "run"}


def test_what_was_built_is_read_back_and_other_things_are_refused() -> None:
    read = parse_manifest(build_manifest({"a": "ü"}, {"host": "x"}))
    assert (read.result, read.run) == ({"a": "ü"}, {"host": "x"})
    for data, words in [
        (b"", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b"{}", "schema None; this version reads"),
        (b'{"schema": "backsweep.dev/manifest/v9"}', "manifest/v9"),
        (json.dumps({"schema": SCHEMA}).encode(), "has no resultDigest, result and run"),
    ]:
        with pytest.raises(VerificationError, match=words):
            parse_manifest(data)


def test_the_list_of_units_does_not_depend_on_their_order() -> None:
    data = build_unit_index({"b": "1" * 64, "a": "2" * 64})
    assert data == build_unit_index({"a": "2" * 64, "b": "1" * 64})
    assert sorted(parse_unit_index(data)) == ["a", "b"]
    with pytest.raises(VerificationError, match="maps no unit ids"):
        parse_unit_index(b'{"schema":"backsweep.dev/units/v1","units":[]}')


def test_the_same_result_again_is_success_and_changes_nothing(store: FileStore) -> None:
    first = commit(store, KEY, {"a": 1}, {"seconds": 1})
    again = commit(store, KEY, {"a": 1.0}, {"seconds": 2})
    assert first.written
    assert not again.written
    assert again.data == first.data
    assert first.result_digest == again.result_digest == result_digest({"a": 1})


def test_another_result_replaces_the_manifest_and_names_it_as_parent(store: FileStore) -> None:
    commit(store, KEY, {"a": 1}, {"seconds": 1})
    before = store.get_manifest(KEY)
    after = commit(store, KEY, {"a": 2}, {"seconds": 1})
    stands = store.get_manifest(KEY)
    assert before is not None
    assert stands is not None
    assert stands.data == after.data
    assert json.loads(after.data)["run"] == {"seconds": 1, "parent": before.tag}


@pytest.mark.parametrize("damage", [b"", b'{"schema": 1}'])
def test_a_damaged_manifest_is_replaced(store: FileStore, damage: bytes) -> None:
    store.commit_manifest(KEY, damage, None)
    assert commit(store, KEY, {"a": 1}, {}).written
    tampered = build_manifest({"a": 1}, {}).replace(b'"a": 1', b'"a": 2')
    stands = store.get_manifest(KEY)
    assert stands is not None
    store.commit_manifest(KEY, tampered, stands.tag)
    assert commit(store, KEY, {"a": 2}, {}).written


class Contested(FileStore):
    """A store in which others commit just before us, some times."""

    others = 3

    def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
        if self.others:
            self.others -= 1
            stands = self.get_manifest(key)
            super().commit_manifest(key, build_manifest({"other": self.others}, {}), stands.tag if stands else None)
        super().commit_manifest(key, data, expected)


def test_a_conflict_is_settled_by_reading_again(tmp_path: Path) -> None:
    store = Contested(tmp_path)
    data = commit(store, KEY, {"a": 1}, {}).data
    stands = store.get_manifest(KEY)
    assert stands is not None
    assert stands.data == data
    assert store.others == 0


def test_a_conflict_without_end_is_given_up(tmp_path: Path) -> None:
    store = Contested(tmp_path)
    store.others = 1_000
    with pytest.raises(ManifestConflictError, match="kept committing; run the same command again"):
        commit(store, KEY, {"a": 1}, {})


def test_two_runs_of_one_result_that_meet_are_both_a_success(tmp_path: Path) -> None:
    class Beaten(Contested):
        def commit_manifest(self, key: ManifestKey, data: bytes, expected: str | None) -> None:
            FileStore.commit_manifest(self, key, build_manifest({"a": 1}, {"who": "other"}), None)
            FileStore.commit_manifest(self, key, data, expected)

    assert not commit(Beaten(tmp_path), KEY, {"a": 1}, {"who": "we"}).written


def test_a_whole_sweep_verifies_and_verifying_changes_nothing(store: FileStore, result: dict[str, Any]) -> None:
    data = build_manifest(result, {})
    before = sorted(path for path in store.folder.rglob("*") if path.is_file())
    assert verify(store, data) == []
    assert sorted(path for path in store.folder.rglob("*") if path.is_file()) == before


def test_each_kind_of_damage_is_named_first(store: FileStore, result: dict[str, Any]) -> None:
    data = build_manifest(result, {})
    tampered = data.replace(b'"train": 252', b'"train": 253')
    assert tampered != data
    assert verify(store, tampered)[0].startswith("resultDigest is ")
    assert verify(store, b"{") == ["the manifest is not a JSON object"]

    spoil(store, result["objects"]["trials"], b"TABLE")
    assert verify(store, data)[0].startswith("result.objects.trials: the 5 bytes of object ")
    store.put_object(b"table")
    spoil(store, result["objects"]["trials"], b"table")

    shared = store.put_object(b"shared")
    spoil(store, shared, None)
    assert [found.split(":")[0] for found in verify(store, data)] == ["unit unit0"]
    store.put_object(b"shared")
    assert verify(store, data) == []

    record = store.folder / "units" / "unit1.json"
    whole = record.read_bytes()
    record.write_bytes(whole.replace(b'"worst":1.0', b'"worst":2.0'))
    (found,) = verify(store, data)
    assert found.startswith("unit unit1 is listed with a record that hashes to ")
    record.write_bytes(b"")
    assert verify(store, data) == ["the record of unit unit1 is damaged: it is not a JSON object"]
    record.unlink()
    assert verify(store, data) == ["unit unit1 is not in the store"]
    record.write_bytes(whole)

    spoil(store, result["units"]["index"], b"")
    (found,) = verify(store, data)
    assert found.startswith("result.units.index: the 0 bytes")


def test_data_sets_are_verified_with_their_arrays_and_against_the_result(
    store: FileStore, result: dict[str, Any]
) -> None:
    array = store.put_array(np.arange(3.0))
    described = {"digest": "of the data", "arrays": {"simulation": array}, "features": {}}
    run = {"datasets": [{"object": store.put_object(canonical_json(described))}]}
    result["data"] = [{"digest": "of the data"}]
    data = build_manifest(result, run)
    assert verify(store, data) == []
    spoil(store, array, b"")
    (found,) = verify(store, data)
    assert found.startswith("run.datasets[0], simulation: the 0 bytes of object")
    spoil(store, array, None)
    store.put_array(np.arange(3.0))
    other = build_manifest({**result, "data": [{"digest": "of other data"}]}, run)
    assert verify(store, other) == [
        "run.datasets[0] holds the data of the data; the result was computed from of other data"
    ]
    assert verify(store, build_manifest(result, {})) == ["run.datasets names 0 data sets, result.data 1"]
    for nonsense in ("text", [1, "x"], [{"object": store.put_object(b"no JSON")}], [{"object": 5}]):
        assert len(verify(store, build_manifest(result, {"datasets": nonsense}))) == 1
    spoil(store, run["datasets"][0]["object"], None)
    (found,) = verify(store, data)
    assert found.startswith("run.datasets[0]: object ")


def test_a_manifest_that_names_nothing_or_nonsense_does_not_verify(store: FileStore, result: dict[str, Any]) -> None:
    assert verify(store, build_manifest({}, {})) == [
        "result.objects is missing: the manifest names no objects",
        "result.units.index is missing: the manifest names no list of units",
    ]
    result["objects"]["trials"] = "../../../etc/passwd"
    result["units"]["count"] = 3
    assert verify(store, build_manifest(result, {})) == [
        "result.objects.trials: '../../../etc/passwd' is not a digest",
        "result.units.count is 3, but 2 units are listed",
    ]
    result["units"]["index"] = "no digest"
    assert "result.units.index: 'no digest' is not a digest" in verify(store, build_manifest(result, {}))[1]
