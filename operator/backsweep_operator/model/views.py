"""What was observed, as values: only the fields that deciding reads. `observe` makes them from raw objects."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from backsweep_api.names import AttemptName
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import Best, Computed, ManifestReference, Overfitting, Speedup, SweepStatus, TrialCounts

__all__ = [
    "FOUND",
    "ClusterView",
    "FlowRunView",
    "FlowState",
    "JobView",
    "Kind",
    "Outcome",
    "PodRole",
    "PodView",
    "PolicyView",
    "Progress",
    "Reference",
    "Report",
    "SweepView",
]


class Kind(StrEnum):
    """Kinds of objects the operator reads or writes."""

    SWEEP = "BacktestSweep"
    CLUSTER = "RayCluster"
    POLICY = "NetworkPolicy"
    JOB = "Job"
    POD = "Pod"
    SERVICE_ACCOUNT = "ServiceAccount"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object in one of its versions: what a precondition names."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class SweepView:
    """A BacktestSweep.

    Parameters
    ----------
    document : None where the spec cannot be read; `problems` says why.
    problems : what keeps it from running on any cluster, one sentence each.
    trials : how many distinct trials it has, as pipeline and API count them; 0 without a document.
    """

    reference: Reference
    generation: int
    created_at: float
    deleting: bool
    document: BacktestSweep | None
    problems: tuple[str, ...]
    spec_digest: str
    trials: int
    status: SweepStatus


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A RayCluster of ours."""

    reference: Reference
    attempt: AttemptName
    deleting: bool
    ready: bool
    suspended: bool
    delete_after: int | None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A NetworkPolicy of ours."""

    reference: Reference
    attempt: AttemptName
    deleting: bool


@dataclass(frozen=True, slots=True)
class JobView:
    """The Job that Prefect's worker made for a flow run of ours, found by its labels."""

    reference: Reference
    attempt: AttemptName
    deleting: bool
    complete: bool
    failed: bool
    finished_at: float | None

    @property
    def finished(self) -> bool:
        """Whether it starts no more pods."""
        return self.complete or self.failed


class PodRole(StrEnum):
    """What a pod does for a sweep."""

    FLOW = "flow"
    HEAD = "head"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod of ours. It costs from `started_at` (bound to a node) to `finished_at`.

    Parameters
    ----------
    obstacle : why it does not start, in Kubernetes' words; empty where nothing is in its way.
    """

    name: str
    attempt: AttemptName
    role: PodRole
    cpu: Decimal
    memory_gib: Decimal
    started_at: float | None
    finished_at: float | None
    report: Report | None = None
    obstacle: str = ""


class Outcome(StrEnum):
    """How a flow says it ended, in its pod's termination message."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    OVER_BUDGET = "overBudget"


@dataclass(frozen=True, slots=True)
class Report:
    """A flow pod's termination message: the only proof of success."""

    outcome: Outcome
    message: str = ""
    trials: TrialCounts | None = None
    best: Best | None = None
    overfitting: Overfitting | None = None
    speedup: Speedup | None = None
    computed: Computed | None = None
    manifest: ManifestReference | None = None


FOUND = ("best", "overfitting", "speedup", "computed", "manifest")
"""Fields of a report, and of status, that an attempt which ended well has found."""


class FlowState(StrEnum):
    """Prefect's types of states."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether Prefect lets no ordinary transition follow."""
        return self in (FlowState.COMPLETED, FlowState.FAILED, FlowState.CRASHED, FlowState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running flow last told, in its artifact.

    Parameters
    ----------
    last_block_at : when a block, or a stage without blocks, last finished.
    cluster_needed : False once the flow needs its cluster no more, for instance since everything was cached.
    """

    trials: TrialCounts
    last_block_at: float | None
    cluster_needed: bool = True


@dataclass(frozen=True, slots=True)
class FlowRunView:
    """A flow run of ours, found by its idempotency key."""

    attempt: AttemptName
    id: str
    state: FlowState
    state_since: float
    message: str = ""
    progress: Progress | None = None
