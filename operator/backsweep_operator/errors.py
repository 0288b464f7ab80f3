"""What calls of the operator can end in, by what must happen then; reasons as everywhere in Backsweep."""

from __future__ import annotations

from backsweep_api.errors import TransientError

__all__ = [
    "CallRefusedError",
    "DeploymentGoneError",
    "LeaseLostError",
    "StaleReadError",
    "UnavailableError",
    "WriteConflictError",
]


class WriteConflictError(TransientError):
    """The object was changed or replaced since it was read; it is read again and decided anew."""

    reason = "WriteConflict"


class StaleReadError(TransientError):
    """What was decided on is no longer so by a live read; it is observed again."""

    reason = "StaleRead"


class UnavailableError(TransientError):
    """An API gave no answer, or none but to try later; whether it did what it was asked is not known."""

    reason = "Unavailable"


class DeploymentGoneError(UnavailableError):
    """Prefect has no deployment of ours to create a flow run from; it is ensured anew."""

    reason = "DeploymentGone"


class CallRefusedError(TransientError):
    """An API refuses what a call asks for (401, 403, 422): rights, quota, admission; it is tried again late."""

    reason = "CallRefused"


class LeaseLostError(TransientError):
    """Another process holds the lease; this one makes no further call and ends."""

    reason = "LeaseLost"
