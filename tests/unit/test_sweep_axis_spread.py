"""How far the objective spreads over the values of the axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from backsweep.sweep.axis_spread import MOST_VALUES, axis_spread
from backsweep.sweep.table import TrialTable
from backsweep_api.trials import Trial


def make_table(points: list[dict[str, Any]], sharpes: list[float]) -> TrialTable:
    table = TrialTable([Trial(f"t{row}", "s", "p", values, True) for row, values in enumerate(points)])
    table.metrics["sharpe"] = np.array(sharpes)
    table.status = ["ok"] * len(points)
    return table


def test_each_value_tells_its_own_trials_in_the_order_of_the_document() -> None:
    points: list[dict[str, Any]] = [
        {"profile": "nco", "lookback": 126},
        {"profile": "hrp", "lookback": 126},
        {"profile": "hrp"},
    ]
    table = make_table([*points, points[1]], [0.5, 1.0, 2.0, 4.0])
    found = axis_spread(table, [3, 2, 1, 0], "sharpe", ["profile", "lookback"])
    assert [tuple(item.values()) for item in found] == [
        ("profile", "nco", 1, 0.5, 0.5, 0.5),
        ("profile", "hrp", 3, 1.0, 2.0, 4.0),
        ("lookback", "126", 3, 0.5, 1.0, 4.0),
        ("lookback", "-", 1, 2.0, 2.0, 2.0),
    ]
    assert list(found[0]) == ["axis", "value", "trials", "lowest", "median", "highest"]


def test_trials_that_do_not_compete_failed_were_ruined_or_have_no_value_are_left_out() -> None:
    table = make_table([{"profile": name} for name in "abcdef"], [1.0, 2.0, np.nan, 3.0, 4.0, 5.0])
    table.status[3], table.status[4] = "ruined", "failed"
    found = axis_spread(table, [0, 1, 2, 3, 4], "sharpe", ["profile"])
    assert [item["value"] for item in found] == ["a", "b"]


def test_an_axis_of_one_value_or_of_a_whole_range_is_left_out() -> None:
    count = MOST_VALUES + 1
    table = make_table([{"profile": "hrp", "lookback": 100 + row} for row in range(count)], [1.0] * count)
    assert axis_spread(table, range(count), "sharpe", ["profile", "lookback"]) == []
    assert len(axis_spread(table, range(count - 1), "sharpe", ["lookback"])) == MOST_VALUES
