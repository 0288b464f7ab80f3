"""A store in a folder: where it may be, what it says when it cannot, and what a damaged one does."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backsweep.errors import CorruptObjectError, MissingObjectError, StoreError, TransientError
from backsweep.ports import ManifestKey
from backsweep.stores.atomic import store_error
from backsweep.stores.file import FileStore
from backsweep.stores.npy import write_npy

KEY = ManifestKey("local", "tournament", "ab" * 32)


def test_a_store_is_named_by_a_path_or_a_file_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places: list[str | Path] = ["with space", tmp_path / "with space", f"file://{tmp_path}/with%20space"]
    assert {FileStore(place).folder for place in places} == {tmp_path / "with space"}
    assert FileStore("with space").uri == f"file://{tmp_path}/with%20space"
    FileStore(FileStore("with space").uri).put_object(b"x")
    assert (tmp_path / "with space").is_dir()


@pytest.mark.parametrize("location", ["s3://bucket/prefix", "file://host/share", "https://there/", "file://"])
def test_an_address_of_another_kind_is_refused(location: str) -> None:
    with pytest.raises(StoreError, match=f"^the store {location} is not a folder: a path or file:///absolute/path"):
        FileStore(location)


def test_making_and_reading_a_store_writes_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    assert store.present_units(["a"]) == set()
    assert store.get_manifest(KEY) is None
    assert list(store.stored_objects()) == []
    assert list(store.drafts()) == []
    assert list(store.referring()) == []
    assert not (tmp_path / "store").exists()


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    digest = store.put_object(b"x")
    store.put_unit("unit1", {"b": 1, "a": 2})
    store.commit_manifest(KEY, b"{}", None)
    assert (tmp_path / "objects" / "sha256" / digest[:2] / digest).read_bytes() == b"x"
    assert (tmp_path / "units" / "unit1.json").read_bytes() == b'{"a":2,"b":1}'
    assert (store.sweep_folder(KEY) / "manifest.json").read_bytes() == b"{}"
    assert store.sweep_folder(KEY) == tmp_path / "sweeps" / "local" / "tournament" / ("ab" * 32)
    assert json.loads((tmp_path / "backsweep-store.json").read_bytes()) == {"format": 1, "kind": "backsweep-store"}
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_good_folder_passes_the_probe_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "new" / "store")
    store.probe()
    assert list(store.drafts()) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        for act in (FileStore(place).probe, lambda place=place: FileStore(place).get_unit("u")):
            with pytest.raises(StoreError, match=f"^the store {place} cannot be used: it, or a part of its path, is a"):
                act()


@pytest.mark.parametrize("text", ['{"format": 2}', "{}", "[]", "not json"])
def test_a_store_of_another_format_is_refused_for_reading_and_writing(tmp_path: Path, text: str) -> None:
    (tmp_path / "backsweep-store.json").write_text(text)
    for act in (lambda: FileStore(tmp_path).put_object(b""), lambda: FileStore(tmp_path).get_unit("u")):
        with pytest.raises(StoreError, match=r"has format .* this version reads and writes 1"):
            act()


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, TransientError, "has no space left; free some and run the same command again"),
        (errno.EDQUOT, TransientError, "has no space left"),
        (errno.EACCES, StoreError, "Permission denied at /x/f; give a folder you can write to"),
        (errno.EROFS, StoreError, "Read-only file system at /x/f"),
        (errno.EOPNOTSUPP, StoreError, "give a folder on a local filesystem"),
        (errno.ENOTDIR, StoreError, "is a file; give a folder"),
        (errno.EIO, TransientError, "Input/output error at /x/f"),
    ],
)
def test_what_the_system_says_becomes_a_sentence_for_who_must_act(
    number: int, kind: type[Exception], words: str
) -> None:
    error = store_error(OSError(number, os.strerror(number), "/x/f"), Path("/x"))
    assert type(error) is kind
    assert str(error).startswith("the store /x ")
    assert words in str(error)


def test_a_full_disk_leaves_no_draft_and_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path)
    store.put_object(b"first")

    def write_some(file: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write_some)
    acts: list[Callable[[], str]] = [lambda: store.put_object(b"second"), lambda: store.put_unit("u", {})]
    for act in acts:
        with pytest.raises(TransientError, match="no space left") as caught:
            act()
        assert caught.value.retry_after_seconds > 1
    with pytest.raises(TransientError, match="no space left"):
        store.commit_manifest(KEY, b"{}", None)
    monkeypatch.undo()
    assert list(store.drafts()) == []
    assert len(list(store.stored_objects())) == 1
    assert store.get_unit("u") is None
    assert store.get_manifest(KEY) is None


def test_a_write_the_system_cuts_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, data[:7]))
    store = FileStore(tmp_path)
    data = bytes(range(100))
    assert store.get_object(store.put_object(data)) == data


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_one_may_not_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="give a folder you can write to"):
        FileStore(tmp_path / "store").probe()


def spoil(store: FileStore, digest: str, data: bytes) -> None:
    (store.folder / "objects" / "sha256" / digest[:2] / digest).write_bytes(data)


@pytest.mark.parametrize("numbers", [10, 200_000])
@pytest.mark.parametrize("left", [b"", b"partial"])
def test_damaged_bytes_are_an_error_and_never_a_number(tmp_path: Path, numbers: int, left: bytes) -> None:
    store = FileStore(tmp_path)
    digest = store.put_array(np.arange(float(numbers)))
    spoil(store, digest, left)
    for read in (store.get_object, store.open_array):
        with pytest.raises(CorruptObjectError, match="do not hash to their name"):
            read(digest)


def test_one_flipped_bit_of_a_large_array_is_found(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    digest = store.put_array(np.arange(200_000.0))
    data = bytearray(store.get_object(digest))
    data[-1] ^= 1
    spoil(store, digest, bytes(data))
    with pytest.raises(CorruptObjectError):
        store.open_array(digest)


def test_an_object_cut_short_is_written_again_when_it_is_put_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    digest = store.put_object(b"whole")
    spoil(store, digest, b"wh")
    assert store.put_object(b"whole") == digest
    assert store.get_object(digest) == b"whole"


def test_a_damaged_unit_is_named_and_can_be_discarded_and_computed_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    good, bad, missing = store.put_object(b"good"), store.put_object(b"bad"), "0" * 64
    store.put_unit("u", {"objects": {"a": good, "b": bad, "c": missing}})
    spoil(store, bad, b"BAD")
    store.discard_unit("u")
    assert store.get_unit("u") is None
    assert store.get_object(good) == b"good"
    with pytest.raises(MissingObjectError):
        store.get_object(bad)
    store.put_unit("u", {"objects": {"b": store.put_object(b"bad")}})
    assert store.get_object(bad) == b"bad"
    (tmp_path / "units" / "u.json").write_bytes(b"")
    with pytest.raises(CorruptObjectError, match="the record of unit u is damaged"):
        store.get_unit("u")
    store.discard_unit("u")
    assert store.get_unit("u") is None
    store.discard_unit("u")


def test_a_large_array_stays_readable_after_its_file_is_deleted(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    digest = store.put_array(np.arange(200_000.0))
    array = store.open_array(digest)
    (stored,) = store.stored_objects()
    assert store.delete(stored)
    assert array.sum() == np.arange(200_000.0).sum()
    assert stored.path.name == digest == hashlib.sha256(store_bytes(array)).hexdigest()


def store_bytes(array: NDArray[Any]) -> bytes:
    return b"".join(write_npy(array))
