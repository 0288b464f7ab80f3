"""The pipeline's own errors, each below one of the four kinds of `backsweep_api.errors`."""

from backsweep_api.errors import (
    BacksweepError,
    InvariantError,
    NotBuiltError,
    NumericError,
    SpecError,
    TransientError,
    UserError,
)

__all__ = [
    "BacksweepError",
    "BlockTimeoutError",
    "BudgetExceededError",
    "CorruptObjectError",
    "DataError",
    "InvariantError",
    "ManifestConflictError",
    "MissingObjectError",
    "NotBuiltError",
    "NumericError",
    "PrefectError",
    "SolveError",
    "SpecError",
    "StepError",
    "StoreError",
    "StrategyError",
    "TransientError",
    "UserError",
    "VerificationError",
    "WorkerLostError",
]


class DataError(UserError):
    """The prices, returns or membership given cannot be used; names the column and first row."""

    reason = "InvalidData"


class StoreError(UserError):
    """The store cannot be used as it is: not writable, not a folder, ignores conditions."""

    reason = "StoreRefused"


class MissingObjectError(UserError):
    """A digest that something refers to is not in the store."""

    reason = "MissingObject"


class CorruptObjectError(UserError):
    """Stored bytes do not hash to their name."""

    reason = "CorruptObject"


class PrefectError(UserError):
    """The Prefect server to use cannot be started or reached, or refuses us; a run without it is one flag away."""

    reason = "PrefectUnavailable"


class BudgetExceededError(UserError):
    """Going on could cost more than spec.budget.maxCost; what is finished is stored."""

    reason = "BudgetExceeded"


class StepError(UserError):
    """A step of a pipeline failed: its script or function ended badly, took too long, or did not write its outputs."""

    reason = "StepFailed"


class VerificationError(UserError):
    """A manifest and what it names do not agree."""

    reason = "VerificationFailed"


class ManifestConflictError(TransientError):
    """Another run committed a manifest in between."""

    reason = "ManifestConflict"


class WorkerLostError(TransientError):
    """A worker process died (killed, out of memory) while it held a block."""

    reason = "WorkerLost"


class BlockTimeoutError(TransientError):
    """A block ran past execution.blockTimeoutSeconds."""

    reason = "BlockTimeout"


class SolveError(NumericError):
    """A window's problem has no solution, or none that passes its certificate."""

    reason = "SolveFailed"


class StrategyError(NumericError):
    """The user's own strategy raised, or returned something that is not a set of weights."""

    reason = "StrategyFailed"
