"""Square matrices in files: .npy read and written in blocks, Parquet by way of a scratch .npy.

A matrix of 50,000 rows is 20 GB, so no file is ever in memory as a whole, not even as a memory map, whose pages would
count as this process's.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import DataError, StoreError

__all__ = ["NpyMatrix", "NpyResult", "SymbolColumn", "open_matrix", "write_parquet"]

_KINDS = "fiu"
_ROWS = 256  # of Parquet rows converted at a time
_SUFFIXES = (".npy", ".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class SymbolColumn:
    """The names of a Parquet matrix's columns.

    Parameters
    ----------
    text_column : the column of text that repeats them, if there is one.
    metadata : what the file says of itself, such as which column pandas takes as the index.
    """

    names: tuple[str, ...]
    text_column: str | None
    metadata: Mapping[bytes, bytes] | None


class NpyMatrix:
    """A square matrix in a .npy file, in C or Fortran order, read by position."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            shape, self._fortran, self._dtype = _read_header(self._file)
        except ValueError as error:
            self._file.close()
            raise DataError(f"{path}: not an .npy file of numbers: {error}") from error
        self._offset = self._file.tell()
        size = os.fstat(self._file.fileno()).st_size - self._offset
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0] or self._dtype.kind not in _KINDS:
            self._file.close()
            raise DataError(f"{path}: holds {self._dtype} of shape {shape}; it must be a square matrix of real numbers")
        self.order = int(shape[0])
        if size < self.order * self.order * self._dtype.itemsize:
            self._file.close()
            raise DataError(f"{path}: ends after {size} bytes of values; a matrix of {self.order} rows has more")

    def __enter__(self) -> NpyMatrix:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, rows: slice, columns: slice) -> Float:
        """Return a block as float64 in C order."""
        if self._fortran:
            return np.array(self._read_lines(columns, rows).T, dtype=np.float64, order="C")
        block: Float = self._read_lines(rows, columns).astype(np.float64, copy=False)
        return block

    def _read_lines(self, lines: slice, within: slice) -> Any:
        """Return parts of the lines that lie one after the other in the file."""
        block = np.empty((lines.stop - lines.start, within.stop - within.start), self._dtype)
        for number, line in enumerate(block):
            start = self._offset + ((lines.start + number) * self.order + within.start) * self._dtype.itemsize
            _move(os.preadv, self._file.fileno(), line, start)
        return block


class NpyResult:
    """A square float64 matrix that becomes a .npy file, whole or not at all: `commit` gives it its name."""

    def __init__(self, path: Path, order: int) -> None:
        self._path = path
        self._order = order
        try:
            self._file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)  # noqa: SIM115
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}; give another output") from error
        header = {"descr": "<f8", "fortran_order": False, "shape": (order, order)}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._file.flush()
        self._offset = self._file.tell()

    def __enter__(self) -> NpyResult:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)

    def write(self, rows: slice, columns: slice, block: Float) -> None:
        """Write a block."""
        plain = np.ascontiguousarray(block, dtype="<f8")
        for number, line in enumerate(plain):
            start = self._offset + ((rows.start + number) * self._order + columns.start) * plain.itemsize
            try:
                _move(os.pwritev, self._file.fileno(), line, start)
            except OSError as error:
                raise StoreError(f"{self._path}: cannot be written: {error.strerror}; free space") from error

    def commit(self) -> None:
        """Give the file its name, over what is there."""
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(self._file.fileno(), 0o666 & ~umask)  # a temporary file is readable by its owner alone
        Path(self._file.name).replace(self._path)


