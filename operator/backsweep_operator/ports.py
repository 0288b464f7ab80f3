"""What the operator needs from outside. Adapters implement it for the real APIs, the simulation for modelled ones.

Every call may raise UnavailableError (no answer, or a passing one: whether the call had its effect is not known) and
CallRefusedError. Those that name a version also raise WriteConflictError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from backsweep_api.names import AttemptName
from backsweep_operator.model import (
    EmitEvent,
    EnsureDeployment,
    FlowRunRequest,
    FlowRunView,
    Instant,
    Kind,
    Reference,
)

__all__ = ["NOTHING_KNOWN", "Clock", "Fence", "Kube", "Prefect"]

NOTHING_KNOWN: Mapping[AttemptName, FlowRunView] = MappingProxyType({})


class Clock(Protocol):
    """The time."""

    def now(self) -> Instant:
        """Return seconds since 1970."""


class Fence(Protocol):
    """The lease by which one process at a time acts."""

    def check(self) -> None:
        """Return if the lease is held.

        Raises
        ------
        LeaseLostError
            If it is not, or may not be; nothing may be called any more.
        """


class Kube(Protocol):
    """The Kubernetes API; objects are plain values as the API gives them."""

    async def read(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return an object by a live read (no cache, no resourceVersion 0), or None."""

    async def read_labelled(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Return the objects that carry all `labels`, by a live read."""

    async def apply(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """Apply server-side under our field manager, taking over conflicts, and return the object."""

    async def annotate(self, reference: Reference, annotations: Mapping[str, str]) -> Mapping[str, Any]:
        """Merge annotations into the object of that uid, and return it."""

    async def delete(self, reference: Reference) -> None:
        """Delete in the foreground, with uid and resourceVersion as preconditions; one that is not there is success."""

    async def write_status(self, reference: Reference, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace status if uid and resourceVersion are still those of `reference`, and return the object."""

    async def record_event(self, event: EmitEvent) -> None:
        """Record an Event about an object."""


class Prefect(Protocol):
    """Prefect's REST API, as far as flow runs of ours go."""

    async def ensure_deployment(self, wanted: EnsureDeployment) -> None:
        """Create or update work pool, flow and deployment."""

    async def create_flow_run(self, request: FlowRunRequest, *, cancelled: bool) -> FlowRunView:
        """Create the flow run under the attempt's idempotency key, or return the one that has it.

        Parameters
        ----------
        cancelled : the state a new one is created in: CANCELLED instead of SCHEDULED.
        """

    async def cancel_flow_run(self, flow_run_id: str) -> None:
        """Force the state CANCELLED; one that has ended or is not there is success."""

    async def flow_runs(
        self, attempts: Sequence[AttemptName], known: Mapping[AttemptName, FlowRunView] = NOTHING_KNOWN
    ) -> list[FlowRunView]:
        """Return the flow runs of these attempts with their progress, in batched reads.

        Parameters
        ----------
        known : what is known of some: they are read anew only where their state is of another type, apart from
            progress.
        """

    async def open_flow_runs(self) -> list[FlowRunView]:
        """Return every flow run of ours that has not ended."""
