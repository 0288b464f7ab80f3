"""What holds for HRP, HERC and NCO whatever the covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backsweep.arrays import Float
from backsweep.solve import herc, hrp, nco
from backsweep.solve.linkage import METHODS
from backsweep.solve.problem import Kernel, Problem

SEEDS = st.integers(0, 2**32 - 1)
ASSETS = st.integers(1, 12)
LINKAGES = st.sampled_from(METHODS)
PROFILES = {"hrp": hrp.solve, "herc": herc.solve, "nco": nco.solve}


def random_covariances(assets: int, seed: int) -> Float:
    generator = np.random.default_rng(seed)
    returns = generator.standard_normal((3, 2 * assets + 5, assets)) @ generator.standard_normal((assets, assets))
    return np.stack([np.cov(window, rowvar=False).reshape(assets, assets) for window in 0.01 * returns])


@pytest.mark.parametrize("kernel", PROFILES.values(), ids=PROFILES)
@given(assets=ASSETS, seed=SEEDS, linkage=LINKAGES)
def test_weights_are_long_and_sum_to_one(kernel: Kernel, assets: int, seed: int, linkage: str) -> None:
    covariance = random_covariances(assets, seed)
    covariance.flags.writeable = False
    solution = kernel(Problem(covariance=covariance, parameters={"linkage": linkage}))
    assert solution.failures == {}
    assert solution.weights.min() >= 0
    np.testing.assert_allclose(solution.weights.sum(axis=1), 1, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kernel", PROFILES.values(), ids=PROFILES)
@given(assets=ASSETS, seed=SEEDS, linkage=LINKAGES, power=st.integers(-20, 20))
def test_the_unit_of_returns_changes_nothing(kernel: Kernel, assets: int, seed: int, linkage: str, power: int) -> None:
    covariance = random_covariances(assets, seed)
    plain = kernel(Problem(covariance=covariance, parameters={"linkage": linkage})).weights
    scaled = kernel(Problem(covariance=covariance * 4.0**power, parameters={"linkage": linkage})).weights
    np.testing.assert_allclose(scaled, plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [herc.solve, nco.solve], ids=["herc", "nco"])
@given(assets=st.integers(3, 12), seed=SEEDS, linkage=LINKAGES)
def test_clusters_do_not_care_in_which_order_the_assets_stand(
    kernel: Kernel, assets: int, seed: int, linkage: str
) -> None:
    covariance = random_covariances(assets, seed)
    shuffled = np.random.default_rng(seed + 1).permutation(assets)
    plain = kernel(Problem(covariance=covariance, parameters={"linkage": linkage})).weights
    moved = covariance[:, shuffled][:, :, shuffled]
    weights = kernel(Problem(covariance=moved, parameters={"linkage": linkage})).weights
    np.testing.assert_allclose(weights, plain[:, shuffled], rtol=0, atol=1e-10)
