"""From target weights to what a portfolio earned: drift, trades, costs, delistings."""

from backsweep.simulate.book import OnFailure, Rule, positions, simulate
from backsweep.simulate.path import Path, net_returns, ruined_row

__all__ = ["OnFailure", "Path", "Rule", "net_returns", "positions", "ruined_row", "simulate"]
