"""skfolio's own published HRP weights (its tests/test_hrp.py, test_hrp_default), to its seven decimals."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd

from backsweep.solve.hrp import solve
from backsweep.solve.problem import Problem

# Single linkage, optimal leaf order, standard deviation; its S&P 500 prices from 2014 on, columns as they stand.
PUBLISHED = [
    *(0.04948508, 0.03483034, 0.04967809, 0.05488211, 0.02595736, 0.04482042, 0.03332249, 0.08091826, 0.02840749),
    *(0.04412388, 0.06297933, 0.05717246, 0.05285248, 0.07430329, 0.05499559, 0.07914531, 0.03391673, 0.0396792),
    *(0.04812428, 0.0504058),
]


def test_the_published_weights_are_met() -> None:
    with (files("skfolio.datasets") / "data" / "sp500_dataset.csv.gz").open("rb") as file:
        prices = pd.read_csv(file, compression="gzip", index_col=0).loc["2014-01-01":].to_numpy()
    returns = prices[1:] / prices[:-1] - 1
    covariance = np.cov(returns, rowvar=False)[None]
    parameters = {"linkage": "single", "leafOrder": True, "risk": "std"}
    solution = solve(Problem(covariance=covariance, parameters=parameters))
    np.testing.assert_almost_equal(solution.weights[0], PUBLISHED)  # its own criterion: 1.5e-7
    np.testing.assert_allclose(solution.weights[0], PUBLISHED, rtol=0, atol=5.1e-9)  # all digits it prints
    assert not solution.failures
