"""What can go wrong with one call of the operator, or with the operator at that call."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """One fault, at one call."""

    LOST_BEFORE = "the call is lost"  # time-out, 5xx: nothing was done
    LOST_AFTER = "the answer is lost"  # time-out, 5xx: it was done
    LATE = "the call arrives late"  # time-out; it is done up to minutes later
    THROTTLED = "429"
    REFUSED = "422"
    HOSTILE = "someone else writes first"  # so that a precondition fails
    CRASH_BEFORE = "the operator is killed before the call"
    CRASH_AFTER = "the operator is killed after the call"
    CRASH_LATE = "the operator is killed, the call arrives late"
    TAKEOVER = "another operator takes the lease during the call"
    WATCH_LOST = "watches break: 410, a list follows later"
    STALE_RESTART = "the operator is killed, and the next one lists from a lagging reader"


KILLS = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_LATE, Fault.STALE_RESTART)
LATE_SECONDS = 120.0
