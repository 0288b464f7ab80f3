"""The tables of a run folder, as Parquet: written row group by row group, so that memory does not grow with trials."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backsweep.arrays import Boolean, Dates, Float, Integer
from backsweep_api.canonical import canonical_json

__all__ = [
    "PYARROW_VERSION",
    "columns_of_bytes",
    "columns_of_trials",
    "read_columns",
    "trials_bytes",
    "write_returns",
    "write_weights",
]

ROWS_PER_GROUP = 4096
PYARROW_VERSION: str = pa.__version__  # what the bytes of a table depend on besides its values


def trials_bytes(columns: Mapping[str, Any]) -> bytes:
    """Return trials.parquet: one row a trial, NaN as null, values of axes that are not numbers or words as JSON."""
    arrays = {name: _column(values) for name, values in columns.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd", use_dictionary=True)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]  # pyarrow has no types


def write_returns(path: Path, dates: Dates, series: Mapping[str, Float]) -> None:
    """Write returns.parquet: index date, one float64 column a trial id.

    Parameters
    ----------
    dates : (T,) datetime64[D].
    series : trial id -> (T,) net returns, memory maps as they come from the store.
    """
    schema = _frame_schema(tuple(series))
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_statistics=False) as writer:
        for start in range(0, len(dates), ROWS_PER_GROUP):
            stop = min(start + ROWS_PER_GROUP, len(dates))
            columns = [_numbers(dates[start:stop])]
            columns += [_from_buffers(pa.float64(), values[start:stop], None) for values in series.values()]
            writer.write_table(pa.table(columns, schema=schema))


def write_weights(path: Path, dates: Dates, symbols: Sequence[str], values: Float) -> None:
    """Write weights/<solve id>.parquet: index = date of each window's first test row, one column an asset.

    Parameters
    ----------
    dates : (K,) datetime64[D].
    values : (K, N) float64; a failed window is all NaN.
    """
    columns = [_numbers(dates)]
    columns += [_from_buffers(pa.float64(), values[:, asset], None) for asset in range(len(symbols))]
    table = pa.table(columns, schema=_frame_schema(tuple(symbols)))
    pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)


def read_columns(path: Path) -> Iterator[tuple[str, Float]]:
    """Yield the name and values of each column of a table of this module, without its index `date`."""
    file = pq.ParquetFile(path, pre_buffer=False)
    for name in file.schema_arrow.names:
        if name != "date":
            yield name, file.read(columns=[name], use_threads=False).column(name).to_numpy()


def columns_of_bytes(data: bytes, names: Sequence[str]) -> dict[str, Float]:
    """Return float64 columns of a table that `trials_bytes` made; null is NaN."""
    table = _read(data, names)
    return {name: table.column(name).to_numpy() for name in names}


def columns_of_trials(data: bytes) -> dict[str, Any]:
    """Return all columns of a table that `trials_bytes` made: metrics as float64, null as NaN, all others as lists."""
    table = _read(data)
    first = table.column_names.index("failed_windows")
    return {
        name: column.to_numpy() if place > first and pa.types.is_floating(column.type) else column.to_pylist()
        for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True))
    }


def _read(data: bytes, names: Sequence[str] | None = None) -> pa.Table:
    """Return the named columns of a table, or all.

    In this thread: Arrow's own are now and then still there when the process ends, and abort it.
    """
    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    return file.read(None if names is None else list(names), use_threads=False)


@functools.lru_cache(maxsize=4)  # hundreds of weight tables have the same columns
def _frame_schema(names: tuple[str, ...]) -> pa.Schema:
    """Return a schema that pandas reads as a frame with the index `date`."""
    fields = [("date", pa.timestamp("ms")), *((name, pa.float64()) for name in names)]
    described = {
        "index_columns": ["date"],
        "column_indexes": [],
        "columns": [_described("date", "datetime", "datetime64[ms]")]
        + [_described(name, "float64", "float64") for name in names],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "3.0.0",
    }
    return pa.schema(fields, metadata={"pandas": json.dumps(described)})


def _described(name: str, kind: str, numpy_type: str) -> dict[str, Any]:
    return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy_type, "metadata": None}


def _column(values: Any) -> pa.Array:
    """Return a column; built from buffers, because `pa.array` imports pandas to ask whether it was given a Series."""
    if isinstance(values, np.ndarray):
        return _numbers(values)
    plain = [canonical_json(value).decode() if isinstance(value, dict | list) else value for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {int}:
        known = np.array([value is not None for value in plain])
        return _from_buffers(pa.int64(), np.array([value or 0 for value in plain], dtype=np.int64), known)
    if kinds and kinds <= {int, float}:
        return _numbers(np.array([np.nan if value is None else value for value in plain], dtype=np.float64))
    if kinds == {bool}:
        plain = [None if value is None else str(value).lower() for value in plain]
    elif len(kinds) > 1:  # "hrp" beside {"name": "hrp", ...} is text by now; numbers beside text become JSON
        plain = [None if value is None else canonical_json(value).decode() for value in plain]
    return _texts(plain)


def _numbers(values: Float | Integer | Dates) -> pa.Array:
    """Return a numeric column; NaN is null."""
    if values.dtype.kind == "M":
        return _from_buffers(pa.timestamp("ms"), values.astype("datetime64[ms]").view(np.int64), None)
    if values.dtype == np.int64:
        return _from_buffers(pa.int64(), values, None)
    known = ~np.isnan(values)
    return _from_buffers(pa.float64(), values, None if known.all() else known)


def _texts(values: Sequence[str | None]) -> pa.Array:
    """Return a column of text; None is null."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    known = np.array([value is not None for value in values], dtype=np.bool_)
    buffers = [_bitmap(known), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def _from_buffers(kind: pa.DataType, values: np.ndarray[Any, Any], known: Boolean | None) -> pa.Array:
    buffers = [None if known is None else _bitmap(known), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _bitmap(known: Boolean) -> pa.Buffer:
    return pa.py_buffer(np.packbits(known, bitorder="little"))
