"""Curves and ticks: what is drawn is what happened, thinned without losing a peak or a trough."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backsweep.report.line_chart import Chart, Line, draw, linear_ticks, log_ticks, month_ticks
from backsweep.report.metric_text import metric_text, ordered
from backsweep.report.page_curves import Curves, curve_figures
from backsweep.report.timing_matrix import milliseconds_text, other_work, seconds_text, time_matrix
from backsweep.report.wealth import thin, wealth_curve

DATES = np.arange(np.datetime64("2020-02-27"), np.datetime64("2020-03-02"))


def test_wealth_compounds_from_the_close_before_the_first_row() -> None:
    curve = wealth_curve(DATES, np.array([0.1, -0.5, 0.2, 0.0]), 2.0)
    np.testing.assert_allclose(curve.wealth, [2.0, 2.2, 1.1, 1.32, 1.32])
    np.testing.assert_allclose(curve.drawdown, [0.0, 0.0, -0.5, -0.4, -0.4])
    assert curve.days[0] == int(DATES[0].astype(np.int64)) - 1
    assert curve.days[1:].tolist() == DATES.astype(np.int64).tolist()


def test_a_ruined_series_ends_before_its_ruin_because_nothing_has_no_logarithm() -> None:
    curve = wealth_curve(DATES, np.array([0.1, -1.0, 0.0, 0.0]), 1.0)
    np.testing.assert_allclose(curve.wealth, [1.0, 1.1])
    assert "NaN" not in curve_figures(Curves(DATES, 4, None, np.array([0.0, -1.5, 0.0, 0.0]), None, 0))


@given(st.integers(1, 30_000), st.integers(0, 2**32 - 1))
def test_thinning_keeps_the_ends_and_the_extremes_and_at_most_a_thousand_points(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=count).cumsum()
    rows = thin(values)
    assert len(rows) <= 1000
    assert (np.diff(rows) > 0).all()
    assert rows[0] == 0
    assert rows[-1] == count - 1
    assert values[rows].min() == values.min()
    assert values[rows].max() == values.max()


@given(st.floats(1e-8, 1e8), st.floats(1.0001, 1e12))
def test_logarithmic_ticks_are_few_and_inside(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 1 <= len(ticks) <= 12
    assert all(low * (1 - 1e-6) <= tick <= low * factor * (1 + 1e-6) for tick in ticks)


@given(st.floats(-100.0, 100.0), st.floats(1e-4, 1e3))
def test_linear_ticks_are_few_and_inside(low: float, span: float) -> None:
    ticks = linear_ticks(low, low + span)
    assert 2 <= len(ticks) <= 9
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)


@given(st.integers(-40_000, 40_000), st.integers(0, 40_000))
def test_month_ticks_are_few_and_inside(first: int, span: int) -> None:
    ticks = month_ticks(first, first + span)
    assert 1 <= len(ticks) <= 9
    assert all(first <= day <= first + span for _, day in ticks)


def test_ticks_are_the_numbers_people_expect() -> None:
    assert log_ticks(0.9, 180.0) == [1, 2, 5, 10, 20, 50, 100]
    assert linear_ticks(-0.5, 0.0) == [-0.5, -0.4, -0.3, -0.2, -0.1, 0.0]
    day = int(np.datetime64("1993-01-04").astype(np.int64))
    assert [text for text, _ in month_ticks(day, day + 365 * 30)] == ["1995", "2000", "2005", "2010", "2015", "2020"]
    assert [text for text, _ in month_ticks(day, day + 200)] == [
        "1993-02",
        "1993-03",
        "1993-04",
        "1993-05",
        "1993-06",
        "1993-07",
    ]


def test_a_line_is_drawn_from_edge_to_edge_with_higher_values_higher_up() -> None:
    days = np.arange(3, dtype=np.int64)
    line = Line("winner", days, np.array([1.0, 10.0, 100.0]))
    page = draw(Chart([line], True, str, 1, "held", "a <line>"))
    found = re.search(r'class="line winner" d="M([^"]*)"', page)
    assert found is not None
    points = [tuple(map(float, point.split())) for point in found.group(1).split("L")]
    assert [x for x, _ in points] == [0.0, 500.0, 1000.0]
    assert points[0][1] > points[1][1] > points[2][1]
    assert points[1][1] == pytest.approx(150.0)  # the middle of a logarithmic axis
    assert 'x="500.0"' in page
    assert "a &lt;line&gt;" in page


def test_constant_wealth_and_a_single_row_can_be_drawn() -> None:
    for rows in (1, 4):
        figures = curve_figures(Curves(DATES[:rows], rows, np.zeros(rows), np.zeros(rows), None, 0))
        assert "nan" not in figures
        assert "inf" not in figures


def test_the_procedure_starts_where_the_yardstick_stands() -> None:
    yardstick = np.array([1.0, 0.0, 0.0, 0.0])
    figures = curve_figures(Curves(DATES, 4, None, yardstick, np.array([0.5, 0.0]), 2))
    assert "procedure <b>3×</b>" in figures  # noqa: RUF001
    assert "yardstick <b>2×</b>" in figures  # noqa: RUF001


def test_a_curve_that_ends_early_says_when() -> None:
    figures = curve_figures(Curves(DATES, 3, None, np.zeros(4), np.zeros(1), 2))
    assert "until 2020-02-29" in figures


def test_times_are_arranged_with_the_slowest_first_and_gaps_where_nothing_met() -> None:
    cells = [
        ("hrp", "oas", 0.002),
        ("nco", "ewma", 0.005),
        ("covariance", "oas", 0.001),
        ("simulate", "daily", 0.25),
        ("expectedReturns", "mean", 0.004),
    ]
    timings = {"cells": [{"stage": s, "estimator": e, "seconds": t} for s, e, t in cells]}
    matrix = time_matrix(timings)
    assert matrix.rows == ("covariance itself", "nco", "hrp")
    assert matrix.columns == ("ewma", "oas")
    np.testing.assert_allclose(matrix.milliseconds, [[np.nan, 1.0], [5.0, np.nan], [np.nan, 2.0]])
    np.testing.assert_allclose(matrix.row_totals, [1.0, 5.0, 2.0])
    np.testing.assert_allclose(matrix.column_totals, [5.0, 3.0])
    work = dict(other_work(timings))
    assert work == pytest.approx(
        {"covariances": 0.001, "expected returns": 0.004, "solve profiles": 0.007, "simulate daily": 0.25}
    )
    assert sum(work.values()) == pytest.approx(sum(seconds for _, _, seconds in cells))


def test_numbers_read_as_people_write_them() -> None:
    assert [milliseconds_text(spent) for spent in (0.0421, 3.14, 42.4, 12345.6)] == ["0.04", "3.1", "42", "12,346"]
    assert [seconds_text(spent) for spent in (0.0421, 0.9996, 42.44, 3600.0)] == ["42 ms", "1.00 s", "42.4 s", "60 min"]
    assert metric_text("cagr", -0.0512) == "−5.1"  # noqa: RUF001
    assert metric_text("own_metric", 1.005) == "1.00"
    assert [metric_text("dsr", value) for value in (1.0, 0.9995, 0.5, 0.0)] == ["> 99.9", "> 99.9", "50.0", "< 0.1"]
    assert ordered(["zeta", "psr", "sharpe"]) == ["sharpe", "psr", "zeta"]
