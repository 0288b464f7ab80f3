"""The table of profiles: which kernel solves each, and what it needs to be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from backsweep.solve import (
    barbell,
    equal_weight,
    herc,
    hrp,
    inverse_volatility,
    max_diversification,
    max_sharpe,
    min_cvar,
    min_variance,
    nco,
    risk_parity,
)
from backsweep.solve.problem import Kernel, Problem, Solution

__all__ = ["PROFILES", "Profile", "kernel_of"]


@dataclass(frozen=True, slots=True)
class Profile:
    """A portfolio construction method.

    Parameters
    ----------
    kernel : solves a batch of windows; None where it is made from another profile (barbell).
    summary : one line for people.
    source : paper or definition.
    needs_returns : whether it needs the training returns themselves, not only their moments.
    competes : whether it can win a tournament.
    """

    kernel: Kernel | None
    summary: str
    source: str
    needs_returns: bool = False
    competes: bool = True


PROFILES: Mapping[str, Profile] = {
    "equal_weight": Profile(equal_weight.solve, "the same weight in every asset", "DeMiguel, Garlappi, Uppal 2009"),
    "inverse_volatility": Profile(
        inverse_volatility.solve, "weights in proportion to 1 / volatility", "Leote de Carvalho, Lu, Moulin 2012"
    ),
    "min_variance": Profile(min_variance.solve, "the least variance, long only", "Markowitz 1952"),
    "max_sharpe": Profile(max_sharpe.solve, "the highest expected Sharpe ratio", "Tobin 1958; Sharpe 1966"),
    "max_diversification": Profile(
        max_diversification.solve, "the highest diversification ratio", "Choueifaty, Coignard 2008"
    ),
    "risk_parity": Profile(risk_parity.solve, "equal risk contributions", "Maillard, Roncalli, Teiletche 2010"),
    "hrp": Profile(hrp.solve, "hierarchical risk parity", "Lopez de Prado 2016"),
    "herc": Profile(herc.solve, "hierarchical equal risk contribution", "Raffinot 2018"),
    "nco": Profile(nco.solve, "nested clustered optimisation, minimum variance", "Lopez de Prado 2019"),
    "min_cvar": Profile(
        min_cvar.solve, "the least conditional value at risk", "Rockafellar, Uryasev 2000", needs_returns=True
    ),
    "barbell": Profile(
        None, "a core profile beside a sleeve of the best-scored assets", "Taleb 2012", needs_returns=True
    ),
    "market": Profile(equal_weight.solve, "equal weight of data.benchmark's symbols", "definition", competes=False),
    "benchmark": Profile(equal_weight.solve, "equal weight of the eligible universe", "definition", competes=False),
}


PLAIN_CORES = frozenset({"inverse_volatility", "min_variance", "max_sharpe", "max_diversification", "risk_parity"})


def kernel_of(name: str, parameters: Mapping[str, Any]) -> Kernel:
    """Return the kernel of a profile; barbell's is built around its core's."""
    kernel = PROFILES[name].kernel
    if kernel is None:
        return partial(barbell.solve, core=kernel_of(parameters["core"], {}))
    return partial(_solve_once, name, kernel) if name in PLAIN_CORES else kernel


def _solve_once(name: str, kernel: Kernel, problem: Problem) -> Solution:
    """Solve a profile that has no parameters once a batch, for itself and as the core of barbells."""
    if problem.constraints is not None or problem.covariance is None:
        return kernel(problem)
    mean = "" if problem.mean is None else f" {id(problem.mean)}"  # one array an estimator and batch
    return problem.shared.once(problem.covariance, f"{name}{mean}", partial(kernel, problem))
