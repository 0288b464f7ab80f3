"""Garbage collection deletes what nothing names, only when old, and never from under a writer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from backsweep.errors import MissingObjectError, StoreError
from backsweep.ports import ManifestKey
from backsweep.stores.collection import MIN_AGE_SECONDS, StoredFile, collect
from backsweep.stores.file import FileStore

DAY = 86_400.0
KEY = ManifestKey("local", "tournament", "ab" * 32)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Objects named by a unit, by a manifest, by nothing; and two drafts, one of them old."""
    store = FileStore(tmp_path)
    store.put_unit("u", {"objects": {"weights": store.put_object(b"of a unit")}})
    store.commit_manifest(KEY, store.put_object(b"of a manifest").encode(), None)
    store.put_object(b"of nothing")
    (tmp_path / "tmp" / "old").write_bytes(b"half of something")
    return store


def contents(store: FileStore) -> set[bytes]:
    return {stored.path.read_bytes() for stored in store.stored_objects()}


def test_only_what_nothing_names_goes_and_only_when_it_is_old(store: FileStore) -> None:
    now = time.time()
    (store.folder / "tmp" / "young").write_bytes(b"")
    os.utime(store.folder / "tmp" / "young", (now + 2 * DAY, now + 2 * DAY))
    early = collect(store, now + 6.9 * DAY)
    assert (early.objects, early.drafts, early.kept_objects) == (0, 0, 3)
    done = collect(store, now + 7.1 * DAY)
    assert (done.objects, done.object_bytes, done.drafts, done.draft_bytes) == (1, 10, 1, 17)
    assert (done.kept_objects, done.kept_bytes) == (2, 22)
    assert contents(store) == {b"of a unit", b"of a manifest"}
    assert [stored.path.name for stored in store.drafts()] == ["young"]


def test_a_dry_run_reports_and_deletes_nothing(store: FileStore) -> None:
    later = time.time() + 8 * DAY
    dry = collect(store, later, dry_run=True)
    assert len(contents(store)) == 3
    real = collect(store, later)
    assert (dry.objects, dry.object_bytes, dry.drafts) == (real.objects, real.object_bytes, real.drafts) == (1, 10, 1)
    assert dry.dry_run
    assert not real.dry_run


def test_the_age_is_seven_days_and_under_two_is_refused(store: FileStore) -> None:
    assert MIN_AGE_SECONDS == 7 * DAY
    with pytest.raises(StoreError, match=r"older than 0\.5 days; at least 2 are needed"):
        collect(store, time.time(), DAY / 2)


def test_an_old_object_that_is_put_again_counts_as_new(store: FileStore) -> None:
    old = time.time() - 30 * DAY
    for stored in store.stored_objects():
        os.utime(stored.path, (old, old))
    store.put_object(b"of nothing")
    assert collect(store, time.time()).objects == 0
    assert b"of nothing" in contents(store)


def test_a_writer_that_comes_between_listing_and_deleting_keeps_its_object(store: FileStore) -> None:
    old = time.time() - 30 * DAY
    for stored in store.stored_objects():
        os.utime(stored.path, (old, old))
    listed = [stored for stored in store.stored_objects() if stored.path.read_bytes() == b"of nothing"]
    digest = store.put_object(b"of nothing")
    assert not store.delete(listed[0])
    assert store.get_object(digest) == b"of nothing"


def test_a_writer_that_comes_after_deleting_writes_it_anew(store: FileStore) -> None:
    listed = [stored for stored in store.stored_objects() if stored.path.read_bytes() == b"of nothing"]
    assert store.delete(listed[0])
    assert not store.delete(listed[0])
    with pytest.raises(MissingObjectError):
        store.get_object(listed[0].path.name)
    assert store.get_object(store.put_object(b"of nothing")) == b"of nothing"


def test_nothing_is_deleted_when_a_reference_cannot_be_read(store: FileStore) -> None:
    (store.folder / "units" / "unreadable.json").mkdir()
    with pytest.raises(StoreError):
        collect(store, time.time() + 8 * DAY)
    assert len(contents(store)) == 3


def test_a_store_that_does_not_exist_has_nothing_to_collect(tmp_path: Path) -> None:
    done = collect(FileStore(tmp_path / "none"), time.time())
    assert (done.objects, done.kept_objects) == (0, 0)
    assert not (tmp_path / "none").exists()


def test_what_is_listed_has_its_size_and_time(store: FileStore) -> None:
    sizes = {stored.size_bytes for stored in store.stored_objects()}
    assert sizes == {9, 13, 10}
    assert all(isinstance(stored, StoredFile) and stored.modified_seconds > 0 for stored in store.stored_objects())
