"""What a data vendor would deliver: one file an asset, most as CSV, some as Parquet. Usage: deliver.py RAW."""

from __future__ import annotations

import csv
import sys
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

AS_PARQUET = ("XOM", "WMT")


def main(raw: Path) -> None:
    """Write the bundled prices as files of a vendor."""
    table = pq.read_table(str(files("backsweep.sources").joinpath("bundled/sp500-20.parquet")))
    raw.mkdir(parents=True)
    for symbol in table.column_names[1:]:
        prices = pa.table({"date": table["date"], "close": table[symbol]})
        if symbol in AS_PARQUET:
            pq.write_table(prices, raw / f"{symbol}.parquet")
            continue
        with (raw / f"{symbol}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["date", "close"])
            rows.writerows(zip(*(column.to_pylist() for column in prices.columns), strict=True))
    sys.stdout.write(f"{table.num_columns - 1} assets delivered\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
