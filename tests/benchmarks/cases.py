"""The data the engines are compared on, cut into the same windows for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Float, Integer, Returns, Windows

__all__ = ["STEP", "Case", "real_stocks", "synthetic_stocks"]

STEP = 20  # rows between windows
ROWS = 8312  # of the synthetic returns: as many as the real ones have
SECTORS = 11


@dataclass(frozen=True)
class Case:
    """Daily returns and how much of a walk-forward over them each side is given.

    Parameters
    ----------
    returns : (T, N) float64, simple daily returns as fractions, no NaN.
    lookback : training rows of a window.
    our_windows, peer_windows : windows solved, spread evenly over the whole walk-forward.
    """

    name: str
    returns: Float
    lookback: int
    our_windows: int
    peer_windows: int

    @property
    def walk_forward(self) -> int:
        """Windows of the whole walk-forward."""
        return (len(self.returns) - self.lookback) // STEP

    def starts(self, count: int) -> Integer:
        """Return the first training row of `count` windows, spread evenly; all of them if there are no more."""
        chosen = np.linspace(0, self.walk_forward - 1, min(count, self.walk_forward)).astype(np.int64)
        return np.unique(chosen) * STEP

    def windows(self, count: int) -> Windows:
        """Return those windows as the engine takes them."""
        start = self.starts(count)
        stop = start + self.lookback
        return Windows(start, stop, stop, stop + STEP)

    def engine_returns(self) -> Returns:
        """Return the data set as the engine takes it: every asset priced on every row."""
        rows, assets = self.returns.shape
        return Returns(
            dates=np.datetime64("1990-01-03", "D") + np.arange(rows),
            symbols=tuple(f"A{number:03d}" for number in range(assets)),
            simulation=self.returns,
            tradable=np.ones((rows, assets), dtype=np.bool_),
            estimation=self.returns,
            estimation_rows=np.arange(rows, dtype=np.int64),
            delisted_row=np.full(assets, rows, dtype=np.int64),
            member=np.ones((rows, assets), dtype=np.bool_),
            benchmark=np.empty(0, dtype=np.int64),
            risk_free=np.zeros(rows),
            periods=252,
            digest="0" * 64,
        )


def real_stocks(our_windows: int, peer_windows: int) -> Case:
    """Return the twenty stocks of sp500-20, as skfolio ships them."""
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset().to_numpy(dtype=np.float64)
    return Case("sp500-20", prices[1:] / prices[:-1] - 1, 252, our_windows, peer_windows)


def synthetic_stocks(assets: int, lookback: int, our_windows: int, peer_windows: int) -> Case:
    """Return fat-tailed returns of a market, its sectors and each asset's own noise, from a fixed seed."""
    generator = np.random.default_rng(20261123)
    market = 0.0003 + 0.007 * generator.standard_t(5, ROWS)
    sectors = 0.004 * generator.standard_t(5, (ROWS, SECTORS))
    exposure = generator.normal(1.0, 0.3, assets)
    noise = generator.lognormal(np.log(0.012), 0.35, assets) * generator.standard_normal((ROWS, assets))
    returns = market[:, None] * exposure + sectors[:, np.arange(assets) % SECTORS] + noise
    return Case(f"synthetic-{assets}", np.maximum(returns, -0.9), lookback, our_windows, peer_windows)
