"""What heatmap.png says, read from what is drawn: its words and the colours of its boxes."""

from __future__ import annotations

from typing import Any

import pytest

from backsweep.report.heatmap import BAR, Canvas, draw_heatmap

Drawn = tuple[list[str], list[tuple[int, int, int]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    words: list[str] = []
    colours: list[tuple[int, int, int]] = []
    text, box = Canvas.text, Canvas.box

    def listen(canvas: Canvas, place: Any, said: str, *style: Any) -> None:
        words.append(said)
        text(canvas, place, said, *style)

    def watch(canvas: Canvas, *corners_and_colour: Any) -> None:
        colours.append(corners_and_colour[-1])
        box(canvas, *corners_and_colour)

    monkeypatch.setattr(Canvas, "text", listen)
    monkeypatch.setattr(Canvas, "box", watch)
    return words, colours


def summary_of(total: int, cached: int) -> dict[str, Any]:
    return {"trials": {"total": total, "cached": cached}}


def timings_of(*cells: tuple[str, str, float]) -> dict[str, Any]:
    return {
        "stages": {"plan": 0.25, "solve and simulate": 1.5},
        "cells": [{"stage": stage, "estimator": name, "seconds": seconds} for stage, name, seconds in cells],
    }


def test_every_cell_and_every_sum_is_written_and_what_never_met_is_blank(drawn: Drawn) -> None:
    cells = [("hrp", "oas", 0.031), ("hrp", "ewma", 0.017), ("min_cvar", "returns", 0.4), ("simulate", "daily", 0.05)]
    draw_heatmap("weekly", summary_of(8, 0), timings_of(*cells))
    words = drawn[0]
    for said in ("31", "17", "48", "448", "hrp", "min_cvar", "oas", "ewma", "returns", "simulate daily", "50 ms"):
        assert said in words
    assert words.count("400") == 3  # the cell, its row and its column
    assert words[words.index("plan") + 1] == "250 ms"
    assert words[words.index("solve and simulate") + 1] == "1.50 s"
    assert "weekly: 8 trials, 1.75 s by the clock without the report" in words
    assert "Nothing was solved" not in words


def test_slower_is_darker_by_equal_factors(drawn: Drawn) -> None:
    draw_heatmap("weekly", summary_of(8, 0), timings_of(*((f"p{row}", "oas", 0.001 * 10**row) for row in range(3))))
    colours = drawn[1]
    slowest, middle, fastest = [colour for colour in colours if colour != BAR][:3]
    assert sum(slowest) < sum(middle) < sum(fastest)
    scale = colours[-100:]
    assert [sum(colour) for colour in scale] == sorted((sum(colour) for colour in scale), reverse=True)
    nearest = min(range(100), key=lambda step: sum(abs(a - b) for a, b in zip(scale[step], middle, strict=True)))
    assert nearest in (49, 50)


def test_equal_times_have_one_colour(drawn: Drawn) -> None:
    draw_heatmap("weekly", summary_of(8, 0), timings_of(("hrp", "oas", 0.0), ("nco", "oas", 0.0)))
    assert "0.00" in drawn[0]


def test_an_empty_picture_says_why(drawn: Drawn) -> None:
    words = drawn[0]
    draw_heatmap("weekly", summary_of(8, 8), timings_of())
    assert "All 8 trials were in the store already." in words
    assert "weekly: 8 trials, 8 of them from the store, 1.75 s by the clock without the report" in words
    words.clear()
    draw_heatmap("weekly", summary_of(8, 3), timings_of(("simulate", "daily", 0.1)))
    assert "Nothing was solved" in words
    assert "The weights of every trial were in the store already, or none has any." in words
    assert "simulate daily" in words
