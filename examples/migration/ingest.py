"""Brings the scanned files into one clean lakehouse of Parquet. Usage: ingest.py RAW REPORT LAKE."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

SCHEMA = pa.schema({"date": pa.date32(), "close": pa.float64()})


def main(raw: Path, report: Path, lake: Path) -> None:
    """Write one folder an asset, symbol=AAPL say."""
    for found in json.loads(report.read_text(encoding="utf-8")):
        path = raw / found["file"]
        table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
        folder = lake / f"symbol={found['symbol']}"
        folder.mkdir(parents=True)
        pq.write_table(table.cast(SCHEMA).drop_null(), folder / "prices.parquet")
        sys.stdout.write(f"{found['symbol']}: {table.num_rows} rows\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
