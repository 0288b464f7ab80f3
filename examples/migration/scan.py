"""Lists the vendor's files and checks each of them. Usage: scan.py RAW REPORT."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq


def look_at(path: Path) -> dict[str, Any]:
    """Return what a file holds, or end with a sentence."""
    try:
        table = pq.read_table(path) if path.suffix == ".parquet" else pyarrow.csv.read_csv(path)
    except Exception as error:
        sys.exit(f"{path.name}: cannot be read: {error}")
    if table.column_names != ["date", "close"]:
        sys.exit(f"{path.name}: has the columns {table.column_names}; date and close are expected")
    dates = table["date"].to_pylist()
    if dates != sorted(set(dates)):
        sys.exit(f"{path.name}: a date stands twice, or the dates are not sorted")
    if any(price is not None and price <= 0 for price in table["close"].to_pylist()):
        sys.exit(f"{path.name}: a price is zero or less")
    found = {"file": path.name, "symbol": path.stem, "rows": table.num_rows}
    return {**found, "first": str(dates[0]), "last": str(dates[-1])}


def main(raw: Path, report: Path) -> None:
    """Write the report."""
    found = [look_at(path) for path in sorted(raw.iterdir())]
    report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} files are in order\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
