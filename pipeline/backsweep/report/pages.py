"""The pages of a run folder: heatmap.png and report.html, drawn from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backsweep.arrays import Dates, Float

__all__ = ["Curves", "render"]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """The series a report draws.

    Parameters
    ----------
    dates : (T',) datetime64[D] of the test rows.
    ranked_rows : those that rank; the rest is held out.
    winner, yardstick : (T',) net returns; the winner None where there is none.
    procedure : its net returns from test row `procedure_first` to the last ranked row; None where there is none.
    """

    dates: Dates
    ranked_rows: int
    winner: Float | None
    yardstick: Float
    procedure: Float | None
    procedure_first: int


def render(
    name: str, spec_digest: str, summary: Mapping[str, Any], timings: Mapping[str, Any], curves: Curves
) -> dict[str, bytes]:
    """Return file name -> bytes."""
    return {}
