"""Tiles on a real Ray: the bytes of one process, its errors, and what happens when a worker dies or hangs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backsweep.errors import BlockTimeoutError, NumericError, UserError
from backsweep.executors.ray_tiles import RayTiles, ray_tiles
from backsweep.linalg.cholesky import solve
from backsweep.linalg.inverse import Inverted, invert
from backsweep.linalg.kernels import read_pivots
from backsweep.linalg.matrices import ArrayMatrix, ArrayResult
from backsweep.linalg.tiles import Handle, Kernel, SerialTiles, TileExecutor, Tiling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backsweep.arrays import Float

ORDER, TILE, WORKERS = 330, 64, 2


@pytest.fixture(scope="module")
def executor() -> Iterator[RayTiles]:
    with pytest.raises(UserError, match="there is no Ray to compute on"):
        RayTiles(WORKERS)
    with ray_tiles(Tiling(ORDER, TILE), WORKERS) as started:
        yield started


def covariance(order: int = ORDER) -> Float:
    returns = np.random.default_rng(1).standard_normal((2 * order, order))
    return returns.T @ returns / (2 * order)


def inverse_of(matrix: Float, executor: TileExecutor) -> tuple[Inverted, bytes]:
    result = ArrayResult(len(matrix))
    return invert(ArrayMatrix(matrix), result, executor, TILE), result.array.tobytes()


def test_ray_gives_the_bytes_and_the_report_of_one_process(executor: RayTiles) -> None:
    matrix = covariance()
    assert inverse_of(matrix, executor) == inverse_of(matrix, SerialTiles())
    right = np.ones((ORDER, 2))
    here, there = (solve(ArrayMatrix(matrix), right, each, TILE) for each in (SerialTiles(), executor))
    assert here.solution.tobytes() == there.solution.tobytes()
    assert (here.residual, here.condition, here.smallest_pivot) == (
        there.residual,
        there.condition,
        there.smallest_pivot,
    )


def test_a_pivot_that_is_not_positive_is_the_same_error_and_the_executor_goes_on(executor: RayTiles) -> None:
    matrix = covariance()
    matrix[200, 200] = 0.01
    messages = []
    for each in (SerialTiles(), executor):
        with pytest.raises(NumericError, match=r"pivot 200 \(counted from 0\)") as caught:
            inverse_of(matrix, each)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert inverse_of(covariance(), executor) == inverse_of(covariance(), SerialTiles())


def test_a_worker_that_is_killed_is_replaced_and_the_bytes_stay(executor: RayTiles, tmp_path: Path) -> None:
    mark = tmp_path / "died"

    def die_once(tile: Float, path: str) -> Float:
        if not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read_pivots(tile)

    handle = executor.submit(die_once, executor.put(np.diag([3.0, 4.0])), path=str(mark))
    np.testing.assert_array_equal(executor.get(handle), [9.0, 16.0])
    assert mark.exists()


def test_a_task_that_hangs_is_given_up_with_a_sentence(executor: RayTiles) -> None:
    def hang(tile: Float) -> Float:
        time.sleep(5.0)
        return tile + 1.0

    def submit_five(executor: RayTiles, kernel: Kernel, tile: Handle) -> None:
        for _ in range(5):
            executor.submit(kernel, tile)

    impatient = RayTiles(1, timeout_seconds=0.5)
    tile = impatient.put(np.ones(1))
    handle = impatient.submit(hang, tile)
    with pytest.raises(BlockTimeoutError, match=r"a tile was not there within 0\.5 s"):
        impatient.get(handle)
    with pytest.raises(BlockTimeoutError, match=r"none of 4 tasks on tiles finished within 0\.5 s"):
        submit_five(impatient, hang, tile)


def test_tasks_in_flight_are_bounded(executor: RayTiles) -> None:
    def wait(tile: Float) -> Float:
        time.sleep(0.05)
        return tile + 1.0

    tile = executor.put(np.zeros(1))
    handles = []
    for _ in range(30):
        handles.append(executor.submit(wait, tile))
        assert executor.in_flight <= 4 * WORKERS
    assert [float(executor.get(handle)[0]) for handle in handles] == [1.0] * 30
