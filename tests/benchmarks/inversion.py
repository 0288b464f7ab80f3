"""One way to invert the matrix in a file, in a process of its own: python -m tests.benchmarks.inversion WAY ..."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from backsweep.arrays import Float
from backsweep.executors.disk_tiles import DiskTiles
from backsweep.linalg.inverse import invert
from backsweep.linalg.tiles import SerialTiles, TileExecutor, Tiling
from backsweep.sources.matrices import NpyMatrix, NpyResult

TILE = 1024
WORKERS = 2
PROBES = 32
MIB = 2**20
POLL_SECONDS = 0.05


def make(path: Path, order: int) -> None:
    """Write a covariance of `order` assets from 1.5 times as many rows, a factor of the market among them."""
    generator = np.random.default_rng(8192)
    rows = order + order // 2
    returns = generator.standard_normal((rows, order))
    returns += 0.5 * generator.standard_normal(rows)[:, None]
    np.save(path, returns.T @ returns / rows)


def invert_by_numpy(source: Path, target: Path) -> None:
    np.save(target, np.linalg.inv(np.load(source)))


def invert_by_lapack(source: Path, target: Path) -> None:
    """Factorise and invert in place, then mirror the triangle: the least memory that LAPACK needs."""
    from scipy.linalg.lapack import dpotrf, dpotri

    factor, _ = dpotrf(np.load(source).T, lower=False, clean=False, overwrite_a=True)
    inverse, _ = dpotri(factor, lower=False, overwrite_c=True)
    whole = inverse.T
    for row in range(len(whole)):
        whole[row, row + 1 :] = whole[row + 1 :, row]
    np.save(target, whole)


def invert_tiled(source: Path, target: Path, executor: TileExecutor) -> None:
    with NpyMatrix(source) as matrix, NpyResult(target, matrix.order) as result:
        invert(matrix, result, executor, TILE)
        result.commit()


def check(source: Path, target: Path) -> float:
    """Return |A X - 1|_F / sqrt(N), estimated by random signs, reading neither file as a whole."""
    matrix, inverse = np.load(source, mmap_mode="r"), np.load(target, mmap_mode="r")
    order = len(matrix)
    signs: Float = np.random.default_rng(7).choice([-1.0, 1.0], (order, PROBES))
    return float(np.linalg.norm(matrix @ (inverse @ signs) - signs) / np.sqrt(order * PROBES))


def private_mib(process: int | str = "self", field: str = "RssAnon") -> float:
    """Return a process's private memory: what is shared, as Ray's object store is, counts once and not here."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def limit_memory(mib: int) -> None:
    """Allow this process so much private memory beyond what it has mapped now."""
    allowed = int((private_mib(field="VmData") + mib) * MIB)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


@contextlib.contextmanager
def watched(processes: list[int | str]) -> Iterator[dict[str, float]]:
    """Note the largest private memory that any of the processes has, twenty times a second."""
    found = {"peak_mib": 0.0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            found["peak_mib"] = max(found["peak_mib"], *(private_mib(each) for each in processes))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def run(way: str, source: Path, target: Path, limit_mib: int) -> dict[str, Any]:
    """Invert by a way; return seconds from file to file and the peak of private memory of any one process."""
    import scipy.linalg.lapack  # noqa: F401  # imports are not timed

    with contextlib.ExitStack() as opened:
        executor: TileExecutor | None = None
        processes: list[int | str] = ["self"]
        started = time.perf_counter()
        with NpyMatrix(source) as matrix:
            tiling = Tiling(matrix.order, TILE)
        if way == "ray":
            executor, workers = start_ray(opened, tiling, limit_mib)
            processes += workers
        else:
            if limit_mib:
                limit_memory(limit_mib)
            if way == "memory":
                executor = SerialTiles()
            elif way == "disk":
                executor = opened.enter_context(DiskTiles(target.parent, 8 * tiling.tile_bytes, tiling.tile_bytes))
        start_seconds = time.perf_counter() - started
        with watched(processes) as memory:
            began = time.perf_counter()
            if executor is None:
                {"numpy": invert_by_numpy, "lapack": invert_by_lapack}[way](source, target)
            else:
                invert_tiled(source, target, executor)
            seconds = time.perf_counter() - began
    return {"seconds": seconds, "start_seconds": start_seconds, **memory}


def start_ray(opened: contextlib.ExitStack, tiling: Tiling, limit_mib: int) -> tuple[TileExecutor, list[int | str]]:
    """Start Ray and its workers, limit their memory, and return their process ids."""
    import os

    from backsweep.executors.ray_tiles import ray_tiles

    executor = opened.enter_context(ray_tiles(tiling, WORKERS))  # sets what Ray reads when it is imported
    import ray

    def prepare() -> int:
        import scipy.linalg.lapack  # noqa: F401

        import backsweep.linalg.kernels  # noqa: F401

        time.sleep(1.0)  # long enough that each worker gets one of these
        if limit_mib:
            limit_memory(limit_mib)
        return os.getpid()

    task = ray.remote(prepare)
    workers: list[int | str] = sorted(set(ray.get([task.remote() for _ in range(WORKERS)])))
    if len(workers) != WORKERS:
        raise SystemExit("one worker of Ray did the work of both")
    return executor, workers


def main() -> None:
    """Do what the command line says and print JSON."""
    way, source, *rest = sys.argv[1:]
    if way == "make":
        make(Path(source), int(rest[0]))
        answer: dict[str, Any] = {}
    elif way == "check":
        answer = {"residual": check(Path(source), Path(rest[0]))}
    else:
        try:
            answer = run(way, Path(source), Path(rest[0]), int(rest[1]))
        except MemoryError:
            answer = {"failed": "MemoryError"}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
