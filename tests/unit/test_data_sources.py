"""Files as users have them: wide and long, CSV and Parquet, and how each broken one is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from backsweep.data.resolution import resolve
from backsweep.data.tables import DataOptions
from backsweep.errors import CorruptObjectError, DataError, NotBuiltError
from backsweep.sources import bundles
from backsweep.sources.columns import read_codes, read_dates, read_numbers
from backsweep.sources.loading import LoadedData, lineage_of, load

WIDE = "date,AAA,BBB\n2020-01-02,100,50.5\n2020-01-03,110,\n2020-01-06,99.5,51\n"
LONG = (
    "Date,Ticker,Volume,Close,Adj Close\n"
    "2020-01-02,BBB,7,900,50.5\n2020-01-02,AAA,7,900,100\n"
    "2020-01-03,AAA,7,900,110\n2020-01-06,AAA,7,900,99.5\n2020-01-06,BBB,7,900,51\n"
)


def loaded(folder: Path, text: str | bytes, name: str = "prices.csv", **entry: Any) -> LoadedData:
    content = text.encode() if isinstance(text, str) else text
    (folder / name).write_bytes(content)
    return load({"uri": f"file://{name}", "missing": "fill", "periods": 252, **entry}, folder)


def write_parquet(folder: Path, columns: dict[str, Any], name: str = "prices.parquet") -> str:
    pyarrow.parquet.write_table(pa.table(columns), folder / name)
    return f"file://{name}"


def test_wide_and_long_csv_and_parquet_give_the_same_data(tmp_path: Path) -> None:
    wide, long = loaded(tmp_path, WIDE), loaded(tmp_path, LONG, "long.csv")
    days = pa.array(["2020-01-02", "2020-01-03", "2020-01-06"]).cast(pa.date32())
    columns = {"date": days, "AAA": [100.0, 110.0, 99.5], "BBB": [50.5, None, 51.0]}
    parquet = load({"uri": write_parquet(tmp_path, columns), "missing": "fill", "periods": 252}, tmp_path)
    assert wide.prices is not None
    assert np.array_equal(wide.prices, np.array([[100, 50.5], [110, np.nan], [99.5, 51]]), equal_nan=True)
    assert wide.returns.symbols == ("AAA", "BBB")
    assert wide.returns.digest == long.returns.digest == parquet.returns.digest
    assert long.provenance["column"] == "Adj Close"


DATE_SPELLINGS: dict[str, Any] = {
    "text": pa.array(["2020-01-02", "2020-01-03", "2020-01-06"]),
    "text with a time and zone": pa.array(["2020-01-02T16:00:00-05:00", "2020-01-03 00:00:00Z", "2020-01-06"]),
    "eight digits": pa.array([20200102, 20200103, 20200106]),
    "nanoseconds": pa.array([1577923200, 1578009600, 1578268800 + 3600])
    .cast(pa.timestamp("s"))
    .cast(pa.timestamp("ns")),
    "the evening before in a zone behind UTC": pa.array([1578016800, 1578103200, 1578362400]).cast(
        pa.timestamp("s", tz="America/New_York")
    ),
    "a dictionary": pa.array(["2020-01-02", "2020-01-03", "2020-01-06"]).dictionary_encode(),
    "date64": pa.array(["2020-01-02", "2020-01-03", "2020-01-06"]).cast(pa.date32()).cast(pa.date64()),
}


@pytest.mark.parametrize("spelling", DATE_SPELLINGS)
def test_dates_are_read_however_a_file_stores_them(tmp_path: Path, spelling: str) -> None:
    uri = write_parquet(tmp_path, {"Date": DATE_SPELLINGS[spelling], "AAA": [1.0, 2.0, 3.0]})
    data = load({"uri": uri, "periods": 252}, tmp_path)
    assert data.price_dates is not None
    assert data.price_dates.astype(str).tolist() == ["2020-01-02", "2020-01-03", "2020-01-06"]


def test_numbers_are_read_from_integers_decimals_and_small_floats(tmp_path: Path) -> None:
    columns = {
        "date": pa.array([20200102, 20200103, 20200106]),
        "I": pa.array([1, None, 3], pa.int32()),
        "D": pa.array([1, 2, 3]).cast(pa.decimal128(30, 2)),
        "F": pa.array([0.5, 0.25, 1.5], pa.float32()),
    }
    data = load({"uri": write_parquet(tmp_path, columns), "missing": "fill", "periods": 252}, tmp_path)
    expected = np.array([[1, 1, 0.5], [np.nan, 2, 0.25], [3, 3, 1.5]])
    assert np.array_equal(np.asarray(data.prices), expected, equal_nan=True)


def test_a_file_that_pandas_wrote_is_read_with_its_nameless_index(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"AAA": [1.0, 2.0, 3.0]}, index=pd.date_range("2020-01-01", periods=3))
    frame.to_parquet(tmp_path / "frame.parquet")
    frame.to_csv(tmp_path / "frame.csv")
    digests = {load({"uri": f"frame.{end}", "periods": 252}, tmp_path).returns.digest for end in ("csv", "parquet")}
    assert len(digests) == 1


def test_awkward_but_valid_csv_is_read(tmp_path: Path) -> None:
    text = '\ufeff" date ",AAA , "B,C"\r\n2020-01-02, 1.5 ,1e2\r\n\r\n2020-01-03,NaN,3\r\n20200106,3,NA\r\n'
    data = loaded(tmp_path, text.replace(', "B', ',"B'))
    assert data.returns.symbols == ("AAA", "B,C")
    expected = np.array([[1.5, 100], [np.nan, 3], [3, np.nan]])
    assert np.array_equal(np.asarray(data.prices), expected, equal_nan=True)


def test_tickers_that_look_like_something_else_stay_tickers(tmp_path: Path) -> None:
    rows = "".join(f"2020-01-0{day},{symbol},{day}\n" for day in (1, 2, 3) for symbol in ("NA", "TRUE", "7", "null"))
    assert loaded(tmp_path, "date,symbol,price\n" + rows).returns.symbols == ("7", "NA", "TRUE", "null")


def test_tickers_of_digits_keep_their_zeros(tmp_path: Path) -> None:
    rows = "".join(f"2020-01-0{day},{symbol},{day}\n" for day in (1, 2, 3) for symbol in ("0005", "0700"))
    assert loaded(tmp_path, "date,symbol,price\n" + rows).returns.symbols == ("0005", "0700")


def test_columns_that_are_slices_of_longer_ones_are_read_from_where_they_start() -> None:
    dates = np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[D]")
    numbers = pa.chunked_array([pa.array([None, 1.5, None, 2.5]).slice(1, 2)])
    assert np.array_equal(read_numbers("t", "A", numbers, dates), np.array([1.5, np.nan]), equal_nan=True)
    days = pa.chunked_array([pa.array(["1990-01-01", "2020-01-02", "2020-01-03"]).cast(pa.date32()).slice(1)])
    assert read_dates("t", "date", days).tolist() == dates.tolist()
    texts, codes = read_codes(pa.chunked_array([pa.array(["x", "b", None, "a"]).slice(1)]))
    assert [None if code < 0 else texts[code] for code in codes] == ["b", None, "a"]


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "text in a price column": (
        "date,AAA,BBB\n2020-01-02,1,2\n2020-01-03,1,n.a.\n",
        'prices.csv: column "BBB" holds "n.a." on 2020-01-03 (row 2), which is not a number',
    ),
    "a thousands separator": (
        'date,AAA\n2020-01-02,1\n2020-01-03,"1,000"\n',
        'prices.csv: column "AAA" holds "1,000" on 2020-01-03 (row 2), which is not a number',
    ),
    "a date of two meanings": (
        "date,AAA\n2020-01-02,1\n03/01/2020,1\n",
        'prices.csv: column "date" holds "03/01/2020" in row 2, which is not a date; write dates as 1990-01-02',
    ),
    "a date that does not exist": (
        "date,AAA\n2020-02-30,1\n",
        'prices.csv: column "date" holds "2020-02-30" in row 1, which is not a date; write dates as 1990-01-02',
    ),
    "seconds since 1970": (
        "date,AAA\n1577923200,1\n",
        'prices.csv: column "date" holds "1577923200" in row 1, which is not a date; write dates as 1990-01-02',
    ),
    "no date column": ("day,AAA\n1,2\n", 'prices.csv: there is no date column; name it "date" (found "day", "AAA")'),
    "a long table without prices": (
        "date,symbol,volume\n2020-01-02,AAA,1\n",
        'prices.csv: "date" and "symbol" make it a long table, and it has no column of prices; name it "price" '
        '(found "date", "symbol", "volume")',
    ),
    "a row of a long table twice": (
        "date,symbol,price\n2020-01-02,AAA,1\n2020-01-02,BBB,1\n2020-01-02,AAA,2\n",
        'prices.csv: "AAA" occurs twice on 2020-01-02 (the second time in row 3); keep one row a date and symbol',
    ),
    "a long table that goes back in time": (
        "date,symbol,price\n2020-01-03,AAA,1\n2020-01-03,BBB,1\n2020-01-02,BBB,1\n2020-01-02,AAA,2\n",
        'prices.csv: the rows of "BBB" are not sorted: 2020-01-02 (row 3) comes after 2020-01-03; '
        "sort the rows by date, oldest first",
    ),
    "a row without a symbol": (
        "date,symbol,price\n2020-01-02,AAA,1\n2020-01-03,,1\n",
        'prices.csv: column "symbol" is empty on 2020-01-03 (row 2); name the asset',
    ),
    "a column twice": (
        "date,AAA,AAA\n2020-01-02,1,2\n",
        'prices.csv: column "AAA" occurs more than once; give each column its own name',
    ),
    "a ragged row": (
        "date,AAA\n2020-01-02,1,2\n",
        "prices.csv: line 2 has 3 cells where the header names 2 columns: 2020-01-02,1,2",
    ),
    "semicolons": (
        "date;AAA\n2020-01-02;1\n",
        "prices.csv: the first line has 1 column(s) ('date;AAA'); it must name the columns, separated by commas",
    ),
    "nothing": ("", "prices.csv: the first line has 0 column(s) (''); it must name the columns, separated by commas"),
    "a header alone": ("date,AAA\n", "prices.csv: the table has no rows"),
    "another encoding": (
        b"date,\xe4\xf6\n",
        "prices.csv: the header is not UTF-8 text; save the file as UTF-8",
    ),
    "an infinite cell": (
        "date,AAA\n2020-01-02,1\n2020-01-03,inf\n",
        'prices.csv: column "AAA" on 2020-01-03 is infinite; leave the cell empty where there is no value',
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_its_column_and_first_row(tmp_path: Path, case: str) -> None:
    text, sentence = BAD_FILES[case]
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value) == f"file://{sentence}"


def test_parquet_cells_of_a_wrong_type_are_refused(tmp_path: Path) -> None:
    dates = pa.array(["2020-01-02", None, "2020-01-06"])
    uri = write_parquet(tmp_path, {"date": dates, "AAA": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=r'column "date" has no date in row 2'):
        load({"uri": uri}, tmp_path)
    uri = write_parquet(tmp_path, {"date": [20200102, 20200103], "AAA": [True, False]})
    with pytest.raises(DataError, match=r'column "AAA" holds "True" on 2020-01-02 \(row 1\), which is not a number'):
        load({"uri": uri}, tmp_path)
    uri = write_parquet(tmp_path, {"date": [20200102, 20200103], "AAA": ["1.5", "2.5"]})
    with pytest.raises(DataError, match=r'column "AAA" is of type string, not a number; store it as float64'):
        load({"uri": uri}, tmp_path)


def test_a_place_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(WIDE)
    (tmp_path / "broken.parquet").write_bytes(b"this is not Parquet")
    cases = {
        "price.csv": f'price.csv: there is no file {tmp_path}/price.csv; there is "prices.csv"',
        "none/at.csv": f"none/at.csv: there is no file {tmp_path}/none/at.csv",
        f"file://{tmp_path}": f"file://{tmp_path}: the format cannot be told from the suffix ''; "
        "write format: csv or parquet",
    }
    for uri, sentence in cases.items():
        with pytest.raises(DataError) as caught:
            load({"uri": uri}, tmp_path)
        assert str(caught.value) == sentence
    with pytest.raises(DataError, match=r"^broken\.parquet: not readable as parquet: .*magic bytes"):
        load({"uri": "broken.parquet"}, tmp_path)
    with pytest.raises(DataError, match="is a folder; name the file in it"):
        load({"uri": f"file://{tmp_path}", "format": "csv"}, tmp_path)
    with pytest.raises(DataError, match=r"data.format is 'xlsx'; write csv or parquet"):
        load({"uri": "prices.csv", "format": "xlsx"}, tmp_path)
    with pytest.raises(NotBuiltError, match=r"reads no tables from s3://; copy the file here"):
        load({"uri": "s3://bucket/prices.csv"}, tmp_path)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"name": "sp500-200"}, 'data.name "sp500-200" is not a bundled data set; did you mean "sp500-20"? '),
        ({"name": "msci"}, 'data.name "msci" is not a bundled data set; there is sp500-20 '),
        ({"name": "sp500-20", "kind": "returns"}, "data.name sp500-20 holds prices; leave out data.kind"),
        ({"name": "sp500-20", "uri": "prices.csv"}, "data needs either name"),
        ({}, "data needs either name"),
        ({"name": "sp500-20", "start": "1990-13-01"}, "data.start is '1990-13-01', which is not a date"),
        ({"name": "sp500-20", "end": "1990"}, "data.end is '1990', which is not a date"),
        ({"name": "sp500-20", "riskFree": "low"}, "data.riskFree is 'low', which is not a number"),
        ({"name": "sp500-20", "colour": "red"}, "data.colour is not a field of spec.data"),
        ({"uri": "prices.csv", "kind": "yields"}, "data.kind is 'yields'; write prices or returns"),
    ],
)
def test_a_bad_entry_is_refused(tmp_path: Path, entry: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        load(entry, tmp_path)
    assert str(caught.value).startswith(sentence)


def test_a_folder_with_blanks_and_another_suffix_can_be_named(tmp_path: Path) -> None:
    place = tmp_path / "my data"
    place.mkdir()
    (place / "prices.txt").write_text(WIDE)
    entry = {"uri": f"file://{tmp_path}/my%20data/prices.txt", "format": "csv", "missing": "fill", "periods": 252}
    assert load(entry, Path("/")).returns.symbols == ("AAA", "BBB")


def test_a_universe_is_read_as_snapshots(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("date,symbol\n2020-01-03,AAA\n2020-01-06,AAA\n2020-01-06,BBB\n")
    data = loaded(tmp_path, WIDE, universe="file://index.csv")
    assert data.returns.member.tolist() == [[True, False], [True, True]]
    text = "date,symbol,member\n2020-01-03,AAA,true\n2020-01-03,BBB,0\n2020-01-06,AAA,FALSE\n2020-01-06,BBB,1\n"
    (tmp_path / "flags.csv").write_text(text)
    data = loaded(tmp_path, WIDE, universe="flags.csv")
    assert data.returns.member.tolist() == [[True, False], [False, True]]
    assert data.provenance["universe"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "start,end,symbol\n2020-01-03,2020-01-06,AAA\n",
            'index.csv: there is no date column; name it "date" (found "start", "end", "symbol")',
        ),
        (
            "date,end,symbol\n2020-01-03,2020-01-06,AAA\n",
            "index.csv: a membership table has the columns date, symbol and, if needed, member: on each date that "
            'occurs all members are listed, until the next such date (found "date", "end", "symbol")',
        ),
        (
            "date,symbol,member\n2020-01-03,AAA,true\n2020-01-03,BBB,perhaps\n",
            'index.csv: column "member" holds "perhaps" on 2020-01-03 (row 2); write true or false',
        ),
        ("date,symbol\n", "index.csv: the membership table has no rows"),
    ],
)
def test_a_bad_universe_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        loaded(tmp_path, WIDE, universe="index.csv")
    assert str(caught.value) == sentence


def test_features_come_along_by_name_with_a_digest_of_their_content(tmp_path: Path) -> None:
    (tmp_path / "macro.csv").write_text("date,vix,rate\n2019-12-31,13.8,\n2020-01-02,12.5,1.5\n")
    (tmp_path / "long.csv").write_text(
        "date,symbol,value\n2019-12-31,vix,13.8\n2020-01-02,rate,1.5\n2020-01-02,vix,12.5\n"
    )
    features = [{"name": "macro", "uri": "file://macro.csv"}, {"name": "again", "uri": "long.csv"}]
    data = loaded(tmp_path, WIDE, features=features)
    macro, again = data.features["macro"], data.features["again"]
    assert macro.columns == ("vix", "rate")
    assert np.array_equal(macro.values, np.array([[13.8, np.nan], [12.5, 1.5]]), equal_nan=True)
    assert macro.dates.astype(str).tolist() == ["2019-12-31", "2020-01-02"]
    assert again.columns == ("rate", "vix")
    assert macro.sha256 != again.sha256
    with pytest.raises(DataError, match=r'data\.features names "macro" twice'):
        loaded(tmp_path, WIDE, features=[features[0], features[0]])
    (tmp_path / "macro.csv").write_text("date,vix\n2019-12-31,inf\n")
    with pytest.raises(DataError, match='column "vix" is infinite on 2019-12-31'):
        loaded(tmp_path, WIDE, features=features[:1])


def test_a_lineage_is_of_the_source_and_not_of_the_part_of_it(tmp_path: Path) -> None:
    first = lineage_of({"uri": "file://data/../prices.csv"})
    assert first == lineage_of({"uri": "prices.csv", "kind": "prices", "start": "2020-01-01", "missing": "drop"})
    assert first != lineage_of({"uri": "prices.csv", "kind": "returns"})
    assert first != lineage_of({"name": "sp500-20"})
    assert loaded(tmp_path, WIDE, label="mine").lineage == first
    assert loaded(tmp_path, WIDE, label="mine").label == "mine"


def test_provenance_is_json_and_says_what_was_read(tmp_path: Path) -> None:
    data = loaded(tmp_path, WIDE)
    assert json.loads(json.dumps(data.provenance)) == data.provenance
    assert data.provenance["sha256"] == hashlib.sha256(WIDE.encode()).hexdigest()
    assert data.provenance["resolved"]["digest"] == data.returns.digest
    assert str(tmp_path) not in json.dumps(data.provenance)


def test_the_bundled_set_has_its_documented_shape() -> None:
    data = load({"name": "sp500-20"}, Path())
    assert data.prices is not None
    assert data.prices.shape == (8313, 20)
    assert data.returns.periods == 252
    assert str(data.returns.dates[0]) == "1990-01-03"
    assert str(data.returns.dates[-1]) == "2022-12-28"
    assert data.returns.tradable.all()
    assert not np.isnan(data.returns.estimation).any()
    assert data.returns.digest == "df3d94b584a5669e2277656e2195078e58cf85b6825a7b6c7d0543ab3fcf55ee"
    origin = data.provenance["origin"]
    assert (origin["rows"], origin["assets"], origin["survivorship"]) == (8313, 20, True)


def test_a_bundled_set_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in bundles.FOLDER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    table = pyarrow.parquet.read_table(tmp_path / "sp500-20.parquet")
    pyarrow.parquet.write_table(table.slice(1), tmp_path / "sp500-20.parquet")
    monkeypatch.setattr(bundles, "FOLDER", tmp_path)
    with pytest.raises(CorruptObjectError, match="the bundled data set sp500-20 is not the one shipped"):
        load({"name": "sp500-20"}, Path())


def test_loading_does_not_import_pandas(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(WIDE)
    (tmp_path / "long.csv").write_text(LONG)
    (tmp_path / "index.csv").write_text("date,symbol\n2020-01-02,AAA\n")
    program = (
        "import sys; from pathlib import Path; from backsweep.sources.loading import load\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "load({'name': 'sp500-20'}, folder)\n"
        "for uri in ('prices.csv', 'long.csv'):\n"
        "    load({'uri': uri, 'missing': 'fill', 'periods': 252, 'universe': 'index.csv'}, folder)\n"
        "assert 'pandas' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_table_read_backwards_in_memory_has_the_same_digest(tmp_path: Path) -> None:
    from backsweep.data.tables import PriceTable

    values = np.array([[100.0, 50.0], [110.0, 51.0], [99.0, 52.0]])
    dates = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[D]")
    options = DataOptions(periods=252)
    plain = resolve(PriceTable("t", dates, ("A", "B"), values), options).returns
    fortran = resolve(PriceTable("t", dates, ("A", "B"), np.asfortranarray(values)), options).returns
    assert plain.digest == fortran.digest
