"""The arrays that travel between the stages: frozen, read-only, numpy only.

Shapes by name: T rows of the simulation's calendar, E rows of the estimators' calendar, N assets,
K windows, B windows of one batch, L training rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backsweep.errors import InvariantError

Float = NDArray[np.float64]
Integer = NDArray[np.int64]
Boolean = NDArray[np.bool_]
Dates = NDArray[np.datetime64]

__all__ = [
    "Boolean",
    "Dates",
    "FeatureTable",
    "Float",
    "Integer",
    "Returns",
    "Weights",
    "Windows",
    "read_only",
]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of `array` that cannot be written to (what Ray hands a worker, too)."""
    view = array.view()
    view.flags.writeable = False
    return view


class _Frozen:
    """Make every array field of a frozen dataclass read-only when it is built."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, field.name, read_only(value))
        self.check()

    def check(self) -> None:
        """Raise `InvariantError` when shapes do not fit together."""


@dataclass(frozen=True, slots=True, eq=False)
class Returns(_Frozen):
    """One data set, resolved: what the simulation earns and what the estimators may see.

    The two differ where an asset has no price. The simulation values it at its last price (a row
    return of 0, the whole move on the row it is priced again, `delistingReturn` on the row after
    its last price, 0 after that); the estimators never see such filled rows (NaN).

    Parameters
    ----------
    dates : (T,) datetime64[D], strictly increasing; the row of a return is that of its later price.
    symbols : N distinct names, in column order.
    simulation : (T, N) float64, simple returns as fractions, no NaN, above or equal to -1.
    tradable : (T, N) bool, True where the asset is priced on the row and can be traded at its close.
    estimation : (E, N) float64, simple returns from one estimator row to the next; NaN where either
        of the two prices is missing.
    estimation_rows : (E,) int64, strictly increasing: the row of `dates` each estimator row falls on.
        One calendar: 0 .. T-1.
    delisted_row : (N,) int64, the row on which the asset's delisting return falls (the row after its
        last price); from that row on it is cash. T where it is priced to the end.
    member : (T, N) bool, True where the asset may be held when deciding at the close of that row.
        All True without a membership table; benchmark symbols are False (they are not investable).
    benchmark : (M,) int64, columns of `data.benchmark`'s symbols; empty when none is given.
    risk_free : (T,) float64, the riskless return of each row, as a fraction a row.
    periods : rows a year: 365, 252, 52 or 12, or as the document says.
    digest : sha256 hex of everything above: the content's name.
    """

    dates: Dates
    symbols: tuple[str, ...]
    simulation: Float
    tradable: Boolean
    estimation: Float
    estimation_rows: Integer
    delisted_row: Integer
    member: Boolean
    benchmark: Integer
    risk_free: Float
    periods: int
    digest: str

    def check(self) -> None:
        """Raise `InvariantError` when shapes do not fit together."""
        rows, assets = self.simulation.shape
        fits = (
            self.dates.shape == (rows,)
            and len(self.symbols) == assets
            and self.tradable.shape == (rows, assets)
            and self.estimation.shape == (len(self.estimation_rows), assets)
            and self.delisted_row.shape == (assets,)
            and self.member.shape == (rows, assets)
            and self.risk_free.shape == (rows,)
        )
        if not fits:
            raise InvariantError(f"the arrays of a Returns of shape {self.simulation.shape} do not fit together")


@dataclass(frozen=True, slots=True, eq=False)
class Windows(_Frozen):
    """The walk-forward positions of one lookback on one data set.

    Parameters
    ----------
    train_start, train_stop : (K,) int64, half-open rows of `Returns.estimation`.
    test_start, test_stop : (K,) int64, half-open rows of `Returns.simulation` the window
        contributes; consecutive windows meet (test_stop[k] == test_start[k + 1]). Positions are set
        at the close of row test_start - 1, the decision row.
    """

    train_start: Integer
    train_stop: Integer
    test_start: Integer
    test_stop: Integer

    @property
    def decision(self) -> Integer:
        """(K,) rows of `Returns.simulation` at whose close the positions are set."""
        return self.test_start - 1

    def __len__(self) -> int:
        return len(self.test_start)

    def part(self, start: int, stop: int) -> Windows:
        """Return windows `start` to `stop` (half-open)."""
        return Windows(
            self.train_start[start:stop],
            self.train_stop[start:stop],
            self.test_start[start:stop],
            self.test_stop[start:stop],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Weights(_Frozen):
    """The target weights of one solve, one row a window.

    Parameters
    ----------
    values : (K, N) float64, fractions of wealth, in the columns of `Returns.symbols`; a row that
        failed is all NaN, and an asset that takes no part has 0.
    certificate : (K,) float64, each solve's optimality residual (KKT residual or duality gap,
        relative); NaN where the profile is a closed formula.
    failures : window index -> one sentence, for each row of NaN.
    """

    values: Float
    certificate: Float
    failures: dict[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable(_Frozen):
    """A table that a user's strategy reads; what it sees ends at its decision row's date.

    Parameters
    ----------
    dates : (F,) datetime64[D], strictly increasing.
    columns : C names, in the order of the file.
    values : (F, C) float64, NaN where the file has nothing.
    sha256 : hex, of the dates, names and values.
    """

    dates: Dates
    columns: tuple[str, ...]
    values: Float
    sha256: str
