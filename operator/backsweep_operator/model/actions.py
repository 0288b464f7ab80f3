"""What a decision asks for: one API call an action, complete values, nothing left to work out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backsweep_api.names import AttemptName
from backsweep_api.status import Run, SweepStatus
from backsweep_operator.model.views import Kind, Reference

__all__ = [
    "Action",
    "ApplyChild",
    "AtRun",
    "CancelFlowRun",
    "CreateFlowRun",
    "Decision",
    "DeleteChild",
    "EmitEvent",
    "EnsureDeployment",
    "ExtendCluster",
    "FlowRunRequest",
    "FreePlace",
    "Gone",
    "Guard",
    "NothingRuns",
    "PatchStatus",
    "Premise",
    "StillMissing",
]


@dataclass(frozen=True, slots=True)
class AtRun:
    """The live sweep must be this one and at this run; with a generation, at that, too, and not being deleted."""

    namespace: str
    name: str
    uid: str
    run: Run | None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """The live API must have no sweep of this uid, or one that is being deleted."""

    namespace: str
    name: str
    uid: str


Guard = AtRun | Gone
"""What `act` reads live before the call; where it does not hold, the call is not made and all is observed again."""


@dataclass(frozen=True, slots=True)
class NothingRuns:
    """By live reads: no RayCluster, no unfinished Job, no running pod of the sweep; `attempt`'s flow run has ended.

    Parameters
    ----------
    finished_jobs : whether finished Jobs may be left; a new attempt wants none.
    """

    namespace: str
    uid: str
    attempt: AttemptName | None
    finished_jobs: bool


@dataclass(frozen=True, slots=True)
class StillMissing:
    """By a live read: there is no object of this kind with these labels."""

    kind: Kind
    attempt: AttemptName


@dataclass(frozen=True, slots=True)
class FreePlace:
    """Fewer than `limit` other sweeps have an attempt, those counted whose beginning is still under way."""

    limit: int


Premise = NothingRuns | StillMissing | FreePlace
"""What must hold just before status is written, beyond the version of the sweep."""


@dataclass(frozen=True, slots=True)
class ApplyChild:
    """Server-side apply of a child."""

    kind: Kind
    manifest: Mapping[str, Any]
    guard: AtRun


@dataclass(frozen=True, slots=True)
class ExtendCluster:
    """Write a RayCluster's delete-after annotation anew."""

    reference: Reference
    delete_after: int
    guard: AtRun


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Delete a child and what is below it; preconditions are its uid and the version that the live read found."""

    reference: Reference
    guard: Guard


@dataclass(frozen=True, slots=True)
class EnsureDeployment:
    """Create or update work pool, flow and deployment in Prefect: the same each time within a release."""

    work_pool: str
    base_job_template: Mapping[str, Any]
    flow: str
    deployment: str
    entrypoint: str


@dataclass(frozen=True, slots=True)
class FlowRunRequest:
    """A flow run to create from a deployment."""

    attempt: AttemptName
    work_pool: str
    parameters: Mapping[str, Any]
    job_variables: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CreateFlowRun:
    """Create an attempt's flow run; its idempotency key makes a repetition harmless.

    Parameters
    ----------
    cancelled : create it as CANCELLED: an attempt that is stopped before its flow run was seen gets one that never
        runs, so that a request still under way cannot make one that does.
    """

    request: FlowRunRequest
    guard: Guard
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class CancelFlowRun:
    """Force a flow run to CANCELLED."""

    attempt: AttemptName
    flow_run_id: str
    guard: Guard


@dataclass(frozen=True, slots=True)
class PatchStatus:
    """Write status, if the sweep is still in the version that was decided on."""

    reference: Reference
    status: SweepStatus
    premises: tuple[Premise, ...] = ()


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Record an Event about the sweep; never fails a pass."""

    reference: Reference
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Action = (
    ApplyChild
    | ExtendCluster
    | DeleteChild
    | EnsureDeployment
    | CreateFlowRun
    | CancelFlowRun
    | PatchStatus
    | EmitEvent
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, in this order, and when to look again without an event (None: not)."""

    actions: tuple[Action, ...] = ()
    requeue_after_seconds: float | None = None
