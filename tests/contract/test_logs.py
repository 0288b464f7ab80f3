"""The logs of a sweep in every kind of store: written over, listed in order, bounded."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.contract.conftest import StorePlace

from backsweep.errors import MissingObjectError, StoreError, UserError
from backsweep.ports import ManifestKey
from backsweep.stores.logs import FLOW, LOG_BYTES, WORKERS, CappedLog, log_name, newest_log
from backsweep.stores.opening import AnyStore

KEY = ManifestKey("local", "tournament", "ab" * 32)


def test_logs_are_written_over_listed_in_order_of_time_and_belong_to_their_sweep(store: AnyStore) -> None:
    assert store.log_names(KEY) == []
    with pytest.raises(UserError, match="has no flow log of it"):
        newest_log(store, KEY, FLOW)
    names = [log_name(f"2026-11-23T21:0{minute}:00+00:00", "1a2b3c4d", FLOW) for minute in (3, 1)]
    for name in names:
        store.put_log(KEY, name, b"half")
        store.put_log(KEY, name, f"all of {name}".encode())
    store.put_log(KEY, log_name("2026-11-23T21:09:00+00:00", "1a2b3c4d", WORKERS), b"printed")
    assert names[0] == "20261123T210300Z-1a2b3c4d.flow.log"
    assert store.log_names(KEY)[:2] == [names[1], names[0]]
    assert newest_log(store, KEY, FLOW) == names[0]
    assert store.get_log(KEY, names[0]) == f"all of {names[0]}".encode()
    assert store.log_names(ManifestKey("local", "another", "ab" * 32)) == []
    assert store.get_manifest(KEY) is None


def test_pages_stand_beside_the_manifest_and_are_none(place: StorePlace) -> None:
    store = place.open()
    for data in (b"<html>", b"<html lang=en>"):
        store.put_page(KEY, "report.html", data)
    assert store.get_manifest(KEY) is None
    assert list(store.manifests()) == []
    assert store.log_names(KEY) == []
    for name in ("manifest.json", "../report.html", "logs/report.html"):
        with pytest.raises(StoreError, match="cannot be a page's name"):
            store.put_page(KEY, name, b"")


def test_a_log_that_is_not_there_is_missing_and_none_is_outside_its_folder(store: AnyStore) -> None:
    with pytest.raises(MissingObjectError, match=r"there is no log x\.flow\.log of tournament"):
        store.get_log(KEY, "x.flow.log")
    with pytest.raises(StoreError, match="cannot be a log's name"):
        store.put_log(KEY, "../manifest.json", b"")


def test_the_log_of_a_sweep_is_read_by_the_address_that_its_status_has(place: StorePlace) -> None:
    """Also of one that failed, and has no manifest."""
    key = ManifestKey("quant", "tournament", "ab" * 32)
    store = place.open()
    store.put_log(key, log_name("2026-11-23T21:09:00+00:00", "1a2b3c4d", FLOW), b"what it said\n")
    sweep = f"{store.uri}/sweeps/quant/tournament/{'ab' * 32}"
    endpoint = [] if place.endpoint_url is None else [f"--endpoint-url={place.endpoint_url}"]

    def logs(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "backsweep", "logs", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert logs(f"{sweep}/logs/", *endpoint).stdout == "what it said\n"
    assert logs(f"{sweep}/manifest.json", *endpoint).stdout == "what it said\n"
    refused = logs("runs/night", "--region=moon")
    assert refused.returncode == 2
    assert "runs/night: what is on this machine names its store itself; leave endpoint and region out" in refused.stderr


@example([("line", 5000)] * 600)
@given(st.lists(st.tuples(st.text(max_size=20), st.integers(0, 6000)), max_size=400))
def test_a_log_is_bounded_and_keeps_its_beginning_and_its_end(pieces: list[tuple[str, int]]) -> None:
    lines = [(text + "x" * more).replace("\n", " ").replace("\r", " ") for text, more in pieces]
    log = CappedLog()
    for line in lines:
        log.add([line])
    data = log.data()
    assert len(data) <= LOG_BYTES
    kept = data.split(b"\n")[:-1]
    cut = [line.encode("utf-8", "replace")[:4095] for line in lines]
    if len(kept) == len(cut):
        assert kept == cut
    else:
        (gap,) = [index for index, line in enumerate(kept) if b"lines are left out here" in line]
        left_out = int(kept[gap].split()[1].replace(b",", b""))
        assert kept[:gap] + cut[gap : gap + left_out] + kept[gap + 1 :] == cut
