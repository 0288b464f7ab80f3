"""Whole tournaments as a user runs them: `backsweep run` as one process on one core, imports and files included."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.documents import backsweep, changed, example
from tests.benchmarks.timing import OUTPUT, ROOT, Cost, markdown_table, medians, publish

RUNS = 3
LOOKBACKS_OF_TEN_THOUSAND = [126 + 16 * number for number in range(40)]
LAST_DAY, MONTH_BEFORE = "2022-12-28", "2022-11-28"
TITLES = ["run", "trials", "trials computed", "units solved", "s of CPU", "s", "peak MiB"]

Step = tuple[str, Mapping[str, Any]]


def serial(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document run in one process, so that its peak memory is that of one process."""
    return changed(changed(document, "execution", "parallelism", 1), "execution", "mode", "local")


def run_steps(
    steps: Sequence[Step], repeats: int, stores: contextlib.ExitStack
) -> list[tuple[str, Cost, dict[str, Any]]]:
    """Run the steps one after the other on one store; return each one's median cost over fresh stores.

    Stores are removed when `stores` closes, after the last measurement: for half a minute after thousands of files were
    removed, ext4 takes ten times as long to make new ones.
    """
    costs: list[list[Cost]] = [[] for _ in steps]
    answers: list[dict[str, Any]] = [{} for _ in steps]
    for _ in range(repeats):
        folder = stores.enter_context(tempfile.TemporaryDirectory(dir=OUTPUT))
        for number, (_, document) in enumerate(steps):
            cost, answers[number] = backsweep(Path(folder), "run", serial(document), "--output", "run")
            costs[number].append(cost)
    names = [name for name, _ in steps]
    return list(zip(names, map(medians, costs), answers, strict=True))


def row(name: str, cost: Cost, answer: Mapping[str, Any]) -> list[str]:
    """Return a run as the table shows it."""
    computed = answer["computed"]
    counts = [f"{answer['trials']['total']:,}", f"{computed['simulations']:,}", f"{computed['solveUnits']:,}"]
    return [name, *counts, f"{cost.cpu_seconds:.2f}", f"{cost.wall_seconds:.2f}", f"{cost.peak_mib:.0f}"]


def against_skfolio(document: Mapping[str, Any], cost: Cost, trials: int) -> str:
    """Say how many times faster a trial is than skfolio's mean walk-forward, measured by peers.py in this run."""
    record = json.loads((ROOT / "build" / "bench" / "peers.json").read_text(encoding="utf-8"))
    measured = record["skfolio_seconds_a_walk_forward"]
    profiles = [value if isinstance(value, str) else value["name"] for value in document["spec"]["axes"]["profile"]]
    seconds = [measured[profile] for profile in profiles if profile in measured]
    with tempfile.TemporaryDirectory() as folder:
        _, plan = backsweep(Path(folder), "plan", document)
    peer = sum(seconds) / len(seconds)
    ours = cost.cpu_seconds / trials
    return (
        f"A trial of the cold tournament takes {ours * 1e3:.2f} ms of CPU, imports and files included: {trials:,} "
        f"trials from {plan['solves']:,} distinct solves. A walk-forward by skfolio takes {peer:.1f} s on average over "
        f"the {len(seconds)} of its {len(profiles)} profiles that skfolio has (403 windows of 252 rows, sample "
        f"covariance, without drift or costs): {peer / ours:,.0f} times as long."
    )


def main() -> None:
    """Measure cold, warm and growing sweeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each run once, without the 10,000 trials")
    quick = parser.parse_args().quick
    whole = example()
    fewer = changed(whole, "axes", "profile", whole["spec"]["axes"]["profile"][:-1])
    shorter = changed(whole, "data", "end", MONTH_BEFORE)
    longer = changed(whole, "data", "end", LAST_DAY)
    repeats = 1 if quick else RUNS
    ten = changed(whole, "axes", "lookback", LOOKBACKS_OF_TEN_THOUSAND)
    ten = changed(ten, "execution", "onSolveFailure", "hold")  # short lookbacks have windows without a maximum Sharpe
    with contextlib.ExitStack() as stores:
        found = run_steps([("cold store", whole), ("again, nothing to do", whole)], repeats, stores)
        found += run_steps([("one profile fewer, cold", fewer), ("one more profile", whole)], repeats, stores)
        found += run_steps(
            [("data to a month before the end, cold", shorter), ("one more month", longer)], repeats, stores
        )
        if not quick:
            found += run_steps([("10,000 trials, cold store", ten), ("again, nothing to do", ten)], 1, stores)
    sentence = against_skfolio(whole, found[0][1], found[0][2]["trials"]["total"])
    table = markdown_table(TITLES, [row(*each) for each in found])
    note = f"One process; medians over {repeats} fresh stores, the 10,000 trials over one."
    publish("tournament", "## Tournaments", table, sentence, note)


if __name__ == "__main__":
    main()
