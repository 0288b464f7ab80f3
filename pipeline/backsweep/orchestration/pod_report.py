"""How a flow in its pod says it ended: the termination message, which the operator reads and trusts.

No message is no success: a pod that is killed or cancelled leaves none, and its Job or the operator begins again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backsweep_api.errors import BacksweepError, TransientError
from backsweep_api.status import Best, Computed, ManifestReference, Overfitting, Speedup, TrialCounts

__all__ = ["TERMINATION_VARIABLE", "end_outcome", "report_of", "write_report"]

TERMINATION_VARIABLE = "BACKSWEEP_TERMINATION_LOG"
TERMINATION_LOG = "/dev/termination-log"
MOST_BYTES = 4_096  # Kubernetes keeps no more
MOST_CHARACTERS = 900  # of the sentence

Parts = Mapping[str, Best | Computed | ManifestReference | Overfitting | Speedup | TrialCounts | None]


def end_outcome(error: Exception) -> str:
    """Return the outcome of a flow that ended with an error.

    incomplete is tried again by the operator, refused is not: whoever must act on a `UserError` is the user, and a bug
    of ours gives the same each time. Errors that nobody raised on purpose may be the machine's.
    """
    from backsweep.errors import BudgetExceededError

    if isinstance(error, BudgetExceededError):
        return "overBudget"
    if isinstance(error, TransientError) or not isinstance(error, BacksweepError):
        return "incomplete"
    return "refused"


def report_of(outcome: str, message: str, parts: Parts) -> bytes:
    """Return the message, in at most 4,096 bytes: of what is too long the sentence is cut.

    Parameters
    ----------
    parts : trials, best, overfitting, speedup, computed, manifest; those that are None are left out.
    """
    plain: dict[str, Any] = {
        name: part.model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, part in parts.items()
        if part is not None
    }
    sentence = message[:MOST_CHARACTERS]
    while True:
        data = json.dumps({"outcome": outcome, "message": sentence, **plain}, separators=(",", ":")).encode()
        if len(data) < MOST_BYTES or not sentence:
            return data
        sentence = sentence[: len(sentence) * 3 // 4]


def write_report(data: bytes) -> None:
    """Write the message where Kubernetes reads it when the container ends."""
    Path(os.environ.get(TERMINATION_VARIABLE, TERMINATION_LOG)).write_bytes(data)
