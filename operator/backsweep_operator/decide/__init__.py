"""Deciding, purely: (snapshot, now) -> Decision."""

from backsweep_operator.decide.ladder import decide

__all__ = ["decide"]
