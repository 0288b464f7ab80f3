"""Chooses the assets of the sweep: those with prices on nearly all days, and of them the most liquid ones."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def select(lake: str, prices: str, since: str, min_coverage: float, most_assets: int) -> None:
    """Write the prices of the chosen assets as one wide table.

    Liquidity is measured without volumes: by the share of days on which the price did not move (Lesmond, Ogden and
    Trzcinka 1999); the fewer, the more liquid.
    """
    table = ds.dataset(lake, partitioning="hive").to_table().filter(pc.field("date") >= pa.scalar(since).cast("date32"))
    days = sorted(set(table["date"].to_pylist()))
    still: dict[str, float] = {}
    columns: dict[str, dict[object, float]] = {}
    for symbol in sorted(set(table["symbol"].to_pylist())):
        rows = table.filter(pc.field("symbol") == symbol).sort_by("date")
        closes = rows["close"].to_pylist()
        if len(closes) < min_coverage * len(days):
            sys.stdout.write(f"{symbol}: prices on {len(closes)} of {len(days)} days are too few\n")
            continue
        columns[symbol] = dict(zip(rows["date"].to_pylist(), closes, strict=True))
        still[symbol] = sum(a == b for a, b in pairwise(closes)) / len(closes)
    if not columns:
        sys.exit(f"no asset has prices on {min_coverage:.0%} of the days")
    chosen = sorted(sorted(still, key=lambda symbol: (still[symbol], symbol))[:most_assets])
    for symbol in chosen:
        sys.stdout.write(f"{symbol}: {still[symbol]:.1%} of the days without a move\n")
    wide = {symbol: [columns[symbol].get(day) for day in days] for symbol in chosen}
    pq.write_table(pa.table({"date": pa.array(days, pa.date32()), **wide}), prices)


def main(lake: Path, prices: Path) -> None:
    """Choose as the team always did."""
    select(str(lake), str(prices), "2000-01-03", 0.99, 12)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
