"""Arrow columns to numpy, strictly: what is not a date or a number is named, never guessed at.

The values are taken from Arrow's buffers because `to_numpy` imports pandas, which costs 0.4 s;
`combine_chunks` copies them, so a buffer begins with the column's first value.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from backsweep.arrays import Dates, Float, Integer
from backsweep.errors import DataError

__all__ = ["read_codes", "read_dates", "read_numbers"]

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})?")
_COMPACT = re.compile(r"\d{8}")
_EMPTY = {"", "na", "n/a", "nan", "null", "none", "#n/a"}


def read_numbers(source: str, name: str, column: Any, dates: Dates) -> Float:
    """Return a column as (R,) float64, NaN where it is empty.

    Raises
    ------
    DataError
        Naming the column, the date of the first cell that is not a number, and the cell.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        _refuse_text(source, name, column, dates)
    array = column.cast(pa.float64()).combine_chunks()
    values = np.frombuffer(array.buffers()[1], dtype=np.float64, count=len(array))
    return np.where(_validity(array), values, np.nan)


def read_dates(source: str, name: str, column: Any) -> Dates:
    """Return a column as (R,) datetime64[D]; a time of day is cut off, as written in its own zone.

    Text must be ISO 8601 (1990-01-02, with or without a time) or eight digits (19900102): a date
    such as 02/01/1990 means two days and is refused.

    Raises
    ------
    DataError
        Naming the column, the first row that is no date, and what it holds.
    """
    if column.null_count:
        row = int(np.argmin(_validity(column.combine_chunks())))
        raise DataError(f'{source}: column "{name}" has no date in row {row + 1}; give every row its date')
    kind = column.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        days = column.cast(pa.date32()).combine_chunks()
        numbers = np.frombuffer(days.buffers()[1], dtype=np.int32, count=len(days))
        return np.asarray(numbers.astype("datetime64[D]"))
    if pa.types.is_null(kind):
        return np.empty(0, dtype="datetime64[D]")
    texts, codes = read_codes(column)
    parsed = np.empty(len(texts), dtype="datetime64[D]")
    for position, text in enumerate(texts):
        date = _parse_date(text)
        if date is None:
            row = int(np.argmax(codes == position))
            raise DataError(
                f'{source}: column "{name}" holds "{text}" in row {row + 1}, which is not a date; '
                "write dates as 1990-01-02"
            )
        parsed[position] = date
    return np.asarray(parsed[codes])


def read_codes(column: Any) -> tuple[list[str], Integer]:
    """Return the distinct values of a column as text, and (R,) which of them each row holds; -1 for none."""
    encoded = column.cast(pa.string()).dictionary_encode().combine_chunks()
    indices = encoded.indices.cast(pa.int64())
    codes = np.frombuffer(indices.buffers()[1], dtype=np.int64, count=len(indices))
    return encoded.dictionary.to_pylist(), np.where(_validity(indices), codes, -1)


def _parse_date(text: str) -> np.datetime64 | None:
    """Return the date that a text spells, or None."""
    text = text.strip()
    if _COMPACT.fullmatch(text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    elif not _ISO.fullmatch(text):
        return None
    try:
        return np.datetime64(text[:10], "D")
    except ValueError:
        return None


def _validity(array: Any) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return (R,) True where an Arrow array has a value."""
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), dtype=bool)
    flags = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    return flags[: len(array)].astype(bool)


def _refuse_text(source: str, name: str, column: Any, dates: Dates) -> NoReturn:
    """Name the first cell of a column that is not a number."""
    for row, cell in enumerate(column.to_pylist()):
        text = "" if cell is None else str(cell)
        if text.strip().lower() in _EMPTY:
            continue
        if isinstance(cell, str) and _is_number(text):
            continue
        raise DataError(
            f'{source}: column "{name}" holds "{text}" on {dates[row]} (row {row + 1}), which is not a number'
        )
    raise DataError(f'{source}: column "{name}" is of type {column.type}, not a number; store it as float64')


def _is_number(text: str) -> bool:
    """Whether a cell spells a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
