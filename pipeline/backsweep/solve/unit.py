"""One run of windows solved for several profiles that share their estimates.

The covariances of a batch are estimated once and every profile of the unit's family is solved with them. What is
shared changes nothing in the numbers: each estimate is computed from the same batch, whoever asks for it first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backsweep.arrays import Boolean, Float, Integer, Returns, Weights, Windows
from backsweep.eligibility import UNTRAINED_PROFILES, eligible_assets
from backsweep.errors import InvariantError, NumericError
from backsweep.solve import covariance as covariances
from backsweep.solve import expected_returns
from backsweep.solve.batching import Batch, batches
from backsweep.solve.engines.windows import import_engine, solve_windows
from backsweep.solve.limits import build_constraints, market_betas
from backsweep.solve.problem import Problem, Shared, Solution
from backsweep.solve.profiles import PROFILES, kernel_of
from backsweep.solve.residuals import residual
from backsweep.units import Estimator, Solve

__all__ = ["Timer", "solve_run"]

EMPTY = 1e-9  # gross under which a portfolio holds nothing

Timer = Callable[[str, str], Any]  # (stage, estimator) -> context manager that adds to that cell of the heatmap


def solve_run(solves: Sequence[Solve], windows: Windows, returns: Returns, timer: Timer) -> list[Weights]:
    """Return the weights of each of `solves` on the same run of windows, over the columns of each.

    All solves have the same columns, and all of them train or none does. A window without any eligible asset, or
    whose estimates or weights do not exist, is a failure with its reason; the others are solved.
    """
    columns = solves[0].columns
    trained = solves[0].profile not in UNTRAINED_PROFILES
    eligible = eligible_assets(returns, windows, solves[0].profile, columns)
    shape = (len(windows), len(columns))
    states = [_Target(np.full(shape, np.nan), np.full(len(windows), np.nan), {}) for _ in solves]
    lengths = windows.train_stop - windows.train_start if trained else np.zeros(len(windows), dtype=np.int64)
    for batch in batches(eligible, lengths, columns):
        if len(batch.assets) == 0:
            for state in states:
                state.fail(batch.rows, "no asset takes part: none has a price on every training row and is a member")
            continue
        shared = _Estimates(returns, windows, batch, timer)
        for solve, state in zip(solves, states, strict=True):
            if not solve.sequential:
                _solve_batch(solve, shared, state, timer)
    for solve, state in zip(solves, states, strict=True):
        if solve.sequential:
            _solve_in_turn(solve, eligible, lengths, (windows, returns), state, timer)
    return [Weights(state.values, state.certificate, state.failures) for state in states]


@dataclass(slots=True)
class _Target:
    """The weights of one solve while its batches are filled in."""

    values: Float
    certificate: Float
    failures: dict[int, str]

    def fail(self, rows: Integer, reason: str) -> None:
        self.failures.update((int(row), reason) for row in rows)

    def withdraw(self, rows: Integer, reason: str) -> None:
        """Take back the weights of windows that have none after all."""
        self.values[rows] = np.nan
        self.certificate[rows] = np.nan
        self.fail(rows, reason)

    def accept(self, batch: Batch, columns: Integer, solution: Solution) -> None:
        places = np.searchsorted(columns, batch.assets)
        weights = np.zeros((len(batch.rows), len(columns)))
        weights[:, places] = solution.weights
        for row, reason in solution.failures.items():
            weights[row] = np.nan
            self.failures[int(batch.rows[row])] = reason
        self.values[batch.rows] = weights
        self.certificate[batch.rows] = solution.certificate


class _Estimates:
    """The training rows of a batch and what has been estimated from them so far."""

    def __init__(self, returns: Returns, windows: Windows, batch: Batch, timer: Timer) -> None:
        self.batch = batch
        self.source = returns
        self.decision = windows.decision[batch.rows]
        self.starts = windows.train_start[batch.rows]
        self.length = int(windows.train_stop[batch.rows[0]] - windows.train_start[batch.rows[0]])
        self._timer = timer
        self._found: dict[str, Float] = {}
        self.shared = Shared()

    def training(self, assets: Integer | None = None) -> Float:
        """Return (B, L, n) training returns of the batch's assets."""
        key = "training" if assets is None else "benchmark"
        if key not in self._found:
            wanted = self.batch.assets if assets is None else assets
            rows = self.source.estimation
            chosen = rows if len(wanted) == rows.shape[1] else np.ascontiguousarray(rows[:, wanted])
            view = np.lib.stride_tricks.sliding_window_view(chosen, self.length, axis=0)
            step = np.diff(self.starts)
            if len(step) == 0 or ((step == step[0]).all() and step[0] > 0):
                stride = int(step[0]) if len(step) else 1
                picked = view[self.starts[0] : self.starts[-1] + 1 : stride]
            else:
                picked = view[self.starts]
            self._found[key] = np.swapaxes(picked, 1, 2)
        return self._found[key]

    def covariance(self, estimator: Estimator) -> Float:
        key = f"covariance {estimator.key}"
        if key not in self._found:
            with self._timer("covariance", estimator.name):
                self._found[key] = covariances.estimate(estimator.name, self.training(), estimator.parameters)
        return self._found[key]

    def mean(self, estimator: Estimator) -> Float:
        key = f"mean {estimator.key}"
        if key not in self._found:
            sample = self.covariance(Estimator("sample"))
            with self._timer("expectedReturns", estimator.name):
                self._found[key] = expected_returns.estimate(
                    estimator.name, self.training(), sample, estimator.parameters
                )
        return self._found[key]

    def risk_free(self) -> Float:
        """Return (B,) the riskless return of an estimator row: of as many simulation rows as it spans on average."""
        rate = self.source.risk_free[self.decision]
        rows = len(self.source.dates) / len(self.source.estimation_rows)
        scaled: Float = rate if rows == 1.0 else (1.0 + rate) ** rows - 1.0
        return scaled

    def beta(self) -> Float:
        """Return (B, n) betas against the benchmark; NaN in a window in which it has no return on a training row."""
        market = self.training(self.source.benchmark).mean(axis=2)
        unknown = np.isnan(market).any(axis=1)
        betas = market_betas(self.training(), np.where(unknown[:, None], 0.0, market))
        betas[unknown] = np.nan
        return betas


