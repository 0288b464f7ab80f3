"""One pivot of the bounded simplex, on every window of a batch: price, line search, exchange.

The theory is in `bounded_simplex`, the basis in `simplex_tableau`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backsweep.arrays import Boolean, Float, Integer
from backsweep.solve.simplex_tableau import REST, TAIL, TIGHT, Box, Tableau, pick, products, shake

__all__ = ["Entering"]

OPTIMAL = 1e-12
"""Largest reduced cost (in root mean square return) or excess probability that counts as none."""
STALLED = 8
"""Every so many pivots in a row without progress the window is shaken."""
STRICT = 1e-9
"""From this reduced cost or distance of a probability to its bounds on, in the same units, it has a price."""
CANDIDATES = 16
"""In large universes only so many assets of the largest reduced cost have their edge measured."""
NEAREST = 12
"""The line search sorts all scenarios, but first looks at this many; more are rarely passed."""
HOPELESS = 400
"""Pivots in a row without progress after which a window counts as broken."""


@dataclass(frozen=True, slots=True)
class Entering:
    """What leaves its bound in each window: an asset (below N) or the scenario of slot (index - N).

    Parameters
    ----------
    index : (A,) which one.
    sign : (A,) +1 where the weight grows or the scenario joins the tail, -1 the other way.
    slope : (A,) change of the objective a step, negative; 0 where the vertex is optimal.
    direction : (A, M + 1) change of threshold and basic weights a step.
    probability : (A, M) q of the tight scenarios, by slot.
    """

    index: Integer
    sign: Float
    slope: Float
    direction: Float
    probability: Float


def price(tableau: Tableau, box: Box) -> Entering:
    """Choose what enters in each window by the steepest edge; ties go to the lowest index."""
    assets = tableau.rows.shape[2]
    reduced, probability = _reduced_costs(tableau, box)
    at_upper = tableau.weights >= box.upper
    gain = np.where(at_upper, reduced, -reduced)
    gain[tableau.basic] = 0.0
    excess = np.maximum(-probability, probability - 1.0 / box.tail_rows)
    excess[tableau.row_slot < 0] = 0.0
    candidate, columns = _candidates(tableau.tight, gain)
    if candidate is not None:
        gain = np.take_along_axis(gain, candidate, axis=1)
    edges = np.matmul(tableau.inverse, columns)

    count = gain.shape[1]
    merit = np.empty((len(gain), count + excess.shape[1]))
    own = tableau.inverse[:, 1:, 1:]
    merit[:, :count] = gain / np.sqrt(np.einsum("amn,amn->an", edges[:, 1:], edges[:, 1:]) + 1.0)
    merit[:, count:] = excess / np.sqrt(np.einsum("amn,amn->an", own, own) + 1e-30)
    merit[:, :count][gain <= OPTIMAL * tableau.scale[:, None]] = 0.0
    merit[:, count:][excess <= OPTIMAL] = 0.0
    best = merit.argmax(axis=1)
    optimal = pick(merit, best) <= 0.0

    windows = np.arange(len(best))
    is_asset = best < count
    place, slot = np.minimum(best, count - 1), np.maximum(best - count, 0)
    asset = place if candidate is None else candidate[windows, place]
    up = np.where(is_asset, ~at_upper[windows, asset], probability[windows, slot] > 0.0)
    sign = np.where(up, 1.0, -1.0)
    edge = np.where(is_asset[:, None], edges[windows, :, place], tableau.inverse[windows, :, slot + 1])
    rate = np.where(is_asset, gain[windows, place], excess[windows, slot])
    return Entering(
        index=np.where(is_asset, asset, assets + slot),
        sign=sign,
        slope=np.where(optimal, 0.0, -rate),
        direction=np.where(optimal, 0.0, -sign)[:, None] * edge,
        probability=probability,
    )


def is_unique(tableau: Tableau, box: Box) -> Boolean:
    """Whether the dual proves an optimal vertex (A,) to be the only optimum: all outside the basis has a price."""
    reduced, probability = _reduced_costs(tableau, box)
    gain = np.where(tableau.weights >= box.upper, reduced, -reduced)
    excess = np.maximum(-probability, probability - 1.0 / box.tail_rows)
    priced = (tableau.basic | (gain < -STRICT * tableau.scale[:, None])).all(axis=1)
    return np.asarray(priced & ((tableau.row_slot < 0) | (excess < -STRICT)).all(axis=1))


def _reduced_costs(tableau: Tableau, box: Box) -> tuple[Float, Float]:
    """Reduced costs of the assets (A, N) and probabilities of the tight scenarios (A, M)."""
    tail = tableau.state == TAIL
    cost = products(tail * (-1.0 / box.tail_rows), tableau.rows)
    gradient = np.empty(tableau.inverse.shape[:2])
    gradient[:, 0] = 1.0 - np.count_nonzero(tail, axis=1) / box.tail_rows
    gradient[:, 1:] = np.where(tableau.asset_slot < 0, 0.0, np.take_along_axis(cost, tableau.asset_slot, axis=1))
    dual = products(gradient, tableau.inverse)
    return cost - products(dual, tableau.tight), dual[:, 1:]


def _candidates(tight: Float, gain: Float) -> tuple[Integer | None, Float]:
    """The assets whose edges are worth measuring, (A, C), and their columns of `tight`; None means all."""
    if gain.shape[1] <= 2 * CANDIDATES:
        return None, tight
    candidate = np.sort(np.argpartition(-gain, CANDIDATES, axis=1)[:, :CANDIDATES], axis=1)
    return candidate, np.take_along_axis(tight, candidate[:, None, :], axis=2)


@dataclass(frozen=True, slots=True)
class _Block:
    """Where the line search stopped: step (A,), asset (A,) or scenario (A,), those passed, rates, lost (A,)."""

    step: Float
    by_asset: Boolean
    asset: Integer
    scenario: Integer
    passed: tuple[Integer, Integer]
    move: Float
    drift: Float
    lost: Boolean


def _search(tableau: Tableau, entering: Entering, box: Box) -> _Block:
    """Walk along the edge past scenarios that change sides until the slope is no longer negative."""
    windows = np.arange(len(entering.index))
    assets = tableau.weights.shape[1]
    live = entering.slope < 0.0
    move = np.zeros((len(windows), assets + 1))  # the last column takes what empty slots would write
    np.put_along_axis(move, np.where(tableau.asset_slot < 0, assets, tableau.asset_slot), entering.direction[:, 1:], 1)
    enters = live & (entering.index < assets)
    move[windows[enters], entering.index[enters]] = entering.sign[enters]
    move = move[:, :assets]
    drift = -np.matmul(tableau.rows, move[:, :, None])[:, :, 0] - entering.direction[:, :1]

    size = np.abs(drift)
    floor = 1e-11 * size.max(axis=1, keepdims=True)
    crosses = np.where(tableau.state == TAIL, drift < -floor, (tableau.state == REST) & (drift > floor))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(crosses, np.abs(tableau.slack) / size, np.inf)
        room = np.where(move < 0.0, tableau.weights - box.lower, box.upper - tableau.weights)
        reach = np.maximum(room, 0.0) / np.abs(move)
    reach[np.abs(move) <= 1e-12 * np.abs(move).max(axis=1, keepdims=True)] = np.inf
    order = _ascending(steps)
    place, nearest, near_steps = _stop(steps, size, entering.slope, order, box)
    found = np.isfinite(pick(near_steps, place))
    scenario_step = np.where(found, pick(near_steps, place), np.inf)
    asset = reach.argmin(axis=1)
    asset_step = pick(reach, asset)
    by_asset = asset_step < scenario_step
    step = np.where(by_asset, asset_step, scenario_step)
    lost = live & ~np.isfinite(step)
    step = np.where(live & ~lost, step, 0.0)
    count = np.where(by_asset, np.count_nonzero(near_steps < asset_step[:, None], axis=1), place)
    count[~live | lost] = 0
    passed = np.arange(nearest.shape[1]) < count[:, None]
    return _Block(
        step, by_asset, asset, pick(nearest, place), (np.nonzero(passed)[0], nearest[passed]), move, drift, lost
    )


def _ascending(steps: Float) -> Integer:
    """Order (A, P) of non-negative steps, equal ones by column: the column is put into their lowest bits.

    Sorting values is several times faster than sorting indices; steps are told apart to 1 part in 2^40.
    """
    mask = np.int64((1 << (steps.shape[1] - 1).bit_length()) - 1)
    keys = (steps.view(np.int64) & ~mask) | np.arange(steps.shape[1])
    keys.sort(axis=1)
    return keys & mask


def _stop(steps: Float, size: Float, start: Float, order: Integer, box: Box) -> tuple[Integer, Integer, Float]:
    """Where along each order the slope is no longer negative, the scenarios looked at and their steps."""
    for width in (min(NEAREST, order.shape[1]), order.shape[1]):
        nearest = order[:, :width]
        near = np.take_along_axis(steps, nearest, axis=1)
        rise = np.where(np.isfinite(near), np.take_along_axis(size, nearest, axis=1), 0.0)
        slope = start[:, None] + np.cumsum(rise, axis=1) / box.tail_rows
        stops = slope >= -1e-14 * np.abs(start[:, None])
        some = stops.any(axis=1)
        if (some | ~np.isfinite(near[:, -1])).all():
            break
    return np.where(some, stops.argmax(axis=1), width - 1), nearest, near


def pivot(tableau: Tableau, entering: Entering, box: Box) -> None:
    """Move every window that has something entering to the next vertex, in place."""
    if not (tableau.asset_slot < 0).any(axis=1).all() or not (tableau.row_slot < 0).any(axis=1).all():
        tableau.widen(8)
        entering = price(tableau, box)
    block = _search(tableau, entering, box)
    tableau.broken |= block.lost
    tableau.weights += block.step[:, None] * block.move
    tableau.slack += block.step[:, None] * block.drift
    tableau.threshold += block.step * entering.direction[:, 0]
    tableau.state[block.passed] = TAIL - tableau.state[block.passed]
    progress = block.step * -entering.slope > 1e-15 * tableau.scale
    tableau.stalls = np.where(progress, 0, tableau.stalls + 1)
    tableau.broken |= tableau.stalls > HOPELESS
    windows = np.flatnonzero((entering.slope < 0.0) & ~block.lost)
    index, asset = entering.index[windows], block.asset[windows]
    flips = block.by_asset[windows] & (index == asset)
    bound = np.where(block.move[windows, asset] < 0.0, box.lower[asset], box.upper[asset])
    stopped = block.by_asset[windows]
    tableau.weights[windows[stopped], asset[stopped]] = bound[stopped]
    _exchange(tableau, entering, block, windows[~flips])
    shake(tableau, windows[tableau.stalls[windows] % STALLED == STALLED - 1])


def _exchange(tableau: Tableau, entering: Entering, block: _Block, windows: Integer) -> None:
    """Update the basis of `windows` by the one rank-one formula and record who is in it."""
    assets = tableau.weights.shape[1]
    index, sign = entering.index[windows], entering.sign[windows]
    asset, scenario = block.asset[windows], block.scenario[windows]
    enters, leaves = index < assets, block.by_asset[windows]
    every = np.arange(len(windows))
    inverse = tableau.inverse[windows]
    asset_slot, row_slot = tableau.asset_slot[windows], tableau.row_slot[windows]
    column = np.where(leaves, (asset_slot == asset[:, None]).argmax(axis=1), (asset_slot < 0).argmax(axis=1))
    freed = np.maximum(index - assets, 0)
    row = np.where(enters, (row_slot < 0).argmax(axis=1), freed)

    left = -sign[:, None] * entering.direction[windows]
    left[every[enters], column[enters] + 1] -= 1.0
    returns = tableau.rows[windows, scenario]
    member = np.empty((len(windows), inverse.shape[1]))
    member[:, 0] = 1.0
    member[:, 1:] = np.where(asset_slot < 0, 0.0, np.take_along_axis(returns, asset_slot, axis=1))
    right = np.where(leaves[:, None], inverse[every, column + 1], products(member, inverse))
    right[every[~leaves], row[~leaves] + 1] -= 1.0
    rate = np.where(leaves, block.move[windows, asset], -block.drift[windows, scenario])
    left *= (sign / rate)[:, None]
    inverse += left[:, :, None] * right[:, None, :]
    shrinks = every[leaves & ~enters]
    inverse[shrinks, column[shrinks] + 1] = 0.0
    inverse[shrinks, :, row[shrinks] + 1] = 0.0
    tableau.inverse[windows] = inverse

    gone, come = windows[leaves], windows[enters]
    tableau.basic[gone, asset[leaves]] = False
    tableau.asset_slot[gone, column[leaves]] = -1
    tableau.basic[come, index[enters]] = True
    tableau.asset_slot[come, column[enters]] = index[enters]
    relaxed = windows[~enters]
    side = np.where(sign[~enters] > 0.0, TAIL, REST)
    tableau.state[relaxed, tableau.row_slot[relaxed, freed[~enters]]] = side
    tableau.row_slot[relaxed, freed[~enters]] = -1
    tableau.tight[relaxed, freed[~enters] + 1] = 0.0
    met = windows[~leaves]
    tableau.state[met, scenario[~leaves]] = TIGHT
    tableau.slack[met, scenario[~leaves]] = 0.0
    tableau.row_slot[met, row[~leaves]] = scenario[~leaves]
    tableau.tight[met, row[~leaves] + 1] = returns[~leaves]
