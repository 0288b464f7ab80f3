"""Commands that run or plan a sweep."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backsweep.cli.documents import folder_of, read_text, tell_cluster_only
from backsweep.cli.prefect import wants_prefect
from backsweep.cli.progress import ProgressBar
from backsweep.cli.tables import print_plan, print_summary

if TYPE_CHECKING:
    from backsweep.flow import Finished, Listener, Prepared, Request

__all__ = ["exit_code", "listener_of", "plan", "run", "run_bare", "run_with_prefect", "summary_of"]


def run(options: argparse.Namespace) -> int:
    """Run a sweep and print who won and whether to believe it."""
    from backsweep import flow
    from backsweep.sweep.folder import check_output

    document = flow.read_sweep(read_text(options.file), options.sets)
    output = Path(options.output or f"runs/{document.metadata.name}")
    check_output(output)
    tell_cluster_only(document, options.file)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")  # noqa: TID251  # the clock is read here
    request = flow.Request(document, folder_of(options.file), output, started, baseline=options.baseline)
    with ProgressBar(sys.stderr, quiet=options.json) as progress:
        execute = run_with_prefect if wants_prefect(options, progress.say) else run_bare
        finished = execute(request, listener_of(progress))
    if options.json:
        json.dump(summary_of(finished), sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        print_summary(finished, sys.stdout)
    return exit_code(finished)


def listener_of(progress: ProgressBar) -> Listener:
    """Return who tells a person of the plan and the progress."""
    from backsweep import flow

    return flow.Listener(lambda prepared: progress.say(_opening(prepared)), progress.show, progress.say)


def exit_code(finished: Finished) -> int:
    """Return 0, or say that too many trials failed and return 1."""
    prepared = finished.prepared
    failed_percent = 100 * finished.summary["trials"]["failed"] / finished.summary["trials"]["total"]
    allowed = prepared.spec["execution"]["maxFailedTrialsPercent"]
    if failed_percent > allowed:
        sys.stderr.write(
            f"backsweep: SweepFailed: {failed_percent:.3g} % of the trials failed, more than "
            f"execution.maxFailedTrialsPercent = {allowed}\n"
        )
        return 1
    return 0


def run_bare(request: Request, listener: Listener) -> Finished:
    """Run the stages one after the other."""
    from backsweep import flow

    with flow.Stages(request, listener) as stages:
        return stages.complete(flow.run_plainly, listener.progress)


def run_with_prefect(request: Request, listener: Listener) -> Finished:
    """Run the stages as a Prefect flow."""
    from backsweep import orchestration

    return orchestration.run_with_prefect(request, listener)


def plan(options: argparse.Namespace) -> int:
    """Print what a sweep would compute, and what the store already has."""
    from backsweep import flow
    from backsweep_api.trials import dead_axes, engines_without

    document = flow.read_sweep(read_text(options.file), options.sets)
    tell_cluster_only(document, options.file)
    prepared = flow.prepare(document, folder_of(options.file))
    place = prepared.place
    described = {
        "name": document.metadata.name,
        "specDigest": prepared.key.spec_digest,
        **prepared.plan.counts(),
        "predictedSeconds": round(prepared.plan.predicted_seconds(), 3),
        "predictedBytes": prepared.plan.predicted_bytes(),
        "place": {**dataclasses.asdict(place), "faster": place.faster, "where": place.where, "times": place.times},
        "deadAxes": [
            {"profile": item.profile, "axis": item.axis, "reason": item.reason} for item in dead_axes(document)
        ],
        "notMade": engines_without(document),
        "store": prepared.store.uri,
        **_search(prepared),
    }
    if options.json:
        json.dump(described, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        print_plan(described, sys.stdout)
    return 0


def _opening(prepared: Prepared) -> str:
    counts = prepared.plan.counts()
    seconds = prepared.predicted_seconds
    cached = f", {counts['trialsCached']:,} of them in the store" if counts["trialsCached"] else ""
    place = prepared.place
    slower = place.is_ray != (place.faster == "ray")
    rounds = prepared.spec["sampling"].get("rounds", 1)
    most = f"at most {prepared.most_trials:,} trials in {rounds:,} rounds; round 1 has " if prepared.rounds else ""
    return (
        f"{prepared.document.metadata.name}: {most}{counts['trials']:,} trials{cached}, "
        f"{counts['solves']:,} distinct solves, "
        f"{counts['windows']:,} windows each"
        + (f"; predicted {seconds:.1f} s on one core; {place.where}" if seconds else "; nothing to compute")
        + (f"; {place.times}" if slower and seconds else "")
    )


def _search(prepared: Prepared) -> dict[str, Any]:
    """Return what is known of a search before it runs; nothing of any other sweep."""
    if not prepared.rounds:
        return {}
    most = {"mostTrials": prepared.most_trials, "predictedSeconds": round(prepared.predicted_seconds, 3)}
    return {"search": {"rounds": prepared.spec["sampling"]["rounds"], **most}}


def summary_of(finished: Finished) -> dict[str, Any]:
    """Return what a sweep came to, as JSON types."""
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
