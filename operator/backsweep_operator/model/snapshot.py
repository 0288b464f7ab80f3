"""Everything one decision is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from backsweep_operator.model.release import Release
from backsweep_operator.model.views import ClusterView, FlowRunView, JobView, PodView, PolicyView, SweepView

__all__ = ["Instant", "Snapshot"]

Instant = float
"""Seconds since 1970, passed in; nothing here reads a clock."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A sweep and all that carries its name, as far as it has been seen.

    Any part may be out of date; what cannot bear that is read again live by `act`.

    Parameters
    ----------
    sweep : None once there is none of this name.
    clusters, jobs, pods, policies, flow_runs : of every sweep that ever had this name; those of another uid are
        left over from one that is gone.
    flow_runs_at : when Prefect last answered about flow runs; None if it has not since this process began.
    others_active : other sweeps with an active or stopping attempt.
    others_ahead : other sweeps that wait for a place and came earlier.
    service_accounts : ServiceAccounts of the namespace that are labelled as usable by sweeps.
    """

    namespace: str
    name: str
    release: Release
    sweep: SweepView | None
    clusters: tuple[ClusterView, ...] = ()
    jobs: tuple[JobView, ...] = ()
    pods: tuple[PodView, ...] = ()
    policies: tuple[PolicyView, ...] = ()
    flow_runs: tuple[FlowRunView, ...] = ()
    flow_runs_at: Instant | None = None
    others_active: int = 0
    others_ahead: int = 0
    service_accounts: frozenset[str] = field(default_factory=frozenset)
