"""Data sets of a store: checked, by content, with all their versions, in a folder and in a bucket."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from backsweep.errors import CorruptObjectError, DataError, MissingObjectError
from backsweep.flow.data_sets import export_data, import_data, open_stored, push_data
from backsweep.flow.tables import table_opener
from backsweep.sources.files import open_table
from backsweep.sources.loading import lineage_of, load
from backsweep.sources.tables import value_table
from backsweep.stores.collection import collect
from backsweep.stores.data_versions import find_version, names, read_version, versions
from backsweep.stores.file import FileStore
from backsweep.stores.opening import AnyStore, StoreAddress

DAYS = pa.array(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"]).cast(pa.date32())
NOON = "2026-01-01T12:00:00+00:00"
DAY = 86_400.0


def write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pa.table(columns), path)


def lakehouse(folder: Path, scale: float = 1.0) -> Path:
    """Two assets in folders of their own, the newer half of the first one in a file that sorts first."""
    write(folder / "symbol=AAA/b.parquet", date=DAYS[:2], close=[100.0 * scale, 101.0])
    write(folder / "symbol=AAA/a.parquet", date=DAYS[2:], close=[102.0, 103.0])
    write(folder / "symbol=B%2FB/year=2020/p.parquet", date=DAYS, close=[1.0, 2.0, 3.0, 4.0])
    (folder / "_SUCCESS").touch()
    return folder


def test_a_folder_is_one_table_whatever_its_tree(store: AnyStore, tmp_path: Path) -> None:
    done = import_data(store, lakehouse(tmp_path / "lake"), "prices", NOON)
    assert (done.is_new, done.sent_files, done.record["rows"], done.record["symbols"]) == (True, 3, 8, 2)
    assert (done.record["first"], done.record["last"], done.record["layout"]) == ("2020-01-02", "2020-01-07", "long")
    table, column = value_table(open_stored(store, "store://prices"), "prices")
    assert (table.symbols, column) == (("AAA", "B/B"), "close")
    assert table.values.tolist() == [[100.0, 1.0], [101.0, 2.0], [102.0, 3.0], [103.0, 4.0]]


def test_a_version_is_its_content_and_a_name_keeps_them_all(store: AnyStore, tmp_path: Path) -> None:
    lake = lakehouse(tmp_path / "lake")
    first = import_data(store, lake, "prices", NOON)
    again = import_data(store, lakehouse(tmp_path / "copy"), "prices", NOON)
    assert (again.is_new, again.sent_files, again.entry.version) == (False, 0, first.entry.version)
    second = import_data(store, lakehouse(lake, scale=2.0), "prices", NOON)
    third = import_data(store, lakehouse(tmp_path / "copy"), "prices", NOON)
    log = [first.entry.version, second.entry.version, third.entry.version]
    assert third.entry.version == first.entry.version != second.entry.version
    assert [(each.number, each.version) for each in versions(store, "prices")] == list(enumerate(log, 1))
    assert find_version(store, "prices").number == 3
    assert find_version(store, f"prices@{second.entry.version[:12]}").number == 2
    assert names(store) == ["prices"]
    values = value_table(open_stored(store, f"store://prices@{second.entry.version}"), "prices")[0].values
    assert values[0].tolist() == [200.0, 1.0]


def test_two_that_import_at_once_both_stay(store: AnyStore, tmp_path: Path) -> None:
    lakes = [lakehouse(tmp_path / f"lake{number}", scale=number) for number in (1.0, 2.0, 3.0, 4.0)]
    threads = [threading.Thread(target=import_data, args=(store, lake, "prices", NOON)) for lake in lakes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.version for each in versions(store, "prices")}) == 4


def test_a_push_sends_what_lacks_and_the_same_push_nothing(store: AnyStore, tmp_path: Path) -> None:
    import_data(store, lakehouse(tmp_path / "lake"), "prices", NOON)
    target = FileStore(tmp_path / "target")
    done = push_data(store, "prices", target, NOON)
    assert (done.is_new, done.sent_files) == (True, 3)
    assert not push_data(store, "prices", target, NOON).sent_files
    assert find_version(target, "prices").version == find_version(store, "prices").version
    export_data(target, done.entry.version, tmp_path / "out")
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.parquet"))
    assert written == ["symbol=AAA/a.parquet", "symbol=AAA/b.parquet", "symbol=B%2FB/year=2020/p.parquet"]


def test_garbage_collection_keeps_every_version(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    import_data(store, lakehouse(tmp_path / "lake"), "prices", NOON)
    import_data(store, lakehouse(tmp_path / "lake", scale=2.0), "prices", NOON)
    store.put_object(b"of nothing")
    found = collect(store, 4e9)
    assert (found.objects, found.kept_objects) == (1, 4)
    assert open_stored(store, f"store://prices@{versions(store, 'prices')[0].version}").table.num_rows == 8


BAD: dict[str, tuple[dict[str, dict[str, Any]], str]] = {
    "a type": (
        {"a.parquet": {"date": DAYS, "close": [1.0] * 4}, "b.parquet": {"date": DAYS, "close": [1] * 4}},
        'column "close" is int64 in b.parquet and double in a.parquet; write it with one type',
    ),
    "a column less": (
        {"a.parquet": {"date": DAYS, "A": [1.0] * 4, "B": [1.0] * 4}, "b.parquet": {"date": DAYS, "A": [1.0] * 4}},
        'b.parquet has no column "B", which a.parquet has',
    ),
    "a column more": (
        {"a.parquet": {"date": DAYS, "A": [1.0] * 4}, "b.parquet": {"date": DAYS, "A": [1.0] * 4, "C": [1.0] * 4}},
        'b.parquet has a column "C", which a.parquet lacks',
    ),
    "no dates": ({"a.parquet": {"day": DAYS, "A": [1.0] * 4}}, 'a.parquet: there is no date column; name it "date"'),
    "no date": ({"a.parquet": {"date": ["x"], "A": [1.0]}}, 'a.parquet: column "date" holds "x" in row 1'),
    "no number": ({"a.parquet": {"date": DAYS, "A": ["x"] * 4}}, 'a.parquet: column "A" holds "x" on 2020-01-02'),
    "no asset": (
        {"a.parquet": {"date": DAYS, "symbol": ["A", None, "A", "A"], "close": [1.0] * 4}},
        'a.parquet: column "symbol" is empty in some row',
    ),
    "no rows": ({"a.parquet": {"date": DAYS[:0], "A": pa.array([], pa.float64())}}, "a.parquet: it has no rows"),
    "a folder without a value": (
        {"symbol=/a.parquet": {"date": DAYS, "close": [1.0] * 4}},
        "the folder symbol= names no symbol",
    ),
    "a folder that contradicts": (
        {"symbol=A/a.parquet": {"date": DAYS, "close": [1.0] * 4, "symbol": ["B"] * 4}},
        'column "symbol" holds B, but the file lies in symbol=A',
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_folder_that_is_no_table_is_refused_by_file_and_column(tmp_path: Path, case: str) -> None:
    files, sentence = BAD[case]
    for name, columns in files.items():
        write(tmp_path / "lake" / name, **columns)
    store = FileStore(tmp_path / "store")
    with pytest.raises(DataError) as refused:
        import_data(store, tmp_path / "lake", "prices", NOON)
    assert sentence in str(refused.value)
    assert names(store) == []


def test_places_and_names_that_are_none_are_refused(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    write(tmp_path / "lake/a.parquet", date=DAYS, A=[1.0] * 4)
    (tmp_path / "lake/broken.pq").write_bytes(b"no Parquet")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/prices.csv").touch()
    (tmp_path / "empty").mkdir()
    cases = {
        ("lake", "prices"): "broken.pq: not readable as parquet",
        ("mixed", "prices"): "prices.csv is no Parquet file by its name",
        ("empty", "prices"): "there is no Parquet file in it",
        ("none", "prices"): "there is no such folder",
        ("lake", "Prices"): '"Prices" cannot be the name of a data set',
    }
    for (folder, name), sentence in cases.items():
        with pytest.raises(DataError, match=sentence):
            import_data(store, tmp_path / folder, name, NOON)
    (tmp_path / "lake/broken.pq").unlink()
    version = import_data(store, tmp_path / "lake", "prices", NOON).entry.version
    for place, sentence in {
        "returns": 'has no data set "returns"; there is prices',
        "prices@012": '"012" is not a version; write 8 or more',
        "prices@" + "0" * 64: f'"prices" has no version that begins with {"0" * 64}; its newest is {version[:16]}',
    }.items():
        with pytest.raises(DataError) as refused:
            find_version(store, place)
        assert sentence in str(refused.value)


def test_what_is_damaged_or_gone_is_an_error_and_never_a_number(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    version = import_data(store, lakehouse(tmp_path / "lake"), "prices", NOON).entry.version
    digest = sorted(read_version(store, version)["objects"].values())[0]
    place = tmp_path / "store/objects/sha256" / digest[:2] / digest
    place.write_bytes(b"damaged")
    with pytest.raises(CorruptObjectError):
        open_stored(store, "store://prices")
    place.unlink()
    with pytest.raises(MissingObjectError):
        open_stored(store, "store://prices")
    assert import_data(store, tmp_path / "lake", "prices", NOON).sent_files == 1
    assert open_stored(store, "store://prices").table.num_rows == 8


def test_a_sweep_reads_the_store_and_counts_all_versions_as_one_source(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    version = import_data(store, lakehouse(tmp_path / "lake"), "prices", NOON).entry.version
    opener = table_opener(store, StoreAddress(store.uri), tmp_path)
    entry = {"uri": f"store://prices@{version[:16]}", "periods": 252}
    newest = load({"uri": "store://prices", "periods": 252}, tmp_path, opener)
    given = load(entry, tmp_path, opener)
    assert given.returns.digest == newest.returns.digest
    assert given.label == newest.label == "store://prices"
    assert given.lineage == newest.lineage == lineage_of({"uri": "store://prices"})
    assert given.provenance["sha256"] == version
    with pytest.raises(DataError, match="a data set of the store is Parquet"):
        load({**entry, "format": "csv"}, tmp_path, opener)


def test_a_table_in_any_bucket_is_read_as_a_file_is(bucket: Any, tmp_path: Path) -> None:
    write(tmp_path / "prices.parquet", date=DAYS, A=[1.0, 2.0, 3.0, 4.0])
    bucket.client.put_object(
        Bucket=bucket.name, Key="a b/prices.parquet", Body=(tmp_path / "prices.parquet").read_bytes()
    )
    opener = table_opener(bucket.open(), StoreAddress(bucket.uri, bucket.server.url), tmp_path)
    found = opener(f"s3://{bucket.name}/a b/prices.parquet", None)
    assert found.sha256 == open_table("prices.parquet", tmp_path).sha256
    for uri, sentence in {
        f"s3://{bucket.name}/none.csv": "there is no such object in the bucket",
        f"s3://{bucket.name}/": "it names no object",
    }.items():
        with pytest.raises(DataError, match=sentence):
            opener(uri, None)
