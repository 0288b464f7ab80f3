"""Where a run is at home: a laptop unless the operator started it, and what it was given there."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["LAPTOP", "Site", "SiteRay"]


@dataclass(frozen=True, slots=True)
class SiteRay:
    """The Ray a run was given: the operator's own, made for it, or the one its document names.

    Parameters
    ----------
    address : of its Jobs API.
    workers : how many it has; 0 where nobody knows.
    wait_seconds : how long it may take to come up.
    """

    address: str
    workers: int
    wait_seconds: float

    @property
    def is_ours(self) -> bool:
        """Whether it was made for this run, and ends with it."""
        return self.workers > 0


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run is at home.

    Parameters
    ----------
    namespace : of its manifest and logs; `local` on a laptop.
    is_pod : whether the operator started it: it computes in one process or on the Ray it was given, and runs no code
        of users itself.
    ray : None on a laptop, where the document says which Ray is there.
    spent : what earlier attempts have cost.
    """

    namespace: str = "local"
    is_pod: bool = False
    ray: SiteRay | None = None
    spent: Decimal = Decimal(0)


LAPTOP = Site()
