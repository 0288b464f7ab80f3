"""Optuna, asked for coordinates: the one place that knows it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from backsweep.errors import UserError
from backsweep.search.coordinates import Axis

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Told", "optimiser_version", "propose"]

Told = tuple[Mapping[str, float], float]  # coordinates, and their score: the more the better, -inf for the worst


def optimiser_version() -> str:
    """Return the version of Optuna, without importing it.

    Raises
    ------
    UserError
        If it is not installed.
    """
    try:
        return metadata.version("optuna")
    except metadata.PackageNotFoundError as error:
        message = (
            "spec.sampling.method: search needs Optuna, which is not installed: pip install 'backsweep[search]', or "
            "write sobol"
        )
        raise UserError(message) from error


def propose(axes: Sequence[Axis], told: Sequence[Told], seed: int) -> Iterator[dict[str, float]]:
    """Yield coordinates to try next, without end; what they give is never told, so each asks for a place of its own.

    They depend on the arguments and on Optuna's version alone. The sampler is a multivariate tree-structured Parzen
    estimator: it tells the best tenth of what it was told from the rest by their densities, and takes each proposal
    that is out for a bad one (`constant_liar`), so that a round spreads.

    Parameters
    ----------
    told : what is known, in an order that is part of the input; at least one.
    seed : 32 bits.

    Raises
    ------
    UserError
        If Optuna is not installed.
    """
    optimiser_version()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {axis.name: _distribution(axis) for axis in axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of what we pin by tests
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
        study = optuna.create_study(direction="maximize", sampler=sampler)
    for coordinates, score in told:
        params = {axis.name: _plain(axis, coordinates[axis.name]) for axis in axes}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=score))
    while True:
        yield dict(study.ask(space).params)


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.kind == "index":
        return CategoricalDistribution(tuple(range(axis.count)))
    return IntDistribution(0, axis.count - 1) if axis.kind == "rank" else FloatDistribution(0.0, 1.0)


def _plain(axis: Axis, coordinate: float) -> float:
    return float(coordinate) if axis.kind == "fraction" else int(coordinate)
