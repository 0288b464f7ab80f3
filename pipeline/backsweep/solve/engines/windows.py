"""The windows of a batch, one after the other, by a peer: what it raises is a failed window with its reason."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable

import numpy as np

from backsweep.arrays import Float
from backsweep.errors import InvariantError
from backsweep.solve.engines.versions import check_versions
from backsweep.units import Solve

__all__ = ["ENGINES", "import_engine", "solve_windows"]

ENGINES = {
    "skfolio": (
        "backsweep.solve.engines.skfolio_models",
        ("skfolio.optimization", "skfolio.cluster", "skfolio.moments", "skfolio.prior"),
    ),
    "pyportfolioopt": ("backsweep.solve.engines.pyportfolioopt_models", ("pypfopt",)),
}
"""Engine -> our module that asks it, and what of its own is imported, so that no window pays for that."""

BUDGET_ERROR = 1e-3  # a sum of weights further from 1 than this is no fully invested portfolio
LONGEST_REASON = 200
SEED = 0

Fit = Callable[[Solve, Float, float], Float]


def import_engine(solve: Solve) -> Fit:
    """Return what asks the solve's engine for a window, having imported it in the versions it was planned with.

    Raises
    ------
    UserError
        If other versions are installed here.

    Source: definition; checked in tests/unit/test_engine_windows.py.
    """
    if solve.engine not in ENGINES:
        raise InvariantError(f"there is no engine {solve.engine}")
    check_versions(solve.engine, solve.versions)
    ours, theirs = ENGINES[solve.engine]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a peer's imports warn of is its own affair
        for name in theirs:
            importlib.import_module(name)
    fit: Fit = importlib.import_module(ours).fit
    return fit


def solve_windows(fit: Fit, solve: Solve, training: Float, risk_free: Float) -> tuple[Float, dict[int, str]]:
    """Return the weights of each window, and why those that have none failed.

    Each window is solved from its own rows alone, with numpy's global generator at one seed, so that it does not
    matter which windows share a unit.

    Parameters
    ----------
    training : (B, L, n) float64, no NaN.
    risk_free : (B,) float64, a row.

    Returns
    -------
    weights : (B, n) float64, as the peer gave them; a row that failed is NaN.
    failures : row -> one sentence.

    NaN policy: a peer that returns NaN has failed.

    Source: definition; checked in tests/unit/test_engine_windows.py.
    """
    weights = np.full((len(training), training.shape[2]), np.nan)
    failures: dict[int, str] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a peer's advice is for the one who calls it by hand
        for row in range(len(training)):
            found, reason = _attempt(fit, solve, np.ascontiguousarray(training[row]), float(risk_free[row]))
            if reason is None:
                weights[row] = found
            else:
                failures[row] = reason
    return weights, failures


def _attempt(fit: Fit, solve: Solve, training: Float, risk_free: float) -> tuple[Float, str | None]:
    """Return one window's weights, or nothing and why."""
    nothing: Float = np.empty(0)
    np.random.seed(SEED)  # noqa: NPY002, TID251  # a peer that draws does so from numpy's global generator
    try:
        found = fit(solve, training, risk_free)
    except (MemoryError, ImportError, InvariantError):
        raise  # these say something about this machine or about us, not about the window
    except Exception as error:  # whatever a peer raises means that it has no weights here
        first = str(error).strip().partition("\n")[0][:LONGEST_REASON]
        return nothing, f"{solve.engine} raised {type(error).__name__}: {first}".rstrip(": ")
    if not np.isfinite(found).all():
        return nothing, f"{solve.engine} gave weights that are not finite"
    if abs(found.sum() - 1.0) > BUDGET_ERROR:
        return nothing, f"{solve.engine} gave weights that sum to {found.sum():.6g}"
    return found, None