def _solve_batch(solve: Solve, shared: _Estimates, state: _Target, timer: Timer, previous: Float | None = None) -> None:
    if not solve.is_native:
        _ask_peer(solve, shared, state, timer)
        return
    profile = PROFILES[solve.profile]
    batch = shared.batch
    try:
        constraints = None
        beta = None
        neutral: Boolean = np.ones(len(batch.rows), dtype=np.bool_)
        if solve.constraints is not None:
            symbols = [shared.source.symbols[column] for column in batch.assets]
            constraints = build_constraints(solve.constraints, symbols)
            if constraints.beta_tolerance is not None:
                beta = shared.beta()
                neutral = np.asarray(~np.isnan(beta).any(axis=1))
                beta = np.where(neutral[:, None], beta, 0.0)
        problem = Problem(
            covariance=None if solve.covariance is None else shared.covariance(solve.covariance),
            mean=None if solve.mean is None else shared.mean(solve.mean),
            returns=_returns(solve, shared, profile.needs_returns),
            risk_free=shared.risk_free(),
            parameters=solve.parameters,
            constraints=constraints,
            beta=beta,
            previous=previous,
            shared=shared.shared,
        )
    except NumericError as error:
        state.fail(batch.rows, str(error))
        return
    with timer(solve.stage, solve.covariance.name if solve.covariance else "returns"):
        solution = kernel_of(solve.profile, solve.parameters)(problem)
    state.accept(batch, solve.columns, solution)
    state.withdraw(
        batch.rows[~neutral], "the benchmark or an asset lacks a return on a training row, so there is no beta"
    )
    if constraints is not None and constraints.net == 0:
        empty = np.abs(state.values[batch.rows]).sum(axis=1) < EMPTY
        state.withdraw(batch.rows[empty], "net 0 leaves this profile the empty portfolio alone")


def _ask_peer(solve: Solve, shared: _Estimates, state: _Target, timer: Timer) -> None:
    """Have a batch solved by another library, which estimates for itself, and measure how near the optimum it came."""
    with timer("import", solve.engine):
        fit = import_engine(solve)
    risk_free = shared.risk_free()
    training = _returns(solve, shared, needed=True)
    if training is None:
        raise InvariantError(f"{solve.engine} needs the training returns")
    with timer(solve.stage, solve.covariance.name if solve.covariance else "returns"):
        weights, failures = solve_windows(fit, solve, training, risk_free)
    try:
        problem = Problem(
            covariance=None if solve.covariance is None else shared.covariance(solve.covariance),
            mean=None if solve.mean is None else shared.mean(solve.mean),
            returns=training,
            risk_free=risk_free,
            parameters=solve.parameters,
        )
    except NumericError:  # the peer may estimate where native cannot; there is nothing to measure it by
        certificate = np.full(len(weights), np.nan)
    else:
        with timer("residual", solve.engine):
            certificate = residual(solve.profile, problem, weights)
    state.accept(shared.batch, solve.columns, Solution(weights, certificate, failures))


def _solve_in_turn(
    solve: Solve,
    eligible: Boolean,
    lengths: Integer,
    data: tuple[Windows, Returns],
    state: _Target,
    timer: Timer,
) -> None:
    """Solve window after window, each with the target before it; a failed window keeps that target."""
    windows, returns = data
    target: Float | None = None
    for row in range(len(windows)):
        assets = solve.columns[eligible[row]]
        batch = Batch(np.array([row], dtype=np.int64), assets)
        if len(assets) == 0:
            continue
        places = np.searchsorted(solve.columns, assets)
        previous = None if target is None else target[None, places]
        _solve_batch(solve, _Estimates(returns, windows, batch, timer), state, timer, previous)
        if row not in state.failures:
            target = state.values[row]


def _returns(solve: Solve, shared: _Estimates, needed: bool) -> Float | None:
    """Return the training returns a profile needs; for one that does not train no rows, which still say its shape."""
    if solve.profile in UNTRAINED_PROFILES:
        return np.empty((len(shared.batch.rows), 0, len(shared.batch.assets)))
    return shared.training() if needed else None
