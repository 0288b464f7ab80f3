"""Matrices in files, the command that inverts them, and the memory it takes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from backsweep.cli.matrix import invert
from backsweep.errors import BacksweepError, DataError, NumericError, UserError
from backsweep.linalg.tiles import Tiling
from backsweep.sources.matrices import NpyMatrix, NpyResult, open_matrix

if TYPE_CHECKING:
    from backsweep.arrays import Float

MIB = 2**20
TASK_TILES = 12  # what a kernel has in memory besides the tiles that are kept: docs/linalg.md
DRIVER_TILES = 6
PEAK = """
import sys
from pathlib import Path
import scipy.linalg.lapack
from backsweep.executors.disk_tiles import DiskTiles
from backsweep.linalg.inverse import invert
from backsweep.linalg.tiles import Tiling
from backsweep.sources.matrices import NpyMatrix, NpyResult

path, order, tile, kept = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
tiling = Tiling(order, tile)
with NpyMatrix(path) as source, NpyResult(path.with_name("out.npy"), order) as sink:
    with DiskTiles(path.parent, kept * tiling.tile_bytes, tiling.tile_bytes) as executor:
        invert(source, sink, executor, tile)
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def covariance(order: int) -> Float:
    returns = np.random.default_rng(order).standard_normal((2 * order, order))
    return returns.T @ returns / (2 * order)


def options(file: Path, output: Path, *, as_json: bool = False) -> argparse.Namespace:
    return argparse.Namespace(
        file=str(file), output=str(output), tile=16, memory_mib=1, ray=None, workers=None, json=as_json
    )


def test_an_npy_file_is_inverted_and_what_is_known_of_it_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = covariance(50)
    np.save(tmp_path / "a.npy", matrix)
    assert invert(options(tmp_path / "a.npy", tmp_path / "x.npy")) == 0
    printed = capsys.readouterr().out
    assert "50 x 50, tiles of 16" in printed
    assert "condition (1-norm)" in printed
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), np.linalg.inv(matrix), rtol=1e-10, atol=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "x.npy"]


def test_the_report_in_json_has_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = covariance(40)
    np.save(tmp_path / "a.npy", matrix)
    invert(options(tmp_path / "a.npy", tmp_path / "x.npy", as_json=True))
    report = json.loads(capsys.readouterr().out)
    assert report["condition"] == pytest.approx(np.linalg.cond(matrix, 1))
    assert report["residual"] < 1e-13
    assert (report["order"], report["tile"], report["output"]) == (40, 16, str(tmp_path / "x.npy"))


