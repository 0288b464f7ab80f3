"""Sobol points: SciPy's, when they are not scrambled; a net, when they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from backsweep_api.sobol import DIMENSIONS, sobol_points


def test_unscrambled_points_are_scipys_in_every_dimension() -> None:
    ours = np.array(list(sobol_points(1024, DIMENSIONS, None)))
    theirs = qmc.Sobol(DIMENSIONS, scramble=False, bits=32).random(1024)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("seed", [0, 1, 2**53])
def test_scrambled_points_are_still_a_net(seed: int) -> None:
    points = np.array(list(sobol_points(256, DIMENSIONS, seed)))
    cells = np.floor(points * 256)
    assert all(len(set(column)) == 256 for column in cells.T)  # one point in each of 256 slices of each dimension
    quarters = {tuple(cell) for cell in np.floor(points[:, :2] * 16)}
    assert len(quarters) == 256  # and in each of 16 x 16 squares of the first two


def test_a_seed_gives_its_own_points_and_always_the_same() -> None:
    assert list(sobol_points(8, 3, 1)) == list(sobol_points(8, 3, 1))
    assert list(sobol_points(8, 3, 1)) != list(sobol_points(8, 3, 2))
    assert next(sobol_points(1, 2, 0)) == (3468998450 / 2**32, 818342187 / 2**32)


def test_more_dimensions_than_the_table_has_are_refused() -> None:
    with pytest.raises(ValueError, match="33 dimensions; the table has 32"):
        next(sobol_points(1, 33, 0))
