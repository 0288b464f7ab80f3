"""Commands that run or plan a sweep."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backsweep.cli.documents import folder_of, read_text
from backsweep.cli.progress import ProgressBar
from backsweep.cli.tables import print_plan, print_summary
from backsweep.errors import CorruptObjectError, MissingObjectError

if TYPE_CHECKING:
    from backsweep.flow import Finished, Prepared

__all__ = ["plan", "run"]


def run(options: argparse.Namespace) -> int:
    """Run a sweep and print who won and whether to believe it."""
    from backsweep import flow
    from backsweep.sweep.folder import check_output

    document = flow.read_sweep(read_text(options.file), options.sets)
    output = Path(options.output or f"runs/{document.metadata.name}")
    check_output(output)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")  # noqa: TID251  # the clock is read here
    prepared = flow.prepare(document, folder_of(options.file))
    if not options.json:
        sys.stdout.write(_opening(prepared))
        sys.stdout.flush()
    try:
        finished = _finish(prepared, options, output, started)
    except (CorruptObjectError, MissingObjectError) as error:
        damaged = flow.forget_damaged(prepared)
        if not damaged:
            raise
        sys.stderr.write(f"backsweep: {error.reason}: {error}; {damaged} damaged units are computed again\n")
        finished = _finish(flow.prepare(document, folder_of(options.file)), options, output, started)
    prepared = finished.prepared
    failed_percent = 100 * finished.summary["trials"]["failed"] / finished.summary["trials"]["total"]
    allowed = prepared.spec["execution"]["maxFailedTrialsPercent"]
    if options.json:
        json.dump(_as_json(finished), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        print_summary(finished, sys.stdout)
    if failed_percent > allowed:
        sys.stderr.write(
            f"backsweep: SweepFailed: {failed_percent:.3g} % of the trials failed, more than "
            f"execution.maxFailedTrialsPercent = {allowed}\n"
        )
        return 1
    return 0


def _finish(prepared: Prepared, options: argparse.Namespace, output: Path, started: str) -> Finished:
    """Compute what is missing, with a progress bar, and finish the sweep."""
    from backsweep import flow

    with ProgressBar(sys.stderr, quiet=options.json) as progress:
        series, _, computed = flow.run_blocks(prepared, progress.show)
    return flow.finish(prepared, series, computed, output, started)


def plan(options: argparse.Namespace) -> int:
    """Print what a sweep would compute, and what the store already has."""
    from backsweep import flow
    from backsweep_api.trials import dead_axes

    document = flow.read_sweep(read_text(options.file), options.sets)
    prepared = flow.prepare(document, folder_of(options.file))
    described = {
        "name": document.metadata.name,
        "specDigest": prepared.key.spec_digest,
        **prepared.plan.counts(),
        "predictedSeconds": round(prepared.plan.predicted_seconds(), 3),
        "predictedBytes": prepared.plan.predicted_bytes(),
        "deadAxes": [
            {"profile": item.profile, "axis": item.axis, "reason": item.reason} for item in dead_axes(document)
        ],
        "store": prepared.store.uri,
    }
    if options.json:
        json.dump(described, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        print_plan(described, sys.stdout)
    return 0


def _opening(prepared: Prepared) -> str:
    counts = prepared.plan.counts()
    seconds = prepared.plan.predicted_seconds()
    cached = f", {counts['trialsCached']:,} of them in the store" if counts["trialsCached"] else ""
    return (
        f"{prepared.document.metadata.name}: {counts['trials']:,} trials{cached}, "
        f"{counts['solves']:,} distinct solves, "
        f"{counts['windows']:,} windows each; predicted {seconds:.1f} s on one core\n"
    )


def _as_json(finished: Finished) -> dict[str, Any]:
    prepared = finished.prepared
    return {
        "name": prepared.document.metadata.name,
        "specDigest": prepared.key.spec_digest,
        "resultDigest": finished.result_digest,
        **finished.summary,
        "timings": {stage: round(seconds, 6) for stage, seconds in prepared.times.seconds.items()},
        "output": str(finished.output),
        "manifest": str(finished.output / "manifest.json"),
        "store": prepared.store.uri,
    }
