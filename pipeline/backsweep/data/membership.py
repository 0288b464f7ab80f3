"""Point-in-time universes: who may be held on each row, from dated snapshots and nothing later."""

from __future__ import annotations

import numpy as np

from backsweep.arrays import Boolean, Dates
from backsweep.data.checks import listed_names
from backsweep.data.tables import MembershipTable
from backsweep.errors import DataError

__all__ = ["member_rows"]


def member_rows(table: MembershipTable, dates: Dates, symbols: tuple[str, ...]) -> Boolean:
    """Return (T, N) membership at the close of each row.

    A row is governed by the newest snapshot dated on or before it; before the first snapshot nobody
    is a member. Nothing dated after a row changes it.

    Raises
    ------
    DataError
        An empty table, a symbol listed twice in one snapshot, a member that is not in the data, or
        no member on any row.
    """
    if len(table.dates) == 0:
        raise DataError(f"{table.source}: the membership table has no rows")
    _refuse_repeats(table)
    snapshots, of_row = np.unique(table.dates, return_inverse=True)
    governing = np.searchsorted(snapshots, dates, side="right") - 1
    columns = {symbol: column for column, symbol in enumerate(symbols)}
    in_force = np.zeros(len(snapshots), dtype=bool)
    in_force[governing[governing >= 0]] = True
    members = np.zeros((len(snapshots), len(symbols)), dtype=bool)
    for row in np.argsort(of_row, kind="stable"):
        column = columns.get(table.symbols[row])
        if column is not None:
            members[of_row[row], column] = table.member[row]
        elif table.member[row] and in_force[of_row[row]]:
            raise DataError(
                f'{table.source}: "{table.symbols[row]}" is a member from {table.dates[row]} but is not a '
                f"column of the data (its columns are {listed_names(symbols)}); add its prices, or the test "
                "would only hold those that survived"
            )
    rows = np.where((governing >= 0)[:, None], members[governing], False)
    if not rows.any():
        raise DataError(
            f"{table.source}: no symbol of the data is a member on any row from {dates[0]} to {dates[-1]} "
            f"(snapshots from {snapshots[0]} to {snapshots[-1]})"
        )
    return np.asarray(rows)


def _refuse_repeats(table: MembershipTable) -> None:
    """Refuse a symbol that one snapshot lists twice."""
    seen: set[tuple[int, str]] = set()
    for day, symbol in zip(table.dates.astype(np.int64).tolist(), table.symbols, strict=True):
        if (day, symbol) in seen:
            date = np.datetime64(day, "D")
            raise DataError(f'{table.source}: "{symbol}" occurs twice on {date}; list each member once a date')
        seen.add((day, symbol))
