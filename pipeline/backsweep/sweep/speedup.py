"""How much faster a run was than one process would have been, and how well that is known."""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Speedup", "draw", "estimate_total"]


@dataclass(frozen=True, slots=True)
class Speedup:
    """A run against the serial time of the same work.

    Parameters
    ----------
    baseline_seconds, baseline_error : serial time and its standard error; 0 where it was measured in full.
    method : how it was measured: serial (the run itself was), sample, or full.
    wall_seconds : of computing by the clock, from the start of the workers to the last block.
    measured, pieces : how many pieces of the work were done again, of how many.
    """

    baseline_seconds: float
    baseline_error: float
    method: Literal["serial", "sample", "full"]
    wall_seconds: float
    workers: int
    measured: int
    pieces: int

    @property
    def ratio(self) -> float:
        """Serial time over time by the clock."""
        return self.baseline_seconds / self.wall_seconds

    @property
    def ratio_error(self) -> float:
        """Standard error of the ratio: that of the serial time, as the clock has none."""
        return self.baseline_error / self.wall_seconds

    @property
    def efficiency(self) -> float:
        """The ratio a worker."""
        return self.ratio / self.workers

    @property
    def sentence(self) -> str:
        """Return all of it for people."""
        if self.method == "serial":
            return f"speedup 1 by definition: one process computed everything, in {self.wall_seconds:.1f} s"
        error = f" ± {self.ratio_error:.2f}" if self.method == "sample" else ""
        how = (
            f"± {self.baseline_error:.1f} s, measured on {self.measured:,} of {self.pieces:,} pieces of the work"
            if self.method == "sample"
            else "measured by doing all of it again, to the same bytes"
        )
        workers = "worker" if self.workers == 1 else "workers"
        return (
            f"speedup {self.ratio:.2f}{error} of {self.workers} {workers}, efficiency {100 * self.efficiency:.0f} %: "
            f"{self.wall_seconds:.1f} s by the clock, serially {self.baseline_seconds:.1f} s {how}"
        )

    def as_plain(self) -> dict[str, Any]:
        """Return the record of the manifest; the first names are those of a sweep's status."""
        return {
            "baselineSeconds": round(self.baseline_seconds, 6),
            "wallSeconds": round(self.wall_seconds, 6),
            "ratio": round(self.ratio, 4),
            "efficiency": round(self.efficiency, 4),
            "workers": self.workers,
            "baselineMethod": self.method,
            "baselineError": round(self.baseline_error, 6),
            "ratioError": round(self.ratio_error, 4),
            "measured": self.measured,
            "pieces": self.pieces,
            "sentence": self.sentence,
        }


def draw(sizes: Sequence[float], budget: float, seed: int) -> list[int]:
    """Return indices of a systematic sample with probability proportional to size, as often as each was hit.

    Steps of equal size are taken through the pieces laid end to end from a random start, so that like pieces that lie
    beside each other are each met in proportion: a stratification without strata. So many steps are taken that about
    `budget` is met, and at least two, as one says nothing of the error.
    """
    total = sum(sizes)
    if total <= 0:
        return []
    each = sum(size * size for size in sizes) / total  # what a step meets on average
    steps = max(2, int(budget / each))
    step = total / steps
    ends = list(itertools.accumulate(sizes))
    start = random.Random(seed).random() * step
    return [min(bisect.bisect_right(ends, start + step * index), len(sizes) - 1) for index in range(steps)]


def estimate_total(sizes: Sequence[float], drawn: Sequence[int], measured: Mapping[int, float]) -> tuple[float, float]:
    """Return the total of a measure over all pieces, from a sample drawn by size, and its standard error.

    The total is that of the sizes times the mean ratio of measure to size (Hansen and Hurwitz 1943); the error comes
    from the spread of those ratios and of the part that was not measured. It is rather too large: a systematic sample
    of like beside like knows more than a random one.

    Parameters
    ----------
    sizes : of all pieces.
    drawn : indices, as often as each was hit.
    measured : index -> what was measured.
    """
    total = sum(sizes)
    ratios = [measured[index] / sizes[index] for index in drawn]
    mean = sum(ratios) / len(ratios)
    covered = sum(sizes[index] for index in set(drawn)) / total
    spread = sum((ratio - mean) ** 2 for ratio in ratios) / (len(ratios) - 1)
    return total * mean, total * math.sqrt(spread / len(ratios) * max(0.0, 1.0 - covered))
