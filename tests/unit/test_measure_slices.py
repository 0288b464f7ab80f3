"""Slice statistics against a loop."""

from __future__ import annotations

import numpy as np
import pytest

from backsweep.errors import InvariantError
from backsweep.measure.slices import slice_statistics


def test_slices_are_consecutive_equal_and_end_with_the_last_row() -> None:
    generator = np.random.default_rng(3)
    net, risk_free = generator.standard_normal((3, 16 * 7 + 5)), generator.random(16 * 7 + 5)
    found = slice_statistics(net, risk_free)
    for series in range(3):
        for index in range(16):
            rows = range(5 + 7 * index, 5 + 7 * (index + 1))
            excess = [net[series, row] - risk_free[row] for row in rows]
            expected = [7, sum(excess), sum(value**2 for value in excess)]
            assert found[series, index] == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_a_series_gives_the_same_bytes_alone() -> None:
    net = np.random.default_rng(4).standard_normal((5, 1003))
    together = slice_statistics(net, np.zeros(1003))
    assert slice_statistics(net[3:4], np.zeros(1003)).tobytes() == together[3:4].tobytes()


def test_too_few_rows_for_sixteen_slices_are_refused() -> None:
    with pytest.raises(InvariantError, match="31 rows are too few for 16 slices"):
        slice_statistics(np.zeros((1, 31)), np.zeros(31))
