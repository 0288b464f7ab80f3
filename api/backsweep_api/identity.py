"""What a sweep is: the fields that determine its results, and their hash."""

from __future__ import annotations

from typing import Any

from backsweep_api.canonical import digest
from backsweep_api.spec.document import BacktestSweep

__all__ = ["RESULT_SECTIONS", "result_fields", "spec_digest"]

RESULT_SECTIONS = ("data", "walkForward", "validation", "axes", "sampling", "objective", "strategy")


def result_fields(document: BacktestSweep) -> dict[str, Any]:
    """Return the part of the normalised spec that determines results; the manifest keeps this part.

    Of execution only onSolveFailure belongs to it. maxFailedTrialsPercent does not: it decides whether a sweep
    counts as failed, and changes no number. Where a sweep runs, keeps its results or what it may cost does not
    either, nor do its name and labels.
    """
    spec = document.normalised()["spec"]
    fields = {section: spec[section] for section in RESULT_SECTIONS if section in spec}
    fields["execution"] = {"onSolveFailure": spec["execution"]["onSolveFailure"]}
    return fields


def spec_digest(document: BacktestSweep) -> str:
    """Return the sha256 (64 hex digits) of `result_fields`: equal for documents that mean the same results."""
    return digest(result_fields(document))