def open_matrix(path: Path, scratch: Path) -> tuple[NpyMatrix, SymbolColumn | None]:
    """Open the square matrix in a .npy or Parquet file.

    Parameters
    ----------
    scratch : a folder in which a Parquet file's values are laid out as .npy (without a name there).

    Returns
    -------
    the matrix, and the names of its columns where the file has them.

    Raises
    ------
    DataError : no such file, not square, not numbers, or a column of names in another order than the columns.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise DataError(f"{path}: the suffix {path.suffix!r} is not one of {', '.join(_SUFFIXES)}")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if path.suffix.lower() == ".npy":
        return NpyMatrix(path), None
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".matrix-") as folder:
        converted = Path(folder) / "matrix.npy"
        symbols = _convert_parquet(path, converted)
        return NpyMatrix(converted), symbols  # an open file outlives its name


def write_parquet(matrix: NpyMatrix, path: Path, symbols: SymbolColumn | None) -> None:
    """Write a matrix as a Parquet file, whole or not at all; columns are named 0, 1, ... where nothing names them."""
    import pyarrow as pa
    from pyarrow import parquet

    named = symbols or SymbolColumn(tuple(str(number) for number in range(matrix.order)), None, None)
    fields = [pa.field(name, pa.float64()) for name in named.names]
    if named.text_column is not None:
        fields.append(pa.field(named.text_column, pa.string()))
    schema = pa.schema(fields, metadata=named.metadata)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with parquet.ParquetWriter(draft, schema, use_dictionary=False) as writer:
            for rows in _strips(matrix.order):
                columns: list[Any] = [pa.array(column) for column in matrix.read(rows, slice(0, matrix.order)).T]
                if named.text_column is not None:
                    columns.append(pa.array(named.names[rows], pa.string()))
                writer.write_batch(pa.record_batch(columns, schema=schema))
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}; give another output") from error
    finally:
        draft.unlink(missing_ok=True)


def _convert_parquet(path: Path, target: Path) -> SymbolColumn:
    """Lay out the values of a Parquet file as .npy, a few rows at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path, pre_buffer=False)  # in this thread, a few rows at a time
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not readable as Parquet: {str(error).splitlines()[0]}") from error
    with file:
        schema = file.schema_arrow
        text = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        values = [field for field in schema if field.name not in text]
        names = tuple(field.name for field in values)
        if len(text) > 1:
            raise DataError(
                f"{path}: columns {text[0]!r} and {text[1]!r} are text; one may repeat the names of the rest"
            )
        for field in values:
            if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
                raise DataError(f"{path}: column {field.name!r} holds {field.type}; it must hold numbers")
        rows = file.metadata.num_rows
        if rows != len(names) or not rows:
            raise DataError(f"{path}: {rows} rows and {len(names)} columns of numbers; the matrix must be square")
        symbols = SymbolColumn(names, text[0] if text else None, schema.metadata)
        with NpyResult(target, rows) as result:
            first = 0
            for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                last = first + batch.num_rows
                block = np.column_stack([_numbers(batch.column(name)) for name in names])
                result.write(slice(first, last), slice(0, rows), block)
                if text:
                    _check_names(path, batch.column(text[0]).to_pylist(), names[first:last], first)
                first = last
            result.commit()
    return symbols


def _numbers(column: Any) -> Float:
    """Return a column's values, NaN where there is none."""
    values: Float = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _check_names(path: Path, found: Sequence[str], expected: Sequence[str], first: int) -> None:
    """Refuse rows that are not in the order of the columns."""
    for number, (row, column) in enumerate(zip(found, expected, strict=True), first):
        if row != column:
            raise DataError(f"{path}: row {number} is named {row!r}, column {number} {column!r}; give both one order")


def _strips(order: int) -> Iterator[slice]:
    """Cut rows into strips."""
    return (slice(start, min(start + _ROWS, order)) for start in range(0, order, _ROWS))


def _read_header(file: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Return shape, order and type of the array in an .npy file, and leave the file at its values."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} is not 1.0 or 2.0")
    shape, fortran, dtype = readers[version](file)
    return shape, fortran, dtype


def _move(move: Any, file: int, line: Any, start: int) -> None:
    """Read or write one stretch of a file, all of it."""
    view = line.view(np.uint8).data
    done = 0
    while done < len(view):
        moved = move(file, [view[done:]], start + done)
        if moved == 0:
            raise DataError("the file ended while it was read; something else has cut it short")
        done += moved
