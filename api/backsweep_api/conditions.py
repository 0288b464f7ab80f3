"""The words of status: conditions, the states a sweep is in, and why an attempt is stopped."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["CONDITIONS", "ConditionType", "Next", "Phase", "State", "StopReason"]


class ConditionType(StrEnum):
    """Types of conditions; each says one thing that a person or a controller may wait for."""

    ACCEPTED = "Accepted"
    CLUSTER_READY = "ClusterReady"
    PROGRESSING = "Progressing"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"
    NODE_POOL_READY = "NodePoolReady"


CONDITIONS = tuple(kind for kind in ConditionType if kind is not ConditionType.NODE_POOL_READY)
"""Those that every observed sweep has; the other one exists only while there is a node pool."""


class State(StrEnum):
    """What a sweep is doing: the reason of `Complete`, the first printer column."""

    NOT_ACCEPTED = "NotAccepted"
    QUEUED = "Queued"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    RETRYING = "Retrying"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Phase(StrEnum):
    """What is persisted of an attempt's life. A stop is persisted before anything of the attempt is taken away."""

    ACTIVE = "Active"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class Next(StrEnum):
    """What follows once an attempt has stopped."""

    SUCCEED = "Succeed"
    FAIL = "Fail"
    SUSPEND = "Suspend"
    RETRY = "Retry"
    RESTART = "Restart"


class StopReason(StrEnum):
    """Why an attempt is stopped; the reason of Failed or Suspended where that follows."""

    FINISHED = "Finished"
    TRIALS_FAILED = "TrialsFailed"
    FLOW_REFUSED = "FlowRefused"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    QUEUE_DEADLINE_EXCEEDED = "QueueDeadlineExceeded"
    STOP_OVERDUE = "StopOverdue"
    BUDGET_EXCEEDED = "BudgetExceeded"
    CANCELLED_IN_PREFECT = "CancelledInPrefect"
    SUSPENDED = "Suspended"
    NOT_ACCEPTED = "NotAccepted"
    SPEC_CHANGED = "SpecChanged"
    FLOW_INCOMPLETE = "FlowIncomplete"
    FLOW_LOST = "FlowLost"
    CLUSTER_LOST = "ClusterLost"
    SENT_BACK = "SentBack"
    START_OVERDUE = "StartOverdue"
    IDLE = "Idle"
