"""Trees of distances without ties are scipy's, and do not depend on how the columns are ordered."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster import hierarchy

from backsweep.arrays import Float
from backsweep.solve.leaf_order import reorder_leaves
from backsweep.solve.linkage import METHODS, link

SEEDS = st.integers(0, 2**32 - 1)


def distinct_distances(windows: int, assets: int, seed: int) -> Float:
    values = np.random.default_rng(seed).uniform(0.05, 1.0, (windows, assets, assets))
    above = np.triu(values, 1)
    return above + above.swapaxes(1, 2)


@given(windows=st.integers(1, 4), assets=st.integers(2, 14), seed=SEEDS, method=st.sampled_from(METHODS))
def test_the_tree_is_that_of_scipy(windows: int, assets: int, seed: int, method: str) -> None:
    distances = distinct_distances(windows, assets, seed)
    above = np.triu_indices(assets, 1)
    theirs = np.stack([hierarchy.linkage(window[above], method) for window in distances])
    ours = link(distances, method)
    np.testing.assert_array_equal(ours[:, :, [0, 1, 3]], theirs[:, :, [0, 1, 3]])
    np.testing.assert_allclose(ours[:, :, 2], theirs[:, :, 2], rtol=0, atol=1e-12)


@given(assets=st.integers(2, 14), seed=SEEDS, method=st.sampled_from(METHODS))
def test_heights_do_not_depend_on_the_order_of_columns(assets: int, seed: int, method: str) -> None:
    distances = distinct_distances(1, assets, seed)
    shuffled = np.random.default_rng(seed + 1).permutation(assets)
    heights = link(distances, method)[0, :, 2]
    others = link(distances[:, shuffled][:, :, shuffled], method)[0, :, 2]
    np.testing.assert_allclose(others, heights, rtol=0, atol=1e-12)
    assert (np.diff(heights) >= 0).all()


@given(assets=st.integers(3, 12), seed=SEEDS, method=st.sampled_from(METHODS))
def test_leaves_are_reordered_as_by_scipy(assets: int, seed: int, method: str) -> None:
    # multiples of 1/4096: sums are exact in scipy's float32, too, and of equal ones both take the first
    distances = np.round(distinct_distances(1, assets, seed) * 4096) / 4096
    merges = link(distances, method)
    theirs = hierarchy.optimal_leaf_ordering(merges[0], distances[0][np.triu_indices(assets, 1)])
    np.testing.assert_array_equal(reorder_leaves(merges, distances)[0], theirs)
