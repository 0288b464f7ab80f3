"""The pages of a run folder: heatmap.png and report.html, drawn from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backsweep.report.heatmap import draw_heatmap
from backsweep.report.page_curves import Curves
from backsweep.report.page_html import Sweep, page

__all__ = ["Curves", "Sweep", "render"]


def render(sweep: Sweep, summary: Mapping[str, Any], timings: Mapping[str, Any], curves: Curves) -> dict[str, bytes]:
    """Return file name -> bytes: the same bytes for the same values.

    Raises
    ------
    UserError
        If Pillow, which draws heatmap.png, is not installed.
    """
    heatmap = draw_heatmap(sweep.name, summary, timings)
    return {"heatmap.png": heatmap, "report.html": page(sweep, summary, timings, curves, heatmap)}
