"""Windows by hand: which rows train, which test, and where the runs are cut."""

from __future__ import annotations

import numpy as np
import pytest

from backsweep.arrays import Returns
from backsweep.errors import DataError
from backsweep.plan.windows import WalkForward, aligned_runs, make_windows, ranked_rows


def returns_of(rows: int, estimation_rows: list[int] | None = None) -> Returns:
    dates = np.datetime64("2020-01-01") + np.arange(rows)
    sampled = np.arange(rows) if estimation_rows is None else np.array(estimation_rows)
    return Returns(
        dates=dates,
        symbols=("A",),
        simulation=np.zeros((rows, 1)),
        tradable=np.ones((rows, 1), dtype=bool),
        estimation=np.zeros((len(sampled), 1)),
        estimation_rows=sampled.astype(np.int64),
        delisted_row=np.array([rows]),
        member=np.ones((rows, 1), dtype=bool),
        benchmark=np.zeros(0, dtype=np.int64),
        risk_free=np.zeros(rows),
        periods=252,
        digest="",
    )


def walk(test: int = 5, step: int = 5, purge: int = 0, *, anchored: bool = False, partial: bool = False) -> WalkForward:
    return WalkForward(test, step, purge, anchored, partial)


def listed(windows: object, *names: str) -> list[list[int]]:
    return [getattr(windows, name).tolist() for name in names]


def test_the_first_test_row_follows_the_longest_lookback_and_training_ends_at_the_decision_row() -> None:
    windows = make_windows(returns_of(24), 4, 10, walk())
    assert listed(windows, "train_start", "train_stop") == [[6, 11], [10, 15]]
    assert listed(windows, "test_start", "test_stop", "decision") == [[10, 15], [15, 20], [9, 14]]


def test_purge_keeps_rows_out_of_training_but_not_out_of_the_decision_to_trade() -> None:
    windows = make_windows(returns_of(24), 4, 10, walk(purge=2))
    assert listed(windows, "train_start", "train_stop") == [[6, 11], [10, 15]]
    assert listed(windows, "test_start", "decision") == [[12, 17], [11, 16]]


def test_a_step_shorter_than_the_test_keeps_the_first_rows_of_each_window() -> None:
    windows = make_windows(returns_of(21), 10, 10, walk(test=5, step=3))
    assert listed(windows, "test_start", "test_stop") == [[10, 13, 16], [13, 16, 19]]


def test_a_partial_last_window_is_dropped_or_kept_as_asked() -> None:
    dropped = make_windows(returns_of(18), 10, 10, walk())
    kept = make_windows(returns_of(18), 10, 10, walk(partial=True))
    assert listed(dropped, "test_stop") == [[15]]
    assert listed(kept, "test_stop") == [[15, 18]]


def test_anchored_windows_start_where_the_first_one_does_and_grow() -> None:
    windows = make_windows(returns_of(26), 4, 10, walk(anchored=True))
    assert listed(windows, "train_start", "train_stop") == [[6, 6, 6], [10, 15, 20]]


def test_lookbacks_count_rows_of_the_estimators_calendar() -> None:
    weekdays = [row for row in range(28) if row % 7 not in (5, 6)]
    windows = make_windows(returns_of(28, weekdays), 10, 10, walk(test=7, step=7))
    assert windows.test_start.tolist() == [12, 19]  # the tenth weekday row is row 11
    assert windows.train_stop.tolist() == [10, 15]
    assert windows.train_start.tolist() == [0, 5]


@pytest.mark.parametrize(
    ("rows", "longest", "sentence"),
    [
        (8, 10, "8 rows of returns are too short for a lookback of 10 rows"),
        (12, 10, "leave no window of 5 test rows"),
    ],
)
def test_too_little_data_is_said_in_one_sentence(rows: int, longest: int, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        make_windows(returns_of(rows), longest, longest, walk())


@pytest.mark.parametrize(
    ("count", "runs"),
    [
        (1, [(0, 1)]),
        (63, [(0, 63)]),
        (64, [(0, 64)]),
        (390, [(0, 256), (256, 384), (384, 390)]),
        (512, [(0, 512)]),
        (600, [(0, 512), (512, 576), (576, 600)]),
    ],
)
def test_runs_are_aligned_and_only_the_last_is_ragged(count: int, runs: list[tuple[int, int]]) -> None:
    assert list(aligned_runs(count)) == runs


def test_a_month_more_keeps_all_runs_but_the_last() -> None:
    before, after = list(aligned_runs(390)), list(aligned_runs(391))
    assert set(before) - set(after) == {(384, 390)}


def test_holdout_rows_never_rank_by_number_or_by_date() -> None:
    dates = np.datetime64("2020-01-01") + np.arange(100)
    assert ranked_rows(dates, None) == 100
    assert ranked_rows(dates, 20) == 80
    assert ranked_rows(dates, "2020-03-01") == 60


def test_a_holdout_that_leaves_too_little_to_rank_by_is_refused() -> None:
    dates = np.datetime64("2020-01-01") + np.arange(100)
    with pytest.raises(DataError, match=r"spec.validation.holdout: 90 leaves 10 of 100 test rows to rank by"):
        ranked_rows(dates, 90)
