"""The command that runs a pipeline: its steps, then the sweep at their end."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backsweep.cli.documents import tell_cluster_only
from backsweep.cli.prefect import wants_prefect
from backsweep.cli.progress import ProgressBar
from backsweep.cli.run import exit_code, listener_of, run_bare, run_with_prefect, summary_of
from backsweep.cli.tables import format_table, print_summary

if TYPE_CHECKING:
    from backsweep.flow import Finished
    from backsweep.flow.pipeline import PipelineDone, PipelineRun
    from backsweep.flow.steps.attempt import StepDone
    from backsweep.flow.steps.running import StepListener

__all__ = ["pipeline"]


def pipeline(options: argparse.Namespace) -> int:
    """Run the steps that are not stored, and the sweep; print what each came to."""
    from backsweep.flow.pipeline import read_pipeline
    from backsweep.sweep.folder import check_output

    run = read_pipeline(Path(options.file), options.sets, options.again)
    output = Path(options.output or f"runs/{run.document.metadata.name if run.document else run.name}")
    if run.document is not None:
        check_output(output)
        tell_cluster_only(run.document, options.file)
    with ProgressBar(sys.stderr, quiet=options.json) as progress:
        by_prefect = wants_prefect(options, progress.say)
        run_sweep = _sweep_of(run, output, progress)
        done = _run(run, run_sweep, progress, by_prefect)
    if options.json:
        sweep = None if done.sweep is None else summary_of(done.sweep)
        json.dump({"steps": [_described(step) for step in done.steps], "sweep": sweep}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        _print_steps(done)
        if done.sweep is not None:
            print_summary(done.sweep, sys.stdout)
    return 0 if done.sweep is None else exit_code(done.sweep)


def _run(
    run: PipelineRun,
    run_sweep: Callable[[tuple[StepDone, ...], bool], Finished | None],
    progress: ProgressBar,
    by_prefect: bool,
) -> PipelineDone:
    """Run the pipeline, as a Prefect flow or plainly."""
    from backsweep.flow.steps.running import try_plainly

    listener = _listener(progress)
    if by_prefect:
        from backsweep.orchestration.step_flow import run_pipeline_with_prefect

        return run_pipeline_with_prefect(run, run_sweep, listener, progress.say)
    steps = run.steps(listener, try_plainly)
    return run.done(steps, run_sweep(steps, False))


def _sweep_of(
    run: PipelineRun, output: Path, progress: ProgressBar
) -> Callable[[tuple[StepDone, ...], bool], Finished | None]:
    """Return what runs the pipeline's sweep when its steps are done."""
    from backsweep import flow

    def run_sweep(steps: tuple[StepDone, ...], by_prefect: bool) -> Finished | None:
        if run.document is None:
            return None
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")  # noqa: TID251  # the clock is read here
        request = flow.Request(run.document, run.sweep_folder, output, started, steps)
        return (run_with_prefect if by_prefect else run_bare)(request, listener_of(progress))

    return run_sweep


def _listener(progress: ProgressBar) -> StepListener:
    from backsweep.flow.steps.running import StepListener

    def tell_done(step: StepDone) -> None:
        progress.say(f"{step.name}: {'in the store' if step.is_cached else 'done'}, {step.seconds:.2f} s")

    return StepListener(lambda name, line: progress.say(f"{name}: {line}"), tell_done)


def _print_steps(done: PipelineDone) -> None:
    rows = [
        [step.name, "from the store" if step.is_cached else "ran", f"{step.seconds:.2f}", ", ".join(step.outputs)]
        for step in done.steps
    ]
    sys.stdout.write("Steps:\n" + format_table(["step", "", "seconds", "outputs"], rows))
    if done.sweep is None:
        sys.stdout.write(f"store  {done.store.uri}\n")


def _described(step: StepDone) -> dict[str, Any]:
    return {
        "step": step.name,
        "identity": step.identity,
        "cached": step.is_cached,
        "seconds": round(step.seconds, 6),
        "outputs": {path: dict(tree) for path, tree in step.outputs.items()},
    }
