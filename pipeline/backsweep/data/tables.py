"""What the sources hand over, before anything is checked: plain columns of dates, symbols and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from backsweep.arrays import Boolean, Dates, Float

__all__ = ["Calendar", "DataOptions", "Kind", "MembershipTable", "Missing", "PriceTable"]

Kind = Literal["prices", "returns"]
Calendar = Literal["weekdays", "all"]
Missing = Literal["error", "drop", "fill"]


@dataclass(frozen=True, slots=True, eq=False)
class PriceTable:
    """A wide table of prices, or of returns, as it was read.

    Parameters
    ----------
    source : what the user called it (a path, a bundled name); every error begins with it.
    dates : (R,) datetime64[D], in the order of the file.
    symbols : N column names, in the order of the file.
    values : (R, N) float64, NaN where the file has nothing.
    """

    source: str
    dates: Dates
    symbols: tuple[str, ...]
    values: Float


@dataclass(frozen=True, slots=True, eq=False)
class MembershipTable:
    """Snapshots of a universe: on each date that occurs, the list of all its members.

    A snapshot holds from its own date until the day before the next snapshot.

    Parameters
    ----------
    source : what the user called it.
    dates : (M,) datetime64[D], of each row.
    symbols : the symbol of each row.
    member : (M,) bool, False where the row says that the symbol is not a member.
    """

    source: str
    dates: Dates
    symbols: tuple[str, ...]
    member: Boolean


@dataclass(frozen=True, slots=True, eq=False)
class DataOptions:
    """How a table becomes a data set; each field is the one of the same name in `spec.data`.

    Parameters
    ----------
    kind : what the values are.
    start, end : first and last date read, both included; None reads from the first, to the last row.
    calendar : `weekdays` samples on Monday to Friday, `all` keeps every row; None is allowed only
        where all columns keep one calendar.
    missing : what to do about a gap, a row without a price between two prices of a column.
    delisting_return : simple return, as a fraction, on the row after a column's last price.
    risk_free : annual simple rate, as a fraction.
    benchmark : symbols that stay in the arrays but can never be held.
    periods : rows a year; None infers it from the dates.
    membership : None makes every symbol a member on every row.
    """

    kind: Kind = "prices"
    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    calendar: Calendar | None = None
    missing: Missing = "error"
    delisting_return: float = 0.0
    risk_free: float = 0.0
    benchmark: tuple[str, ...] = ()
    periods: int | None = None
    membership: MembershipTable | None = None
