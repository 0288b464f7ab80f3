"""A folder of Parquet files as one table: checked file by file, named by content, put together again.

Folders may be named key=value, as Hive names them. A key that is called like a date or symbol column becomes that
column; any other (year=2020) only says where a file lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from backsweep.errors import DataError
from backsweep.sources.columns import read_codes, read_dates, read_numbers
from backsweep.sources.files import DATE_NAMES, SYMBOL_NAMES, TableFile, parse_table
from backsweep_api.canonical import digest

__all__ = ["Lakehouse", "Part", "join", "survey", "version_of"]

SUFFIXES = (".parquet", ".pq")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its path below the folder, its content, and the days it covers."""

    path: str
    sha256: str
    size_bytes: int
    rows: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Lakehouse:
    """A folder that is one table.

    Parameters
    ----------
    parts : its files, by path.
    columns : (name, type) of each column, those of the folders' names last.
    symbols : distinct symbols of a long table; the columns of a wide one that are not its date.
    """

    parts: tuple[Part, ...]
    columns: tuple[tuple[str, str], ...]
    is_long: bool
    symbols: int

    @property
    def version(self) -> str:
        """Its content's name; see `version_of`."""
        return version_of((part.path, part.sha256) for part in self.parts)


def version_of(files: Iterable[tuple[str, str]]) -> str:
    """Return the digest of the sorted list of (path, sha256): the same files are the same version anywhere."""
    return digest(sorted([path, sha256] for path, sha256 in files))


def survey(folder: Path) -> Lakehouse:
    """Read every file below `folder` and check that together they are one table.

    Raises
    ------
    DataError
        One sentence that names the file and the column: no Parquet, other columns or types than the first file's, a
        date that is none, a nameless asset, a wide table's cell that is no number.
    """
    parts: list[Part] = []
    columns: dict[str, str] = {}
    symbols: set[str] = set()
    is_long = False
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        data = _read(path)
        file = _open(str(folder), name, data)
        found = {column.name: str(column.type) for column in file.table.schema}
        columns = columns or found
        _compare(str(folder), columns, parts[0].path if parts else name, found, name)
        is_long, dates, held = _check(file)
        symbols.update(held)
        parts.append(Part(name, file.sha256, file.size_bytes, len(dates), str(dates.min()), str(dates.max())))
    return Lakehouse(tuple(parts), tuple(columns.items()), is_long, len(symbols))


def join(source: str, parts: Iterable[tuple[str, bytes]], size_bytes: int, version: str) -> TableFile:
    """Return the table that the files (path, bytes) make, the file with the earliest first day first.

    Raises
    ------
    DataError
        As `survey`.
    """
    tables: list[tuple[Any, str, Any]] = []
    for path, data in parts:
        file = _open(source, path, data)
        tables.append((_dates(file).min(), path, file.table))
    tables.sort(key=lambda each: each[:2])
    first = tables[0][2].schema
    together = pa.concat_tables([table.select(first.names) for _, _, table in tables])
    return TableFile(source, "parquet", version, size_bytes, together)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the tables below a folder, sorted; what engines leave beside them (_SUCCESS, .crc) is passed over."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; name the folder that holds the Parquet files")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    tables = [path for path in found if not any(part[0] in "._" for part in path.relative_to(folder).parts)]
    other = next((path for path in tables if path.suffix.lower() not in SUFFIXES), None)
    if other is not None:
        raise DataError(
            f"{folder}: {other.relative_to(folder)} is no Parquet file by its name; only Parquet files are brought in, "
            "so convert it or move it elsewhere"
        )
    if not tables:
        raise DataError(f"{folder}: there is no Parquet file in it")
    yield from tables


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _open(source: str, name: str, data: bytes) -> TableFile:
    """Return a file's table with the columns that its folders name."""
    file = parse_table(f"{source}/{name}", data, "parquet")
    table = file.table
    for key, value in _partitions(file.source, name):
        if file.find((key.lower(),)) is None:
            table = table.append_column(key, pa.array([value] * table.num_rows, pa.string()))
            continue
        held = read_codes(table[str(file.find((key.lower(),)))])[0]
        if held != [value]:
            raise DataError(
                f'{file.source}: column "{key}" holds {", ".join(held[:3]) or "nothing"}, but the file lies in '
                f"{key}={value}; leave the column out or move the file"
            )
    if not table.num_rows:
        raise DataError(f"{file.source}: it has no rows; leave it out")
    return TableFile(file.source, file.format, file.sha256, file.size_bytes, table)


def _partitions(source: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the folders' keys that are columns, with their values."""
    for part in PurePosixPath(name).parts[:-1]:
        key, separator, value = part.partition("=")
        if separator and key.lower() in (*DATE_NAMES, *SYMBOL_NAMES) and key:
            if value in ("", NO_VALUE):
                raise DataError(f"{source}: the folder {part} names no {key}; give its rows one")
            yield key, unquote(value)


def _compare(folder: str, columns: dict[str, str], first: str, found: dict[str, str], name: str) -> None:
    """Refuse a file whose columns are not those of the first file."""
    for column in [*columns, *found]:
        here, there = found.get(column), columns.get(column)
        if here == there:
            continue
        if here is None:
            raise DataError(f'{folder}: {name} has no column "{column}", which {first} has; all files need the same')
        if there is None:
            raise DataError(f'{folder}: {name} has a column "{column}", which {first} lacks; all files need the same')
        raise DataError(
            f'{folder}: column "{column}" is {here} in {name} and {there} in {first}; write it with one type'
        )


def _dates(file: TableFile) -> Any:
    """Return a file's dates."""
    column = file.find(DATE_NAMES)
    if column is None:
        raise DataError(f'{file.source}: there is no date column; name it "date" (found {file.found})')
    return read_dates(file.source, column, file.table[column])


def _check(file: TableFile) -> tuple[bool, Any, list[str]]:
    """Return whether a file is long, its dates, and its symbols, all of them read."""
    dates = _dates(file)
    symbol = file.find(SYMBOL_NAMES)
    if symbol is None:
        names = [name for name in file.table.column_names if name != file.find(DATE_NAMES)]
        for name in names:
            read_numbers(file.source, name, file.table[name], dates)
        return False, dates, names
    texts, codes = read_codes(file.table[symbol])
    if (codes < 0).any() or not all(text.strip() for text in texts):
        raise DataError(f'{file.source}: column "{symbol}" is empty in some row; name the asset of every row')
    return True, dates, [text.strip() for text in texts]
