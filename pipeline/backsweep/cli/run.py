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
from backsweep.errors import CorruptObjectError, MissingObjectError, UserError

if TYPE_CHECKING:
    from backsweep.flow import Finished, Prepared
    from backsweep_api.spec.document import BacktestSweep

__all__ = ["plan", "run"]


def run(options: argparse.Namespace) -> int:
    """Run a sweep and print who won and whether to believe it."""
    from backsweep import flow
    from backsweep.sweep.folder import check_output

    document = flow.read_sweep(read_text(options.file), options.sets)
    output = Path(options.output or f"runs/{document.metadata.name}")
    check_output(output)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")  # noqa: TID251  # the clock is read here
    request = (document, folder_of(options.file), output, started)
    with ProgressBar(sys.stderr, quiet=options.json) as progress:
        finished = _run_with_prefect(*request, progress) if options.prefect else _run_bare(*request, progress)
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


def _run_bare(document: BacktestSweep, folder: Path, output: Path, started: str, progress: ProgressBar) -> Finished:
    """Run the stages one after the other; a store that a power cut has damaged is healed on the way."""
    from backsweep import flow

    prepared = flow.prepare(document, folder)
    progress.say(_opening(prepared))
    try:
        series, _, computed = flow.run_blocks(prepared, progress.show)
        return flow.finish(prepared, series, computed, output, started)
    except (CorruptObjectError, MissingObjectError) as error:
        damaged = flow.forget_damaged(prepared)
        if not damaged:
            raise
        progress.say(f"{error.reason}: {error}; {damaged} damaged units are computed again")
    prepared = flow.prepare(document, folder)
    series, _, computed = flow.run_blocks(prepared, progress.show)
    return flow.finish(prepared, series, computed, output, started)


def _run_with_prefect(
    document: BacktestSweep, folder: Path, output: Path, started: str, progress: ProgressBar
) -> Finished:
    """Run the stages as a Prefect flow."""
    try:
        from backsweep.orchestration import Listener, run_with_prefect
    except ImportError as error:
        raise UserError(f"--prefect: Prefect is not installed ({error}): pip install 'backsweep[prefect]'") from error
    listener = Listener(lambda prepared: progress.say(_opening(prepared)), progress.show, progress.say)
    return run_with_prefect(document, folder, output, started, listener)


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
        f"{counts['windows']:,} windows each; predicted {seconds:.1f} s on one core"
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