@pytest.mark.parametrize("text_index", [True, False])
def test_a_parquet_matrix_keeps_its_names(tmp_path: Path, text_index: bool) -> None:
    matrix = covariance(300)
    names = [f"S{number}" for number in range(300)]
    table = pd.DataFrame(matrix, names if text_index else None, names)
    table.to_parquet(tmp_path / "a.parquet")
    invert(options(tmp_path / "a.parquet", tmp_path / "x.parquet"))
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert list(found.columns) == names
    assert list(found.index) == list(table.index)
    np.save(tmp_path / "a.npy", matrix)
    invert(options(tmp_path / "a.npy", tmp_path / "x.npy"))
    np.testing.assert_array_equal(found.to_numpy(), np.load(tmp_path / "x.npy"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "a.parquet", "x.npy", "x.parquet"]


def test_an_inverse_without_names_becomes_a_parquet_file_of_numbered_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", 4.0 * np.eye(3))
    invert(options(tmp_path / "a.npy", tmp_path / "x.parquet"))
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert list(found.columns) == ["0", "1", "2"]
    np.testing.assert_array_equal(found.to_numpy(), 0.25 * np.eye(3))


@pytest.mark.parametrize("kind", [">f8", "<f4", "<i8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_of_any_real_npy_file_are_those_of_numpy(tmp_path: Path, kind: str, order: str) -> None:
    array = np.arange(35 * 35).reshape(35, 35).astype(kind)
    np.save(tmp_path / "a.npy", np.asarray(array, order="F" if order == "F" else "C"))
    with NpyMatrix(tmp_path / "a.npy") as matrix:
        for rows, columns in ((slice(0, 35), slice(0, 35)), (slice(3, 9), slice(20, 35)), (slice(34, 35), slice(0, 1))):
            block = matrix.read(rows, columns)
            np.testing.assert_array_equal(block, array[rows, columns].astype(np.float64))
            assert block.dtype == np.float64
            assert block.flags.c_contiguous


def test_a_result_that_is_not_committed_leaves_what_was_there(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    with NpyResult(tmp_path / "x.npy", 5) as result:
        result.write(slice(0, 5), slice(0, 5), np.zeros((5, 5)))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), np.ones(3))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_a_matrix_that_is_not_positive_definite_leaves_no_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.diag([1.0, 2.0, -3.0]))
    with pytest.raises(NumericError, match=r"pivot 2 \(counted from 0\) is -3"):
        invert(options(tmp_path / "a.npy", tmp_path / "x.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def refused(tmp_path: Path, name: str, output: str = "x.npy") -> str:
    with pytest.raises(UserError) as caught:
        invert(options(tmp_path / name, tmp_path / output))
    assert isinstance(caught.value, BacksweepError)
    return str(caught.value)


def test_files_that_hold_no_square_matrix_are_refused_with_what_they_hold(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((2, 3)))
    np.save(tmp_path / "complex.npy", np.eye(2).astype(complex))
    np.save(tmp_path / "objects.npy", np.array([["a", None]], dtype=object))
    (tmp_path / "text.npy").write_text("not an array", encoding="utf-8")
    np.save(tmp_path / "short.npy", np.eye(4))
    with (tmp_path / "short.npy").open("r+b") as file:
        file.truncate(200)
    (tmp_path / "text.parquet").write_text("no", encoding="utf-8")
    pd.DataFrame({"A": [1.0, 2.0, 3.0], "B": [1.0, 2.0, 3.0]}).to_parquet(tmp_path / "tall.parquet")
    pd.DataFrame({"A": [True, False], "B": [1.0, 2.0]}).to_parquet(tmp_path / "bools.parquet")
    pd.DataFrame(np.eye(2), ["B", "A"], ["A", "B"]).to_parquet(tmp_path / "order.parquet")
    pd.DataFrame({"A": [1.0], "x": ["A"], "y": ["A"]}).to_parquet(tmp_path / "names.parquet")
    pd.DataFrame({"A": [1.0, None], "B": [0.0, 1.0]}).to_parquet(tmp_path / "empty.parquet")
    assert "shape (2, 3); it must be a square matrix" in refused(tmp_path, "wide.npy")
    assert "complex128" in refused(tmp_path, "complex.npy")
    assert "object" in refused(tmp_path, "objects.npy")
    assert "not an .npy file of numbers" in refused(tmp_path, "text.npy")
    assert "ends after 72 bytes" in refused(tmp_path, "short.npy")
    assert "not readable as Parquet" in refused(tmp_path, "text.parquet")
    assert "3 rows and 2 columns of numbers" in refused(tmp_path, "tall.parquet")
    assert "column 'A' holds bool" in refused(tmp_path, "bools.parquet")
    assert "row 0 is named 'B', column 0 'A'" in refused(tmp_path, "order.parquet")
    assert "columns 'x' and 'y' are text" in refused(tmp_path, "names.parquet")
    assert "holds nan in row 1, column 0" in refused(tmp_path, "empty.parquet")
    assert "there is no such file" in refused(tmp_path, "none.npy")
    assert "suffix '.csv' is not one of .npy" in refused(tmp_path, "a.csv")


def test_an_output_that_cannot_be_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(2))
    assert "suffix '.csv' is not .npy or .parquet" in refused(tmp_path, "a.npy", "x.csv")
    assert "there is no folder" in refused(tmp_path, "a.npy", "none/x.npy")
    alone = options(tmp_path / "a.npy", tmp_path / "x.npy")
    alone.workers = 2
    with pytest.raises(UserError, match="--workers 2: give 1 or more, and --ray"):
        invert(alone)


def test_a_parquet_file_is_laid_out_where_it_leaves_nothing(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    pd.DataFrame(np.eye(4), columns=list("ABCD")).to_parquet(tmp_path / "a.parquet")
    matrix, symbols = open_matrix(tmp_path / "a.parquet", scratch)
    with matrix:
        assert list(scratch.iterdir()) == []
        np.testing.assert_array_equal(matrix.read(slice(0, 4), slice(0, 4)), np.eye(4))
    assert symbols is not None
    assert symbols.names == ("A", "B", "C", "D")
    with pytest.raises(DataError, match="no such file"):
        open_matrix(tmp_path / "b.parquet", scratch)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_peak_memory_is_within_the_formula_and_far_below_the_matrix(tmp_path: Path) -> None:
    order, tile, kept = 3072, 256, 8
    matrix = np.eye(order) + 0.5
    np.save(tmp_path / "a.npy", matrix)
    np.save(tmp_path / "small.npy", matrix[:16, :16])
    tiling = Tiling(order, tile)

    def peak_bytes(name: str, rows: int) -> int:
        command = [sys.executable, "-c", PEAK, str(tmp_path / name), str(rows), str(tile), str(kept)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return int(found.stdout) * 1024

    beyond = peak_bytes("a.npy", order) - peak_bytes("small.npy", 16)
    allowed = (kept + TASK_TILES + DRIVER_TILES) * tiling.tile_bytes + 300 * order
    assert beyond <= allowed
    assert allowed < matrix.nbytes / 4
