"""What a person reads of `backsweep data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from backsweep.cli.main import main


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Price Lake").mkdir()
    days = pa.array(["2020-01-02", "2020-01-03"]).cast(pa.date32())
    pyarrow.parquet.write_table(pa.table({"date": days, "A": [1.0, 2.0]}), tmp_path / "Price Lake/p.parquet")

    def run(*arguments: str, code: int = 0) -> str:
        assert main(["data", *arguments]) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return run


def test_a_folder_is_imported_listed_shown_and_pushed(call: Any) -> None:
    said = call("import", "Price Lake")
    assert "price-lake@" in said
    assert "1 assets, 2020-01-02 to 2020-01-03, 2 rows in 1 files\n" in said
    assert "use    data: {uri: store://price-lake}" in said
    assert "which was its newest already\nsent   0 files" in call("import", "Price Lake")
    assert call("list").splitlines()[1].split()[0] == "price-lake"
    shown = call("show", "price-lake")
    assert "columns        date date32[day], A double" in shown
    version = json.loads(call("show", "price-lake", "--json"))["version"]
    assert f"store://price-lake@{version[:16]}" in shown
    assert "sent   1 files" in call("push", "price-lake", "--store", "other")
    assert "sent   0 files" in call("push", f"price-lake@{version[:8]}", "--store", "other")
    assert "sent   1 files" in call("push", "Price Lake", "--name", "mine", "--store", "third")
    assert json.loads(call("list", "--store", "third", "--json"))[0]["version"] == version


def test_mistakes_are_one_sentence(call: Any, tmp_path: Path) -> None:
    assert "no data sets in" in call("list")
    assert "it holds none; backsweep data import brings one" in call("show", "prices", code=2)
    call("import", "Price Lake", "--name", "lake")
    (tmp_path / "lake").mkdir()
    assert "write ./lake for the folder, lake@VERSION for the data set" in call(
        "push", "lake", "--store", "other", code=2
    )
    assert "a data set keeps its name when it is pushed" in call(
        "push", "lake@00000000", "--name", "x", "--store", "other", code=2
    )
    (tmp_path / "___").mkdir()
    assert "its own name cannot be that of a data set; give --name NAME" in call("import", "___", code=2)
