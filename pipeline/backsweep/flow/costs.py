"""What a run held, stage by stage, for its simulated cost: the document's resources where it names them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backsweep.flow.holdings import held_by
from backsweep.flow.prepare import COMPUTING
from backsweep.flow.run import Ran
from backsweep.sweep.cost import Held, Use, computing_uses, cost_record, stage_use
from backsweep.sweep.work import peak_bytes
from backsweep_api.pricing import prices_of

__all__ = ["run_cost"]

STARTING = "start workers"


def run_cost(ran: Ran) -> dict[str, Any] | None:
    """Return what the run would have cost up to now, by stage; None where the document has no prices.

    Every stage holds one process; while blocks are computed, and on this machine until the trials are compared, the
    workers are held, too. A serial run's process is its worker; beside other processes it waits and is not counted.
    """
    pricing = ran.prepared.document.spec.pricing
    if pricing is None:
        return None
    cluster = ran.prepared.spec.get("cluster", {})
    head, head_basis = held_by(cluster.get("head"), peak_bytes())
    worker, worker_basis = held_by(cluster.get("workers"), ran.computed.peak_bytes or peak_bytes())
    uses: list[Use] = []
    for stage, seconds in ran.prepared.times.seconds.items():
        uses += _uses(ran, stage, seconds, head, worker)
    basis = f"this process: {head_basis}"
    if ran.place.kind != "serial":
        basis += f"; {ran.place.workers} workers of {worker_basis}"
    return cost_record(prices_of(pricing), uses, basis)


def _uses(ran: Ran, stage: str, seconds: float, head: Held, worker: Held) -> list[Use]:
    place = ran.place
    workers = worker * Decimal(place.workers)
    if stage == "compare" and place.kind in ("ray", "processes") and ran.computed.fresh:
        return [stage_use(stage, head + workers if place.is_ray else workers, seconds)]
    if stage != COMPUTING or not ran.computed.fresh:
        return [stage_use(stage, head, seconds)]
    if place.kind == "serial":
        return computing_uses(stage, head, 1, seconds, ran.computed.seconds)
    # Ray is there before the first block; processes start with it.
    starting = min(ran.workers.start_seconds, seconds) if place.is_ray else 0.0
    uses = [stage_use(STARTING, head + workers, starting)] if starting else []
    computing = seconds - starting
    if place.is_ray:
        uses.append(stage_use(f"{stage}: head", head, computing))
    return [*uses, *computing_uses(stage, worker, place.workers, computing, ran.computed.seconds)]
