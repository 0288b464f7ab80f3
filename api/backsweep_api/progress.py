"""What a running flow tells the operator, in one artifact of Prefect an attempt.

Its key is the attempt's own, so that the latest artifacts of many attempts are one request. Its data are JSON text.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError

from backsweep_api.names import AttemptName
from backsweep_api.status import StatusModel, TrialCounts

__all__ = ["PROGRESS_TYPE", "FlowProgress", "progress_key", "read_progress"]

PROGRESS_TYPE = "result"
"""The artifact's type: Prefect shows none of its own pictures for it."""


class FlowProgress(StatusModel):
    """How far a flow is."""

    trials: TrialCounts = Field(description="Counts of trials.")
    last_block_at: float | None = Field(None, ge=0, description="When a block last finished, seconds since 1970.")
    cluster_needed: bool = Field(True, description="False once the flow needs its Ray cluster no more.")

    def text(self) -> str:
        """Return the artifact's data."""
        return self.model_dump_json(by_alias=True)


def progress_key(attempt: AttemptName) -> str:
    """Return the artifact's key: Prefect takes lowercase letters, digits and dashes only."""
    return f"sweep-progress-{attempt.uid}-{attempt.attempt}"


def read_progress(data: Any) -> FlowProgress | None:
    """Return what an artifact's data say; None where they are not what a flow of ours writes."""
    try:
        return FlowProgress.model_validate_json(data) if isinstance(data, str) else FlowProgress.model_validate(data)
    except ValidationError:
        return None
