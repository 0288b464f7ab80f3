"""Two profiles of one's own, as examples: each is called once a window and returns weights by symbol."""

from __future__ import annotations

import numpy as np
import pandas as pd

from backsweep.solve.strategy import Context


def momentum(context: Context, skip: int, held: int) -> pd.Series:
    """Equal weight of the `held` assets that rose most over the training rows, the last `skip` left out."""
    known = context.returns.iloc[: len(context.returns) - skip]
    growth = (1 + known).prod()
    best = growth.nlargest(held).index
    return pd.Series(1 / held, index=best)


def resampled_minimum_variance(context: Context, draws: int, seed: int) -> dict[str, float]:
    """Return the average of minimum variance portfolios of `draws` bootstrap samples of the training rows.

    Michaud (1998), "Efficient Asset Management", with the closed form, negative weights set to 0. Seeded by the
    window's date, so that each window draws the same whatever ran before it.
    """
    returns = context.returns.to_numpy()
    generator = np.random.default_rng([seed, context.date.toordinal()])
    total = np.zeros(returns.shape[1])
    for _ in range(draws):
        sample = returns[generator.integers(len(returns), size=len(returns))]
        weights = np.linalg.solve(np.cov(sample, rowvar=False) + 1e-8 * np.eye(len(total)), np.ones(len(total)))
        weights = np.maximum(weights, 0.0)
        total += weights / weights.sum()
    return dict(zip(context.symbols, (total / draws).tolist(), strict=True))
