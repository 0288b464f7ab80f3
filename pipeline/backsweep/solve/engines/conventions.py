"""Where a peer means something else by the same words: what a difference of weights says, and what it does not."""

from __future__ import annotations

from backsweep.units import Solve

__all__ = ["convention"]


def convention(engine: str, solve: Solve) -> str | None:
    """Return in one sentence what a peer does otherwise for this solve; None where it differs by its solver alone.

    Source: the peers' code, as docs/engines.md tells; checked in tests/contract/test_engine_peers.py.
    """
    return None
