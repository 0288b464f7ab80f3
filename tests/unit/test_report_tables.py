"""Tables of a run folder as pandas reads them back."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from backsweep.report.tables import columns_of_bytes, read_columns, trials_bytes, write_returns, write_weights

DATES = np.datetime64("2020-01-01") + np.arange(5)


def test_a_trials_table_reads_back_with_nulls_for_what_is_dead_or_undefined() -> None:
    columns = {
        "trial": ["a", "b", "c"],
        "profile": ["hrp", {"name": "hrp", "risk": "std"}, "équal"],
        "lookback": [252, None, 126],
        "leafOrder": [True, None, False],
        "mixed": [1, "all", None],
        "failed_windows": np.array([0, 2, 1]),
        "sharpe": np.array([1.5, np.nan, -0.25]),
        "cagr": np.array([0.1, 0.2, 0.3]),
        "nothing": [None, None, None],
    }
    frame = pd.read_parquet(io.BytesIO(trials_bytes(columns)))
    assert frame["profile"].tolist() == ["hrp", '{"name":"hrp","risk":"std"}', "équal"]
    assert frame["lookback"].isna().tolist() == [False, True, False]
    assert frame["lookback"].dropna().tolist() == [252, 126]
    assert frame["leafOrder"].dropna().tolist() == ["true", "false"]
    assert frame["mixed"].dropna().tolist() == ["1", '"all"']
    assert frame["failed_windows"].tolist() == [0, 2, 1]
    np.testing.assert_array_equal(frame["sharpe"], columns["sharpe"])
    assert frame["nothing"].isna().all()
    np.testing.assert_array_equal(columns_of_bytes(trials_bytes(columns), ["sharpe"])["sharpe"], columns["sharpe"])


def test_returns_and_weights_are_frames_indexed_by_date(tmp_path: Path) -> None:
    series = {"x": np.linspace(0, 1, 5), "y": np.linspace(1, 2, 5)}
    write_returns(tmp_path / "returns.parquet", DATES, series)
    frame = pd.read_parquet(tmp_path / "returns.parquet")
    assert frame.index.name == "date"
    assert frame.index.tolist() == list(pd.DatetimeIndex(DATES))
    np.testing.assert_array_equal(frame["y"], series["y"])
    values = np.arange(15.0).reshape(5, 3)
    values[2] = np.nan
    write_weights(tmp_path / "weights.parquet", DATES, ["A", "B", "C"], values)
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "weights.parquet"), values)
    assert [name for name, _ in read_columns(tmp_path / "weights.parquet")] == ["A", "B", "C"]


def test_writing_tables_does_not_import_pandas() -> None:
    script = (
        "import sys, numpy as np\n"
        "from backsweep.report.tables import trials_bytes\n"
        "trials_bytes({'trial': ['a'], 'sharpe': np.array([np.nan]), 'lookback': [1]})\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_reading_tables_leaves_no_thread_that_could_abort_the_process_as_it_ends(tmp_path: Path) -> None:
    """https://github.com/apache/arrow/issues/34314: exit code -6 after a command that has done all it should."""
    script = (
        "import os, pathlib, sys, numpy as np\n"
        "from backsweep.report.tables import *\n"
        "before = os.listdir('/proc/self/task')\n"
        "columns = {'trial': ['a'] * 9, 'failed_windows': np.arange(9), 'sharpe': np.arange(9.0)}\n"
        "data = trials_bytes(columns)\n"
        "columns_of_bytes(data, ['sharpe']), columns_of_trials(data)\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "write_returns(path, np.datetime64('2020-01-01') + np.arange(9), {'x': np.arange(9.0)})\n"
        "list(read_columns(path))\n"
        "assert os.listdir('/proc/self/task') == before"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "returns.parquet")], check=True)
