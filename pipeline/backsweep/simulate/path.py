"""What one simulation leaves, and the net returns of any cost level made from it."""

from __future__ import annotations

from dataclasses import dataclass

from backsweep.arrays import Float

__all__ = ["Path", "net_returns", "ruined_row"]

# Wealth at or under this fraction of the row before is none: weights that sum to 1 only up to
# rounding must not leave 1e-16 of wealth behind that survives a -100 % day.
RUIN = 1e-12

COST_BPS_PER_UNIT = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One walk-forward before costs, over the test rows; every cost level is made from it.

    Costs are paid out of all of the wealth, so they scale it and leave the weights as they are:
    the gross return, the trades and the shorts of a row are the same at every cost level.

    Parameters
    ----------
    start : row of `Returns.simulation` that index 0 stands for; T' rows follow.
    gross : (T',) float64, the portfolio's simple return of each row before costs.
    traded : (T',) float64, sum |w_target - w_drifted| of the trade at the close of the row before,
        charged on this row; the first purchase is included. Cash is not counted.
    short : (T',) float64, short notional carried through the row, as a fraction of the wealth at
        its start, not negative.
    weights_end : (N,) float64, drifted weights at the close of the last row, before any trade there;
        the rest is cash. All 0 when ruined.
    ruined_row : index of the row on which wealth fell to nothing, None otherwise.
    """

    start: int
    gross: Float
    traded: Float
    short: Float
    weights_end: Float
    ruined_row: int | None


def net_returns(path: Path, slippage_bps: float, commission_bps: float, borrow_rate: float, periods: int) -> Float:
    """Return the path's returns after costs, because one simulation serves every cost level.

    A row's net return is (1 + r)(1 - c) - 1 - borrow_rate * short / periods, with
    c = traded * (slippage_bps + commission_bps) / 10^4. It is computed as r - (1 + r) c - borrow, so
    that without costs it is the gross return to the last bit.

    Parameters
    ----------
    path : the simulation before costs.
    slippage_bps, commission_bps : cost of a trade of the whole wealth, in 1/100 of a percent.
    borrow_rate : yearly fee on short notional, as a fraction (0.02 is 2 %).
    periods : rows a year.

    Returns
    -------
    (T',) float64, simple returns as fractions. The row on which wealth falls to nothing is at or
    under -1 and every later row is 0: a ruined portfolio neither earns nor pays.

    NaN policy: the path holds none, the result holds none.

    Source : DESIGN section 7, "Cost of a trade"; money and shares in tests/property/test_simulate_money.py.
    """
    cost = path.traded * ((slippage_bps + commission_bps) / COST_BPS_PER_UNIT)
    net = path.gross - (1.0 + path.gross) * cost
    if borrow_rate != 0.0:
        net -= path.short * (borrow_rate / periods)
    if path.ruined_row is not None:
        # At a cost of more than everything, (1 + r)(1 - c) of a ruined row would turn debt into profit.
        net[path.ruined_row] = min(net[path.ruined_row], path.gross[path.ruined_row])
    stop_at_ruin(net)
    return net


def ruined_row(returns: Float) -> int | None:
    """Return the index of the row that ruins a series of returns, because ruin is ranked last.

    Parameters
    ----------
    returns : (T',) float64, simple returns as fractions, as `net_returns` gives them; no NaN.

    Returns
    -------
    The first row at or under -1 (a return is a fraction of the wealth before it), or None.

    NaN policy: none may be given.

    Source : DESIGN section 7, "Wealth at or under 0: status ruined".
    """
    hit = returns <= -1.0
    first = int(hit.argmax())
    return first if hit[first] else None


def stop_at_ruin(returns: Float) -> int | None:
    """Set a series of returns to 0 after the row that ruins it, in place; return that row."""
    # `not greater` rather than `at most`: what follows a ruin inside a window may be NaN.
    hit = ~(1.0 + returns > RUIN)
    first = int(hit.argmax())
    if not hit[first]:
        return None
    returns[first] = min(returns[first], -1.0)
    returns[first + 1 :] = 0.0
    return first
