"""What is measured of decisions and of all sweeps together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal

from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import (
    CancelFlowRun,
    Decision,
    DeleteChild,
    Gone,
    Instant,
    Kind,
    PatchStatus,
    Snapshot,
    SweepView,
)
from backsweep_operator.observe import Seen
from backsweep_operator.queue import AsyncQueue

__all__ = ["count_states", "measured", "watch_gauges"]

Deciding = Callable[[Snapshot, Instant], Decision]
NOT_OBSERVED = "New"


def measured(deciding: Deciding, metrics: OperatorMetrics) -> Deciding:
    """Return the same deciding, with what it decides counted."""
    leaks: set[tuple[str, str]] = set()

    def decide(snapshot: Snapshot, now: Instant) -> Decision:
        decision = deciding(snapshot, now)
        for action in decision.actions:
            match action:
                case DeleteChild(guard=Gone()):
                    _leak(str(action.reference.kind), action.reference.uid)
                case CancelFlowRun(guard=Gone()):
                    _leak("FlowRun", action.flow_run_id)
                case PatchStatus():
                    metrics.status_writes.add()
                    _time_to_cluster(snapshot, action, metrics)
                case _:
                    pass
        return decision

    def _leak(kind: str, identity: str) -> None:
        """Count an object once, however often its deletion is decided."""
        if (kind, identity) not in leaks:
            leaks.add((kind, identity))
            metrics.leaks.add(kind)

    return decide


def count_states(seen: Seen) -> Mapping[tuple[str, ...], float]:
    """Return how many sweeps are in each state."""
    views = (view for view in seen.views[Kind.SWEEP].values() if isinstance(view, SweepView))
    return {
        (state,): float(count) for state, count in Counter(str(v.status.state or NOT_OBSERVED) for v in views).items()
    }


def watch_gauges(metrics: OperatorMetrics, seen: Seen, queue: AsyncQueue[tuple[str, str]]) -> None:
    """Add what is read when Prometheus asks: sweeps by state, their cost, the queue."""
    metrics.gauge("backsweep_sweeps", "Sweeps by state.", ("state",), lambda: count_states(seen))
    metrics.gauge(
        "backsweep_sweeps_cost",
        "What all sweeps that are there would cost by their own prices.",
        ("currency",),
        lambda: _costs(seen),
    )
    metrics.gauge("backsweep_queue_depth", "Sweeps due or under work.", read=lambda: {(): float(len(queue.keys))})


def _costs(seen: Seen) -> Mapping[tuple[str, ...], float]:
    sums: dict[tuple[str, ...], Decimal] = {}
    for view in seen.views[Kind.SWEEP].values():
        if isinstance(view, SweepView) and view.status.cost is not None:
            cost = view.status.cost
            sums[cost.currency,] = sums.get((cost.currency,), Decimal(0)) + Decimal(cost.amount)
    return {currency: float(amount) for currency, amount in sums.items()}


def _time_to_cluster(snapshot: Snapshot, action: PatchStatus, metrics: OperatorMetrics) -> None:
    """Observe how long an attempt waited for its cluster, when that is first written."""
    before = None if snapshot.sweep is None else snapshot.sweep.status.run
    after = action.status.run
    if after is None or after.ready_at is None:
        return
    if before is None or before.attempt != after.attempt or before.ready_at is None:
        metrics.time_to_cluster.observe(float(after.ready_at - after.started_at))
