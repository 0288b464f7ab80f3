"""Backtest tournaments: thousands of walk-forward portfolio backtests, computed once, judged for luck, verifiable.

In a notebook::

    import backsweep

    sweep = backsweep.run("examples/small.yaml")  # or backsweep.open("runs/small")
    sweep.trials, sweep.returns(), sweep.weights(trial), sweep.positions(trial)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backsweep.notebook import FinishedSweep

__all__ = ["open", "run"]
__version__ = "0.1.0"


def open(uri: str | Path, endpoint_url: str | None = None, region: str | None = None) -> FinishedSweep:
    """Open a finished sweep: a run folder, a manifest.json, or s3://.../manifest.json as `status.manifest.uri` says.

    Parameters
    ----------
    endpoint_url, region : of that bucket, where the environment does not say them; keys are found as boto3 finds them.
    """
    from backsweep.notebook import open_sweep

    return open_sweep(uri, endpoint_url, region)


def run(spec: str | Path | dict[str, Any], output: str | Path | None = None) -> FinishedSweep:
    """Run a sweep from a file, a document's text or a mapping, and open its result.

    It runs in a process of its own, because the numeric environment must be set before numpy is imported.
    """
    from backsweep.notebook import run_sweep

    return run_sweep(spec, output)
