"""The command on large matrices: invert."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backsweep.errors import UserError

if TYPE_CHECKING:
    from backsweep.linalg.tiles import TileExecutor, Tiling

__all__ = ["invert"]

_PARQUET = (".parquet", ".pq")


def invert(options: argparse.Namespace) -> int:
    """Write the inverse of a symmetric positive definite matrix and say how good it is."""
    from backsweep.linalg import inverse
    from backsweep.linalg.tiles import Tiling
    from backsweep.sources.matrices import NpyMatrix, NpyResult, open_matrix, write_parquet

    source_path, output = Path(options.file), Path(options.output)
    as_parquet = output.suffix.lower() in _PARQUET
    if not as_parquet and output.suffix.lower() != ".npy":
        raise UserError(f"--output {output}: the suffix {output.suffix!r} is not .npy or .parquet")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}")
    if options.workers is not None and (options.workers < 1 or not options.ray):
        raise UserError(f"--workers {options.workers}: give 1 or more, and --ray, whose workers they are")
    started = time.monotonic()
    with contextlib.ExitStack() as opened:
        source, symbols = open_matrix(source_path, output.parent)
        opened.enter_context(source)
        tiling = Tiling(source.order, options.tile)
        target = output.with_name(f".{output.name}.inverse.npy") if as_parquet else output
        executor = opened.enter_context(_executor(options, tiling))
        with NpyResult(target, source.order) as result:
            report = inverse.invert(source, result, executor, options.tile)
            result.commit()
        if as_parquet:
            try:
                with NpyMatrix(target) as whole:
                    write_parquet(whole, output, symbols)
            finally:
                target.unlink(missing_ok=True)
    described = {**dataclasses.asdict(report), "digits": round(report.digits, 1)}
    described |= {"seconds": round(time.monotonic() - started, 3), "output": str(output)}
    if options.json:
        json.dump(described, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(_sentences(described))
    return 0


def _executor(options: argparse.Namespace, tiling: Tiling) -> contextlib.AbstractContextManager[TileExecutor]:
    """Return where tiles are kept and computed, to be entered."""
    if options.ray:
        from backsweep.executors.ray_tiles import ray_tiles

        return ray_tiles(tiling, options.workers, None if options.ray == "local" else options.ray)
    from backsweep.executors.disk_tiles import DiskTiles

    return DiskTiles(Path(options.output).parent, options.memory_mib * 2**20, tiling.tile_bytes)


def _sentences(described: dict[str, Any]) -> str:
    doubtful = "" if described["digits"] >= 3 else "; too few to use: shrink the matrix"
    return (
        f"{described['order']:,} x {described['order']:,}, tiles of {described['tile']:,}, "
        f"{described['seconds']:.1f} s\n"
        f"condition (1-norm)  {described['condition']:.3g}, so about {described['digits']:.0f} digits hold{doubtful}\n"
        f"residual |AX - 1|   {described['residual']:.1e} a column\n"
        f"smallest pivot      {described['smallest_pivot']:.6g}, row {described['smallest_pivot_row']:,}\n"
        f"written             {described['output']}\n"
    )
