"""A table's file: where its URI points, its bytes, and the Arrow table in them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from backsweep.errors import DataError, NotBuiltError

__all__ = ["DATE_NAMES", "SYMBOL_NAMES", "TableFile", "open_table", "parse_table"]

# Columns read as text whatever they look like: a date must not be guessed at, and "NA" is a ticker.
DATE_NAMES = ("date", "datetime", "timestamp", "__index_level_0__", "")
SYMBOL_NAMES = ("symbol", "ticker", "asset")
_TEXT_NAMES = (*DATE_NAMES, *SYMBOL_NAMES)

_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_BLOCK_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """A file as it was read.

    Parameters
    ----------
    source : the URI as the user wrote it; errors begin with it.
    format : csv or parquet.
    sha256 : hex, of the file's bytes.
    size_bytes : of the file.
    table : the pyarrow Table in it, column names without surrounding blanks.
    """

    source: str
    format: str
    sha256: str
    size_bytes: int
    table: Any

    def find(self, names: Sequence[str]) -> str | None:
        """Return the table's first column whose name is one of `names` (lower case), or None."""
        for name in self.table.column_names:
            if name.lower() in names:
                return str(name)
        return None

    @property
    def found(self) -> str:
        """The column names, spelled for a sentence."""
        names = [f'"{name}"' for name in self.table.column_names]
        return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def open_table(uri: str, folder: Path, format: str | None = None) -> TableFile:
    """Read the CSV or Parquet file that `uri` names, all of it, once.

    Parameters
    ----------
    uri : a path or a file:// URI; a relative one starts at `folder`.
    format : csv or parquet; None goes by the suffix.

    Raises
    ------
    DataError
        No such file, no such format, unreadable content, repeated column names.
    NotBuiltError
        Any other scheme than file://.
    """
    path = _locate(uri, folder)
    format = _format_of(uri, format)
    return parse_table(uri, _read_bytes(uri, path), format)


def parse_table(uri: str, data: bytes, format: str | None = None) -> TableFile:
    """Return the table in a file's bytes, wherever they were read.

    Parameters
    ----------
    uri : where they were; errors begin with it.
    format : csv or parquet; None goes by the suffix of `uri`.

    Raises
    ------
    DataError
        No such format, unreadable content, repeated column names.
    """
    format = _format_of(uri, format)
    try:
        table = _read_csv(uri, data) if format == "csv" else _read_parquet(data)
    except pa.ArrowException as error:
        first_line = str(error).strip().splitlines()[0]
        raise DataError(f"{uri}: not readable as {format}: {first_line}") from error
    names = [name.strip() for name in table.column_names]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f'{uri}: column "{name}" occurs more than once; give each column its own name')
    return TableFile(uri, format, hashlib.sha256(data).hexdigest(), len(data), table.rename_columns(names))


def _format_of(uri: str, format: str | None) -> str:
    """Return the format that is given, or else the one of the suffix."""
    suffix = PurePosixPath(uri).suffix
    known = _SUFFIXES.get(suffix.lower()) if format is None else format
    if known is None:
        raise DataError(f"{uri}: the format cannot be told from the suffix {suffix!r}; write format: csv or parquet")
    if known not in ("csv", "parquet"):
        raise DataError(f"{uri}: data.format is {known!r}; write csv or parquet")
    return known


def _locate(uri: str, folder: Path) -> Path:
    """Return the path that a URI names."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return folder / uri
    if scheme.lower() != "file":
        raise NotBuiltError(f"{uri}: this release reads no tables from {scheme}://; copy the file here")
    return folder / unquote(rest)


def _read_bytes(uri: str, path: Path) -> bytes:
    """Return a file's bytes, or say why there are none."""
    if path.is_dir():
        raise DataError(
            f"{uri}: {path} is a folder; name the file in it, or bring it to the store: backsweep data import"
        )
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        close = get_close_matches(path.name, sorted(beside), n=1)
        hint = f'; there is "{close[0]}"' if close else ""
        raise DataError(f"{uri}: there is no file {path}{hint}") from error
    except OSError as error:
        raise DataError(f"{uri}: {path} cannot be read: {error.strerror}") from error


def _read_csv(uri: str, data: bytes) -> Any:
    """Parse a CSV file; the header says which columns stay text."""
    head, _, _ = data.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    try:
        names = next(csv.reader(io.StringIO(head.decode().rstrip("\r"))), [])
    except UnicodeDecodeError as error:
        raise DataError(f"{uri}: the header is not UTF-8 text; save the file as UTF-8") from error
    if len(names) < 2:
        raise DataError(
            f"{uri}: the first line has {len(names)} column(s) ({head[:60].decode(errors='replace').strip()!r}); "
            "it must name the columns, separated by commas"
        )
    text = {name: pa.string() for name in names if name.strip().lower() in _TEXT_NAMES}

    ragged: list[Any] = []  # Arrow swallows what its handler raises

    def keep_ragged(row: Any) -> str:
        ragged.append(row)
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.py_buffer(data),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, column_names=names, skip_rows=1
        ),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=keep_ragged),
        convert_options=pyarrow.csv.ConvertOptions(column_types=text),
    )
    if ragged:
        row = ragged[0]
        raise DataError(
            f"{uri}: line {row.number} has {row.actual_columns} cells where the header names {row.expected_columns} "
            f"columns: {row.text[:60]}"
        )
    return table


def _read_parquet(data: bytes) -> Any:
    """Parse a Parquet file, without the pandas metadata in it."""
    with pyarrow.parquet.ParquetFile(pa.BufferReader(data)) as file:
        return file.read(use_threads=False, use_pandas_metadata=False)
