"""Square matrices in square tiles, and the port through which tiles are computed.

A kernel is a function of this package at module level: it takes arrays that it must not write to, and plain
constants by keyword, and returns one new array. So a task graph of kernels means the same thing wherever the tiles
lie: in this process, in a scratch file, in Ray's object store. Nothing but the graph decides the order in which
numbers are added, hence the same bytes from every executor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from backsweep.arrays import Float, read_only
from backsweep.errors import UserError

__all__ = ["DEFAULT_TILE", "Handle", "Kernel", "SerialTiles", "TileExecutor", "Tiling"]

DEFAULT_TILE = 1024  # 8 MiB: large enough for LAPACK's speed, small enough that a dozen of them are little memory

Kernel = Callable[..., Float]


class Handle:
    """What an executor gives for a tile; the content is the executor's own business."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class TileExecutor(Protocol):
    """Keeps tiles and runs kernels on them, at once or later, here or elsewhere."""

    def put(self, tile: Float) -> Handle:
        """Take a tile into keeping; the caller does not write to it any more."""

    def submit(self, kernel: Kernel, *tiles: Handle, **constants: Any) -> Handle:
        """Return the handle of what the kernel makes of the tiles; may wait while too much is under way."""

    def get(self, tile: Handle) -> Float:
        """Return a tile, read-only; raises what its kernel, or one before it, raised."""

    def release(self, tile: Handle) -> None:
        """Forget a tile: nothing that is submitted after this may name it."""


class SerialTiles:
    """Runs each kernel when it is submitted and keeps all tiles in this process's memory."""

    def __init__(self) -> None:
        self.kept_bytes = 0
        self.peak_bytes = 0

    def put(self, tile: Float) -> Handle:
        """Take a tile into keeping."""
        self.kept_bytes += tile.nbytes
        self.peak_bytes = max(self.peak_bytes, self.kept_bytes)
        return Handle(read_only(tile))

    def submit(self, kernel: Kernel, *tiles: Handle, **constants: Any) -> Handle:
        """Run the kernel now."""
        return self.put(kernel(*(tile.content for tile in tiles), **constants))

    def get(self, tile: Handle) -> Float:
        """Return a tile."""
        content: Float = tile.content
        return content

    def release(self, tile: Handle) -> None:
        """Forget a tile."""
        self.kept_bytes -= tile.content.nbytes
        tile.content = None


@dataclass(frozen=True, slots=True)
class Tiling:
    """How an (N, N) matrix is cut: `count` by `count` tiles of `tile` rows, the last ones smaller.

    Parameters
    ----------
    order : N, at least 1.
    tile : rows of a tile, at least 1.
    """

    order: int
    tile: int

    def __post_init__(self) -> None:
        if self.order < 1:
            raise UserError(f"the matrix has {self.order} rows; it must have at least 1")
        if self.tile < 1:
            raise UserError(f"a tile of {self.tile} rows is none; give at least 1, such as {DEFAULT_TILE}")

    @property
    def count(self) -> int:
        """Tiles in a row of tiles."""
        return -(-self.order // self.tile)

    def span(self, index: int) -> slice:
        """Return the rows (or columns) of the matrix that tile row `index` covers."""
        return slice(index * self.tile, min((index + 1) * self.tile, self.order))

    @property
    def tile_bytes(self) -> int:
        """Bytes of one whole tile of float64."""
        rows = min(self.tile, self.order)
        return rows * rows * np.dtype(np.float64).itemsize

    def stored_bytes(self, in_flight: int = 1) -> int:
        """Return the most bytes of tiles that an executor keeps at once during a factorisation or an inverse.

        The lower triangle is `count (count + 1) / 2` tiles. One more row or column of tiles is there while its
        successor is computed, each task in flight holds an accumulator, a result and a tile nobody else needs, and
        the pivots wait to be fetched. A solve of M columns keeps the triangle and its right sides.
        """
        triangle = self.count * (self.count + 1) // 2
        pivots_bytes = self.order * np.dtype(np.float64).itemsize
        return (triangle + self.count + 3 * in_flight) * self.tile_bytes + pivots_bytes
