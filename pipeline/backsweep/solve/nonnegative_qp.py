"""The one quadratic programme behind minimum variance, maximum Sharpe and maximum diversification.

minimise y'Cy / 2 - a'y over y >= 0, for all windows of a batch at once. Everything happens in risk
units, u = D y with D = diag(C)^(1/2), where C becomes a correlation matrix and no tolerance depends
on the scale of an asset.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from backsweep.arrays import Boolean, Float, Integer

__all__ = ["BAR", "solve_nonnegative"]

BAR = 1e-10  # the worst relative KKT residual that counts as solved
_AIM = 1e-12  # a residual above this is worth another method
_WEAK = 1e-9  # multipliers and pivots under this mean that the optimum may not be unique
_NOISE = 1e-13  # rounding of a multiplier, in units of max(b)
_RIDGE = 1e-7  # of the proximal steps: error in flat directions about 1e-16 / ridge
_PROXIMAL_STEPS = 40
_UNBOUNDED = 1e6  # an optimum this long, in units of max(b), could not be certified
_CHANCES = 3  # rounds of block exchanges without fewer infeasible variables
_LARGE = 128  # passive variables
_START_STEPS = 6  # projected gradient steps that guess the first passive set
_PACK = 96  # windows whose systems are solved in one call
_CHUNK = 1 << 21  # entries of the matrices in work at once: 16 MB


def solve_nonnegative(covariance: Float, linear: Float) -> tuple[Float, Float, Boolean]:
    """Solve min y'Cy / 2 - a'y over y >= 0 for every window, with a certificate for each.

    The three mean-variance profiles are this problem followed by a division by the sum; a single
    kernel makes each of them as fast and as exact as the others.

    Method: block principal pivoting on all windows at once, from the passive set that a few projected
    gradient steps point to. A window whose infeasible variables do not get fewer in three rounds, or whose
    system is singular, goes to Lawson and Hanson's active set, which cannot cycle and never needs more
    passive variables than the rank. Windows whose optimum may not be unique (twins), and those whose
    residual is above 1e-12, take proximal steps from zero,
    min y'Cy / 2 - a'y + ridge |u - u_k|^2 / 2, each solved by the same pivoting: their limit is the
    optimum of least norm in risk units as far as the signs allow, so twins share equally. What is still
    above 1e-12 is given to DAQP; of all answers the one with the smallest residual is kept.

    Parameters
    ----------
    covariance : (B, N, N) float64, symmetric positive semidefinite, finite; any scale.
    linear : (B, N) float64, finite; the vector a.

    Returns
    -------
    y : (B, N) float64, at least 0. An asset without variance gets 0. All zero where no entry of
        `linear` is positive (that is the optimum).
    residual : (B,) float64, the relative KKT residual max_i |min(u_i, z_i)| / max_i b_i with
        R = D^-1 C D^-1, b = D^-1 a, z = R u - b. It does not change when C, a or an asset is scaled;
        0 where y = 0 is the optimum, and infinite for an asset without variance and a positive
        entry of `linear`, where the problem is unbounded.
    ok : (B,) bool, residual <= 1e-10. False also means "unbounded": a portfolio without variance
        and with a positive linear term.

    Notes
    -----
    No NaN is accepted. The answer of a window depends on nothing outside the arrays given.

    Source: Judice and Pires (1994), "A block principal pivoting algorithm for large-scale strictly monotone linear
    complementarity problems", Computers & OR 21; Kim and Park (2011), "Fast nonnegative matrix factorization", SIAM J.
    Sci. Comput. 33, algorithm 2; Lawson and Hanson (1974), "Solving least squares problems", chapter 23;
    Rockafellar (1976) for the proximal steps. Checked in tests/unit/test_solve_nonnegative_qp.py.
    """
    batch, assets = linear.shape
    solution = np.zeros((batch, assets))
    residual = np.zeros(batch)
    step = max(1, _CHUNK // max(1, assets * assets))
    for start in range(0, batch, step):
        rows = slice(start, start + step)
        solution[rows], residual[rows] = _solve_chunk(covariance[rows], linear[rows])
    return solution, residual, residual <= BAR


def _solve_chunk(covariance: Float, linear: Float) -> tuple[Float, Float]:
    """Scale, pivot, and settle what pivoting left open; see `solve_nonnegative`."""
    variance = np.einsum("bii->bi", covariance)
    flat = variance <= 0
    deviation = np.sqrt(np.where(flat, 1.0, variance))
    inverse = 1.0 / deviation
    correlation = covariance * inverse[:, :, None]
    correlation *= inverse[:, None, :]
    gain = linear * inverse
    top = gain.max(axis=1)
    if flat.any():
        # an asset without variance is decoupled and pushed to its bound
        correlation[flat[:, :, None] | flat[:, None, :]] = 0.0
        gain = np.where(flat, -np.abs(top)[:, None] - 1e-300, gain)
    np.einsum("bii->bi", correlation)[:] = 1.0
    unbounded = (flat & (linear > 0)).any(axis=1)
    work = np.flatnonzero((gain.max(axis=1) > 0) & ~unbounded)
    solution = np.zeros_like(linear)
    residual = np.where(unbounded, np.inf, 0.0)
    if len(work):
        everything = len(work) == len(linear)
        matrix = correlation if everything else correlation[work]
        # what overflows (a matrix that is not positive semidefinite) is seen by its residual
        with np.errstate(over="ignore", invalid="ignore"):
            units, residual[work] = _solve_scaled(matrix, gain if everything else gain[work])
        solution[work] = units * inverse[work]
    return solution, residual


def _solve_scaled(matrix: Float, gain: Float) -> tuple[Float, Float]:
    """Solve in risk units: unit diagonal, at least one positive gain in every window."""
    scale = gain.max(axis=1)
    gain = gain / scale[:, None]
    units, weak = _pivot(matrix, gain, _guess(matrix, gain))
    residual = _residual(matrix, gain, units)
    doubtful = np.flatnonzero(weak | ~(residual <= _AIM))
    if len(doubtful):
        better, its_residual = _settle(matrix[doubtful], gain[doubtful])
        # a certified least-norm answer goes before any other optimum
        take = (its_residual <= _AIM) | ~(residual[doubtful] <= its_residual)
        rows = doubtful[take]
        units[rows], residual[rows] = better[take], its_residual[take]
    for row in np.flatnonzero(~(residual <= _AIM)):
        answer = _ask_daqp(matrix[row], gain[row])
        its = _residual(matrix[row : row + 1], gain[row : row + 1], answer[None])[0]
        if its < residual[row] or np.isnan(residual[row]):
            units[row], residual[row] = answer, its
    lost = ~np.isfinite(residual)
    units[lost], residual[lost] = 0.0, np.inf
    return units * scale[:, None], residual


def _residual(matrix: Float, gain: Float, units: Float) -> Float:
    """Return the natural residual of the complementarity problem, for gains with maximum 1."""
    slack: Float = np.matvec(matrix, units) - gain
    natural: Float = np.abs(np.minimum(units, slack)).max(axis=1)
    return natural


def _guess(matrix: Float, gain: Float) -> Boolean:
    """Return the support after a few projected gradient steps with exact line search."""
    units = np.maximum(gain, 0.0)
    image = np.matvec(matrix, units)
    length = np.vecdot(gain, units) / np.maximum(np.vecdot(units, image), 1e-300)
    units *= length[:, None]
    slope = length[:, None] * image - gain
    for _ in range(_START_STEPS):
        direction = np.where((units > 0) | (slope < 0), -slope, 0.0)
        image = np.matvec(matrix, direction)
        length = np.vecdot(direction, direction) / np.maximum(np.vecdot(direction, image), 1e-300)
        length = np.minimum(length, 10.0)  # a flat direction must not run away
        units = np.maximum(units + length[:, None] * direction, 0.0)
        slope = np.matvec(matrix, units) - gain
    return units > 0


def _pivot(matrix: Float, gain: Float, passive: Boolean) -> tuple[Float, Boolean]:
    """Exchange infeasible variables until none is left; also tell where the optimum may not be unique.

    Returns the last iterate of each window, (B, N), and (B,) bool.
    """
    batch, assets = gain.shape
    passive = passive.copy()
    units = np.zeros_like(gain)
    weak = np.zeros(batch, dtype=bool)
    stuck = np.zeros(batch, dtype=bool)
    fewest = np.full(batch, assets + 1)
    chances = np.full(batch, _CHANCES)
    size = passive.sum(axis=1)
    live = np.arange(batch)
    while len(live):
        part, right, inside = matrix, gain, passive
        if len(live) < batch:
            part, right, inside = matrix[live], gain[live], passive[live]
        answer, singular = _solve_passive(part, right, inside)
        slack = np.matvec(part, answer) - right
        wrong = np.where(inside, answer < 0, slack < -_NOISE)
        count = wrong.sum(axis=1)
        units[live] = answer
        weak[live] = singular | (~inside & (slack < _WEAK)).any(axis=1)
        improved = count < fewest[live]
        fewest[live] = np.where(improved, count, fewest[live])
        chances[live] = np.where(improved, _CHANCES, chances[live] - 1)
        broken = ~np.isfinite(slack).all(axis=1)
        lost = broken | ((count > 0) & (chances[live] < 0))
        stuck[live[lost]] = True
        going = (count > 0) & ~lost
        live, wrong = live[going], wrong[going]
        passive[live] ^= wrong
        # a large set that grows is on its way past the rank, by ever dearer systems
        grown = passive[live].sum(axis=1)
        lost = (grown > _LARGE) & (grown > size[live])
        size[live] = grown
        stuck[live[lost]] = True
        live = live[~lost]
    rows = np.flatnonzero(stuck)
    if len(rows):
        passive[rows] = [_descend(matrix[row], gain[row]) for row in rows]
        units[rows], singular = _solve_passive(matrix[rows], gain[rows], passive[rows])
        slack = np.matvec(matrix[rows], units[rows]) - gain[rows]
        weak[rows] = singular | (~passive[rows] & (slack < _WEAK)).any(axis=1)
    return units, weak


def _descend(matrix: Float, gain: Float) -> Boolean:
    """Return the support found by Lawson and Hanson's active set for one window.

    One variable enters at a time and the objective falls with each: it cannot cycle, and the passive set never
    outgrows the rank of the matrix.
    """
    assets = len(gain)
    units = np.zeros(assets)
    inside = np.zeros(assets, dtype=bool)
    barred = np.zeros(assets, dtype=bool)
    slack = -gain
    for _ in range(10 * assets):
        hope = np.where(inside | barred, 0.0, -slack)
        entering = int(np.argmax(hope))
        if hope[entering] <= _NOISE:
            break
        inside[entering] = True
        while True:
            members = np.flatnonzero(inside)
            packed = matrix[members[:, None], members]
            trial, _ = _solve_systems(packed[None], gain[members][None])
            step = trial[0] - units[members]
            if not step[members == entering].max(initial=-np.inf) > -units[entering] and inside[entering]:
                # rounding: the entering variable would not grow
                inside[entering] = False
                barred[entering] = True
                break
            falling = trial[0] <= 0
            if not falling.any():
                units[members] = trial[0]
                barred[:] = False
                break
            length = units[members[falling]] / -step[falling]
            units[members] += length.min() * step
            leaving = members[falling][length <= length.min()]
            units[leaving] = 0.0
            inside[leaving] = False
        members = np.flatnonzero(inside)
        slack = units[members] @ matrix[members] - gain
    return inside


def _solve_passive(matrix: Float, gain: Float, passive: Boolean) -> tuple[Float, Boolean]:
    """Solve R_FF u_F = b_F for each window's passive set F, in packs of windows with sets of similar size.

    Returns u (B, N), zero outside F, and where R_FF is close to singular, (B,) bool.
    """
    count = passive.sum(axis=1)
    units = np.zeros_like(gain)
    singular = np.zeros(len(gain), dtype=bool)
    order: Integer = np.argsort(~passive, axis=1, kind="stable")
    by_size = np.argsort(count, kind="stable")
    for start in range(0, len(count), _PACK):
        rows = by_size[start : start + _PACK]
        size = int(count[rows[-1]])
        if size:
            columns = order[rows, :size]
            padding = np.arange(size) >= count[rows, None]
            packed = matrix[rows[:, None, None], columns[:, :, None], columns[:, None, :]]
            right = gain[rows[:, None], columns]
            if padding.any():  # a padding row says u = 0
                packed[padding] = 0.0
                right[padding] = 0.0
                np.einsum("bii->bi", packed)[padding] = 1.0
            units[rows[:, None], columns], singular[rows] = _solve_systems(packed, right)
    return units, singular


def _solve_systems(packed: Float, right: Float) -> tuple[Float, Boolean]:
    """Solve a stack of systems; NaN where one is exactly singular, a flag where one nearly is.

    A second right-hand side tells: its solution is about 1 / (the smallest eigenvalue) long.
    """
    probe = np.cos(np.arange(1.0, right.shape[1] + 1.0))
    both = np.empty((*right.shape, 2))
    both[:, :, 0], both[:, :, 1] = right, probe
    try:
        answer: Float = np.linalg.solve(packed, both).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        answer = np.full_like(both, np.nan)
        for row in range(len(packed)):
            with suppress(np.linalg.LinAlgError):
                answer[row] = np.linalg.solve(packed[row], both[row])
    singular: Boolean = ~(np.abs(answer[:, :, 1]).max(axis=1) < 1.0 / _WEAK)
    return answer[:, :, 0], singular


def _settle(matrix: Float, gain: Float) -> tuple[Float, Float]:
    """Take proximal steps from zero, each window until its residual is at rounding level or stays."""
    ridged = matrix + _RIDGE * np.eye(matrix.shape[1])
    best = np.zeros_like(gain)
    residual = np.full(len(gain), np.inf)
    centre = np.zeros_like(gain)
    live = np.arange(len(gain))
    for _ in range(_PROXIMAL_STEPS):
        part, target = ridged[live], gain[live] + _RIDGE * centre
        centre, _ = _pivot(part, target, centre > 0 if centre.any() else _guess(part, target))
        now = _residual(matrix[live], gain[live], centre)
        going = (now < 0.5 * residual[live]) & (now > _NOISE) & (centre.max(axis=1) < _UNBOUNDED)
        better = now < residual[live]
        best[live[better]], residual[live[better]] = centre[better], now[better]
        live, centre = live[going], centre[going]
        if len(live) == 0:
            break
    return best, residual


def _ask_daqp(matrix: Float, gain: Float) -> Float:
    """Return DAQP's answer for one window, NaN where it reports none; imported late, few windows need it."""
    import daqp

    assets = len(gain)
    answer, _, exit_flag, report = daqp.solve(
        np.ascontiguousarray(matrix),
        np.ascontiguousarray(-gain),
        np.zeros((0, assets)),
        np.full(assets, 1e30),
        np.zeros(assets),
        np.zeros(assets, dtype=np.intc),
        primal_tol=1e-12,
        dual_tol=1e-12,
        iter_limit=100 * assets + 1000,
    )
    if exit_flag < 1:
        return np.full(assets, np.nan)
    at_bound = np.asarray(report["lam"]) != 0
    return np.where(at_bound, 0.0, np.maximum(np.asarray(answer, dtype=np.float64), 0.0))
