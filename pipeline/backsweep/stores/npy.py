"""Arrays as .npy bytes, spelled one way: the same array has the same digest whatever wrote it.

Version 1.0, C order, little endian, header padded to 64 bytes, no pickle. numpy reads them; the header
is written here because numpy's own has changed its padding between versions.
"""

from __future__ import annotations

import functools
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backsweep.errors import CorruptObjectError, InvariantError

__all__ = ["read_npy", "write_npy"]

KINDS = "biufMm"  # booleans, integers, floats, dates and their differences
ALIGNMENT = 64
MAGIC = b"\x93NUMPY\x01\x00"
LONGEST_HEADER = 4_096


def write_npy(array: NDArray[Any]) -> tuple[bytes, memoryview]:
    """Return the header and the data, so that nothing is copied to join them.

    Raises
    ------
    InvariantError : the array holds objects or text.
    """
    if array.dtype.kind not in KINDS:
        raise InvariantError(f"an array of {array.dtype} cannot be stored; only numbers, booleans and dates can")
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
    text = f"{{'descr': '{plain.dtype.str}', 'fortran_order': False, 'shape': {plain.shape}, }}"
    length = len(MAGIC) + 2 + len(text) + 1
    text += " " * (-length % ALIGNMENT) + "\n"
    header = MAGIC + len(text).to_bytes(2, "little") + text.encode("ascii")
    return header, plain.reshape(-1).view(np.uint8).data


def read_npy(data: Any) -> NDArray[Any]:
    """Return the array that lies in a buffer (bytes or a memory map), read-only and not copied.

    Raises
    ------
    CorruptObjectError : the bytes are not an array this module writes.
    """
    length = len(MAGIC) + 2 + int.from_bytes(data[len(MAGIC) : len(MAGIC) + 2], "little")
    try:
        dtype, shape = _parse_header(bytes(data[: min(length, LONGEST_HEADER)]))
        array = np.frombuffer(data, dtype, math.prod(shape), length).reshape(shape)
    except ValueError as error:
        raise CorruptObjectError(f"an object that should be an array is none: {error}") from error
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=256)  # the series of a sweep have one header, and parsing it costs more than the rest
def _parse_header(header: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return what a header says."""
    head = io.BytesIO(header)
    if np.lib.format.read_magic(head) != (1, 0):
        raise ValueError("not version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(head)
    if fortran or dtype.kind not in KINDS:
        raise ValueError(f"an array of {dtype}")
    return dtype, shape
