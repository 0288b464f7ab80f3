"""Tiles in bounded memory: what has not been used for longest goes to a scratch file and is read back when needed.

Tiles never change, so each is written at most once. The file has no name (it vanishes with the process, however that
ends) and slots of one tile each, which are used again when a tile is released.
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from backsweep.arrays import Float, read_only
from backsweep.errors import StoreError, TransientError, UserError
from backsweep.linalg.tiles import Handle, Kernel

__all__ = ["DiskTiles"]

LEAST_TILES = 4


class DiskTiles:
    """Runs each kernel when it is submitted; keeps at most `memory_bytes` of tiles between kernels.

    While a kernel runs, its inputs and what it makes are in memory as well: with 1 + 1 + 8 inputs, a result and a
    copy made by LAPACK at most 12 tiles more.

    Parameters
    ----------
    folder : where the scratch file lies; needs `Tiling.stored_bytes` and one row of tiles of space at most.
    memory_bytes : at least four tiles.
    tile_bytes : of the largest tile, `Tiling.tile_bytes`.
    """

    def __init__(self, folder: Path, memory_bytes: int, tile_bytes: int) -> None:
        if memory_bytes < LEAST_TILES * tile_bytes:
            raise UserError(
                f"{memory_bytes / 2**20:g} MiB for tiles of {tile_bytes / 2**20:g} MiB is too little: give at least "
                f"{LEAST_TILES * tile_bytes / 2**20:g} MiB, or smaller tiles"
            )
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # closed by __exit__
        except OSError as error:
            raise StoreError(
                f"no scratch file can be made in {folder}: {error.strerror}; give another folder"
            ) from error
        self._memory_bytes = memory_bytes
        self._tile_bytes = tile_bytes
        self._kept: OrderedDict[Handle, Float] = OrderedDict()
        self._kept_bytes = 0
        self._slots: dict[Handle, int] = {}
        self._free: list[int] = []
        self._slots_made = 0

    def __enter__(self) -> DiskTiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.clear()
        self._file.close()

    @property
    def scratch_bytes(self) -> int:
        """Size of the scratch file."""
        return self._slots_made * self._tile_bytes

    def put(self, tile: Float) -> Handle:
        """Take a tile into keeping."""
        handle = Handle(tile.shape)
        self._keep(handle, read_only(tile))
        return handle

    def submit(self, kernel: Kernel, *tiles: Handle, **constants: Any) -> Handle:
        """Run the kernel now."""
        return self.put(kernel(*[self.get(tile) for tile in tiles], **constants))

    def get(self, tile: Handle) -> Float:
        """Return a tile, from the scratch file if it is there."""
        found = self._kept.get(tile)
        if found is not None:
            self._kept.move_to_end(tile)
            return found
        found = np.empty(tile.content)
        self._transfer(os.preadv, found, self._slots[tile])
        found = read_only(found)
        self._keep(tile, found)
        return found

    def release(self, tile: Handle) -> None:
        """Forget a tile and free its slot."""
        kept = self._kept.pop(tile, None)
        self._kept_bytes -= kept.nbytes if kept is not None else 0
        slot = self._slots.pop(tile, None)
        if slot is not None:
            self._free.append(slot)

    def _keep(self, handle: Handle, tile: Float) -> None:
        """Keep a tile in memory and put out what is too much."""
        self._kept[handle] = tile
        self._kept_bytes += tile.nbytes
        while self._kept_bytes > self._memory_bytes:
            oldest, out = self._kept.popitem(last=False)
            self._kept_bytes -= out.nbytes
            if oldest not in self._slots:
                if not self._free:
                    self._free.append(self._slots_made)
                    self._slots_made += 1
                self._slots[oldest] = self._free.pop()
                self._transfer(os.pwritev, out, self._slots[oldest])

    def _transfer(self, move: Any, tile: Float, slot: int) -> None:
        """Read or write a whole slot."""
        view = np.ascontiguousarray(tile).reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            try:
                moved = move(self._file.fileno(), [view[done:]], slot * self._tile_bytes + done)
            except OSError as error:
                raise TransientError(
                    f"the scratch file failed: {error.strerror}; free space or give another folder",
                    retry_after_seconds=30.0,
                ) from error
            if moved == 0:
                raise TransientError("the scratch file ended early; something else has cut it short")
            done += moved
