"""Makes the CSV files of the examples: simulated prices, so that they can ship with the code.

    python examples/make_prices.py

own-prices.csv has an asset that lists late (LATE), one that is delisted (GONE) and an index; own-members.csv says who
was a member when; mixed-prices.csv has stocks on weekdays and coins on all days.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).parent


def simulate(generator: np.random.Generator, rows: int, assets: int, volatility: float) -> np.ndarray:
    """Return (rows, assets) prices with one common factor and fat tails."""
    shocks = generator.standard_t(5, size=(rows, assets)) * 0.6 + generator.standard_t(5, size=(rows, 1)) * 0.5
    return 100 * np.cumprod(1 + 0.0003 + volatility * shocks, axis=0)


def main() -> None:
    """Write the three files."""
    generator = np.random.default_rng(20261123)
    dates = pd.bdate_range("2019-01-02", periods=700, name="date")
    names = ["ALFA", "BETA", "DELTA", "ECHO", "GONE", "LATE"]
    prices = pd.DataFrame(simulate(generator, 700, 6, 0.012), index=dates, columns=names)
    prices["INDEX"] = prices.mean(axis=1)
    prices.loc[: dates[249], "LATE"] = np.nan
    prices.loc[dates[521] :, "GONE"] = np.nan
    long = prices.round(4).stack().rename("price").rename_axis(["date", "symbol"]).reset_index()
    long.to_csv(FOLDER / "own-prices.csv", index=False)

    snapshots = [(dates[0], names[:5]), (dates[400], names), (dates[515], [*names[:4], "LATE"])]
    members = pd.DataFrame([(date.date(), name) for date, listed in snapshots for name in listed])
    members.to_csv(FOLDER / "own-members.csv", index=False, header=["date", "symbol"])

    days = pd.date_range("2021-01-01", periods=1000, name="date")
    mixed = pd.DataFrame(simulate(generator, 1000, 5, 0.012), index=days, columns=["S1", "S2", "S3", "COIN1", "COIN2"])
    mixed[["COIN1", "COIN2"]] = simulate(generator, 1000, 2, 0.03)
    mixed.loc[days.day_of_week > 4, ["S1", "S2", "S3"]] = np.nan
    mixed.round(4).to_csv(FOLDER / "mixed-prices.csv")


if __name__ == "__main__":
    main()
