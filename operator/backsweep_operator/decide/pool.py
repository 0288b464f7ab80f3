"""Whether a sweep gets a Ray cluster of its own, and how large: from the plan alone, the same each time."""

from __future__ import annotations

import math

from backsweep_api.quantities import read_quantity
from backsweep_api.spec.cluster import Workers
from backsweep_api.spec.document import Spec

__all__ = ["pool_size"]

STRATEGY_TRIALS_A_CORE = 20
"""Trials of the user's own code that are worth a core: nobody can know what one takes, so few are."""


def pool_size(spec: Spec, trials: int) -> int:
    """Return how many workers an attempt's own cluster has; 0 if it needs none.

    offloadThreshold says how many serial tasks are worth leaving one machine for; each that many are worth a core.
    The number is kept between workers.min and workers.max and never changes during an attempt.
    """
    if not needs_cluster(spec, trials):
        return 0
    given = None if spec.cluster is None else spec.cluster.workers
    workers = given or Workers.model_validate({})
    trials_a_core = spec.execution.offload_threshold
    if spec.strategy is not None:
        trials_a_core = min(trials_a_core, STRATEGY_TRIALS_A_CORE)
    cores_a_worker = max(int(read_quantity(workers.cpu)), 1)
    wanted = math.ceil(trials / (trials_a_core * cores_a_worker))
    return min(max(wanted, workers.min), workers.max)


def needs_cluster(spec: Spec, trials: int) -> bool:
    """Whether a Ray cluster is made for the sweep."""
    if spec.cluster is not None and spec.cluster.existing is not None:
        return False
    if spec.strategy is not None or spec.execution.mode == "ray":
        return True
    return spec.execution.mode == "auto" and trials >= spec.execution.offload_threshold
