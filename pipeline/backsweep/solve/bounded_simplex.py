"""Least conditional value at risk over a box and a budget, by a simplex method on all windows at once.

With L scenarios of loss l_t(w) = -r_t'w and a tail of k = (1 - confidence) L scenarios the problem is

    min over w of  max over q of  sum_t q_t l_t(w),   0 <= q_t <= 1 / k,  sum q = 1,
    lower <= w <= upper,  sum w = net,

whose dual is a linear program with N + 1 rows and L bounded columns. A vertex is a set of basic assets
and as many *tight* scenarios, whose loss equals the threshold (the value at risk); scenarios beyond it
are in the *tail* with q = 1 / k, the others *rest* with q = 0. One pivot moves along an edge past every
scenario that changes sides while the slope stays negative (the long-step rule: Barrodale and Roberts
1973, "An improved algorithm for discrete l1 linear approximation", SIAM J. Numer. Anal. 10(5));
what enters is chosen by the steepest edge (Goldfarb and Reid 1977, Math. Programming 12). What is
inverted is the matrix of tight scenarios by basic assets only, so large universes stay cheap.

Only the scenarios near the tail are looked at; a finished window is checked against all its scenarios
and goes on if one was missing, so the answer is that of the whole program.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.solve.simplex_pivot import Entering, is_unique, pivot, price
from backsweep.solve.simplex_tableau import REST, TAIL, TIGHT, Box, Tableau, polish

__all__ = ["Box", "Vertices", "minimise"]

PIVOTS = 1500
"""Pivots after which a window counts as unsettled."""
HARVEST = 32
"""Fewest windows taken out at once, unless they are the last."""
BEYOND = 1e-12
"""Loss beyond the threshold (in root mean square return) from which a scenario not looked at is missing."""


@dataclass(frozen=True, slots=True)
class Vertices:
    """What `minimise` found.

    Parameters
    ----------
    weights : (B, N) float64, the optimal vertex.
    tail : (B, L) float64, the dual: the worst-case probabilities q of the scenarios.
    settled : (B,) bool, False where the pivots did not come to an end; such a row is zero.
    unique : (B,) bool, True where the dual proves that no other portfolio is optimal: every asset and
        scenario outside the basis has a price of its own.
    """

    weights: Float
    tail: Float
    settled: Boolean
    unique: Boolean


@dataclass(slots=True)
class _Search:
    """The windows still being solved: their numbers (A,), the scenarios they look at (A, P), their tableau."""

    window: Integer
    chosen: Integer
    tableau: Tableau

    def take(self, windows: Boolean) -> _Search:
        return _Search(self.window[windows], self.chosen[windows], self.tableau.take(windows))


def minimise(returns: Float, box: Box) -> Vertices:
    """Return optimal vertices and duals for a batch of windows; nothing is drawn at random.

    Parameters
    ----------
    returns : (B, L, N) float64, simple returns as fractions, no NaN, possibly a strided view.
    box : bounds, budget and size of the tail, 0 < k < L; the bounds must allow the budget.

    Source
    ------
    Rockafellar and Uryasev (2000), "Optimization of conditional value-at-risk", J. Risk 2(3), equation
    17; the simplex rules are named in the module; tests/reference/test_peers_cvar_erc.py checks the
    objective against HiGHS.
    """
    windows, rows, assets = returns.shape
    kept = min(rows, 32 + int(np.ceil(3 * box.tail_rows)) + assets // 8)
    chunk = max(1, (1 << 22) // (kept * assets))
    weights = np.zeros((windows, assets))
    tail = np.zeros((windows, rows))
    settled, unique = np.zeros(windows, dtype=np.bool_), np.zeros(windows, dtype=np.bool_)
    for start in range(0, windows, chunk):
        part = slice(start, start + chunk)
        result = Vertices(weights[part], tail[part], settled[part], unique[part])
        _minimise_chunk(returns[part], box, kept, result)
    return Vertices(weights, tail, settled, unique)


def _minimise_chunk(returns: Float, box: Box, kept: int, result: Vertices) -> None:
    """Pivot until every window is optimal on all its scenarios; write answers into `result`."""
    search = _begin(returns, box, kept)
    for _ in range(PIVOTS):
        entering = price(search.tableau, box)
        done = (entering.slope >= 0.0) | search.tableau.broken
        # finished windows wait for company: each harvest copies the windows that are left
        if done.sum() >= max(len(done) / 4, min(len(done), HARVEST)):
            search = _harvest(returns, search, done, box, result)
            if not len(search.window):
                return
            continue
        pivot(search.tableau, entering, box)


def _begin(returns: Float, box: Box, kept: int) -> _Search:
    """Start each window at the vertex that fills the assets of least variance first."""
    windows, rows, assets = returns.shape
    mean = returns.mean(axis=1)
    square = np.einsum("bln,bln->bn", returns, returns) / rows
    variance = np.maximum(square - mean * mean, 0.0)
    weights, first = _first_vertex(variance, box)
    tiny = np.finfo(np.float64).tiny
    scale = np.maximum(np.sqrt(square.mean(axis=1)), tiny)

    # the scenarios worst for a calm mix are likely to be those worst for the calmest
    typical = np.maximum(variance.mean(axis=1, keepdims=True), tiny)
    calm = 1.0 / (variance / typical + 1e-6)
    chosen = _largest(-np.matmul(returns, (calm / calm.sum(axis=1, keepdims=True))[:, :, None])[:, :, 0], kept)
    every = np.arange(windows)
    looked = returns[every[:, None], chosen]
    loss = -np.matmul(looked, weights[:, :, None])[:, :, 0]
    rank = np.argsort(-loss, axis=1, kind="stable")
    beyond = min(int(box.tail_rows), kept - 1)
    state = np.full(loss.shape, REST, dtype=np.int8)
    np.put_along_axis(state, rank[:, :beyond], np.int8(TAIL), axis=1)
    scenario = rank[:, beyond]
    state[every, scenario] = TIGHT
    threshold = loss[every, scenario]
    slots = 12
    tableau = Tableau(
        rows=looked,
        state=state,
        slack=loss - threshold[:, None],
        weights=weights,
        basic=np.arange(assets) == first[:, None],
        threshold=threshold,
        scale=scale,
        asset_slot=np.full((windows, slots), -1),
        row_slot=np.full((windows, slots), -1),
        inverse=np.zeros((windows, slots + 1, slots + 1)),
        tight=np.zeros((windows, slots + 1, assets)),
        stalls=np.zeros(windows, dtype=np.int64),
        broken=np.zeros(windows, dtype=np.bool_),
    )
    tableau.asset_slot[:, 0], tableau.row_slot[:, 0] = first, scenario
    tableau.tight[:, 0], tableau.tight[:, 1] = 1.0, looked[every, scenario]
    tableau.inverse[:, 0, 0] = -looked[every, scenario, first]
    tableau.inverse[:, 0, 1] = tableau.inverse[:, 1, 0] = 1.0
    return _Search(every, chosen, tableau)


def _first_vertex(variance: Float, box: Box) -> tuple[Float, Integer]:
    """Weights (A, N) that fill the calmest assets to their bounds, and the last asset (A,) that got some."""
    order = np.argsort(variance, axis=1, kind="stable")
    width = (box.upper - box.lower)[order]
    before = np.zeros_like(width)
    np.cumsum(width[:, :-1], axis=1, out=before[:, 1:])
    left = box.net - box.lower.sum() - before
    weights = np.empty_like(width)
    np.put_along_axis(weights, order, box.lower[order] + np.clip(left, 0.0, width), axis=1)
    last = np.maximum(np.count_nonzero(left > 0.0, axis=1) - 1, 0)
    return weights, order[np.arange(len(order)), last]


def _largest(priority: Float, count: int) -> Integer:
    """Positions (A, count) of the largest elements of each row, in column order."""
    if count == priority.shape[1]:
        return np.broadcast_to(np.arange(count), priority.shape).copy()
    return np.sort(np.argpartition(-priority, count, axis=1)[:, :count], axis=1)


def _harvest(returns: Float, search: _Search, done: Boolean, box: Box, result: Vertices) -> _Search:
    """Check finished windows exactly, write the answers, and return the search without them."""
    ready = search.take(done & ~search.tableau.broken)
    polish(ready.tableau, box)
    entering = price(ready.tableau, box)
    tableau = ready.tableau
    optimal = (entering.slope >= 0.0) & ~tableau.broken
    slack = -np.matmul(returns[ready.window], tableau.weights[:, :, None])[:, :, 0] - tableau.threshold[:, None]
    missing = slack > BEYOND * tableau.scale[:, None]
    np.put_along_axis(missing, ready.chosen, False, axis=1)
    complete = optimal & ~missing.any(axis=1)
    _record(ready, entering, complete, box, result)
    short = optimal & missing.any(axis=1)
    _look_again(returns, ready, short, slack)
    again = ready.take(~complete & ~tableau.broken)
    return _join(search.take(~done), again)


def _record(ready: _Search, entering: Entering, complete: Boolean, box: Box, result: Vertices) -> None:
    """Write weights and dual of the complete windows."""
    tableau = ready.tableau
    looked = np.zeros((len(complete), tableau.state.shape[1] + 1))
    looked[:, :-1] = (tableau.state == TAIL) / box.tail_rows
    slot = np.where(tableau.row_slot < 0, looked.shape[1] - 1, tableau.row_slot)
    np.put_along_axis(looked, slot, entering.probability, axis=1)
    tail = np.zeros((len(complete), result.tail.shape[1]))
    np.put_along_axis(tail, ready.chosen, looked[:, :-1], axis=1)
    window = ready.window[complete]
    result.weights[window] = tableau.weights[complete]
    result.tail[window] = tail[complete]
    result.settled[window] = True
    result.unique[window] = is_unique(tableau, box)[complete]


def _look_again(returns: Float, ready: _Search, short: Boolean, slack: Float) -> None:
    """Give the marked windows the scenarios they lacked for those farthest under the threshold.

    The vertex stays optimal without the latter, so the optimum can only rise: no window goes round.
    """
    some = np.flatnonzero(short)
    tableau, chosen = ready.tableau, ready.chosen[some]
    old = np.full((len(some), slack.shape[1]), REST, dtype=np.int8)
    np.put_along_axis(old, chosen, tableau.state[some], axis=1)
    priority = np.where(old == REST, slack[some], np.inf)
    fresh = _largest(priority, chosen.shape[1])
    known = np.zeros(old.shape, dtype=np.bool_)
    np.put_along_axis(known, chosen, True, axis=1)
    beyond = ~known & (slack[some] > 0.0)
    state = np.where(beyond, np.int8(TAIL), old)
    where = np.full(old.shape, -1, dtype=np.int64)
    np.put_along_axis(where, fresh, np.broadcast_to(np.arange(fresh.shape[1]), fresh.shape), axis=1)
    slot = tableau.row_slot[some]
    scenario = np.take_along_axis(chosen, np.maximum(slot, 0), axis=1)
    tableau.row_slot[some] = np.where(slot < 0, -1, np.take_along_axis(where, scenario, axis=1))
    tableau.state[some] = np.take_along_axis(state, fresh, axis=1)
    tableau.slack[some] = np.where(tableau.state[some] == TIGHT, 0.0, np.take_along_axis(slack[some], fresh, axis=1))
    tableau.rows[some] = returns[ready.window[some][:, None], fresh]
    ready.chosen[some] = fresh


def _join(first: _Search, second: _Search) -> _Search:
    """Put two groups of windows of the same chunk together."""
    if not len(second.window):
        return first
    return _Search(
        np.concatenate([first.window, second.window]),
        np.concatenate([first.chosen, second.chosen]),
        first.tableau.join(second.tableau),
    )
