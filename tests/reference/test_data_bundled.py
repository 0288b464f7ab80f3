"""The bundled set against the file it was made from, and our returns against pandas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backsweep.sources.loading import load


@pytest.fixture(scope="module")
def original() -> pd.DataFrame:
    datasets = pytest.importorskip("skfolio.datasets")
    frame: pd.DataFrame = datasets.load_sp500_dataset()
    return frame


def test_the_bundled_prices_are_those_of_skfolio_to_the_bit(original: pd.DataFrame) -> None:
    data = load({"name": "sp500-20"}, Path())
    assert data.price_dates is not None
    assert list(original.columns) == list(data.returns.symbols)
    assert np.array_equal(data.price_dates, original.index.to_numpy().astype("datetime64[D]"))
    assert np.array_equal(np.asarray(data.prices), original.to_numpy())


def test_returns_are_those_of_pandas(original: pd.DataFrame) -> None:
    data = load({"name": "sp500-20"}, Path())
    assert np.array_equal(data.returns.simulation, original.pct_change().to_numpy()[1:])


def test_a_long_file_that_pandas_melted_gives_the_wide_data(original: pd.DataFrame, tmp_path: Path) -> None:
    melted = original.iloc[:500].rename_axis("date").reset_index().melt("date", var_name="symbol", value_name="price")
    melted.to_csv(tmp_path / "long.csv", index=False)
    long = load({"uri": "long.csv"}, tmp_path)
    wide = load({"name": "sp500-20", "end": str(original.index[499].date())}, tmp_path)
    assert long.returns.digest == wide.returns.digest
