"""From finished trials to a manifest and a run folder: compare, judge, commit, report."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from backsweep.errors import InvariantError
from backsweep.flow.baseline import Baseline, measure_speedup, without_speedup
from backsweep.flow.costs import run_cost
from backsweep.flow.prepare import Prepared
from backsweep.flow.run import Ran, ask_workers
from backsweep.flow.search import caution_of_search, describe_search
from backsweep.flow.steps.attempt import StepDone
from backsweep.plan.solves import costs_of
from backsweep.report.pages import Curves, Sweep, render
from backsweep.report.tables import PYARROW_VERSION, trials_bytes
from backsweep.search.optimiser import optimiser_version
from backsweep.search.rounds import proposals_bytes
from backsweep.settings import numeric_environment
from backsweep.solve.engines.versions import engine_versions
from backsweep.stores.layout import sweep_name
from backsweep.stores.manifest import build_unit_index, commit
from backsweep.sweep.comparison import Comparison, Rules, compare
from backsweep.sweep.compute import Computed
from backsweep.sweep.folder import MOST_SERIES, FolderContents, write_folder
from backsweep.sweep.judgement import Judgement, judge
from backsweep.sweep.result import leaders_first, plain_numbers, result_part, store_procedure
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.speedup import Speedup
from backsweep.sweep.summary import summarise
from backsweep_api.canonical import digest
from backsweep_api.identity import result_fields
from backsweep_api.trials import engines_without

__all__ = ["Finished", "finish", "rules_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A sweep that is done: what the command line and the dashboard show of it.

    Parameters
    ----------
    output : the run folder; none is written in a pod, with which it would go.
    pages : file name -> bytes of heatmap.png and report.html.
    """

    prepared: Prepared
    summary: Mapping[str, Any]
    result_digest: str
    output: Path
    pages: Mapping[str, bytes]

    @property
    def place(self) -> str:
        """Where a person finds manifest.json and report.html: the run folder, or the sweep's own place in the store."""
        prepared = self.prepared
        if prepared.site.is_pod:
            return f"{prepared.store.uri.rstrip('/')}/{sweep_name(prepared.key)}"
        return str(self.output.absolute())


def finish(ran: Ran, output: Path, started: str, baseline: Baseline) -> Finished:
    """Compare the trials, judge the winner, commit the manifest and write the run folder: in a pod, pages in the store.

    Parameters
    ----------
    baseline : how the serial time is measured.

    Raises
    ------
    TransientError, UserError
        If the store or the folder cannot be written; what is computed is stored.
    """
    prepared, series, computed = ran.prepared, ran.series, ran.computed
    times, store, table = prepared.times, prepared.store, ran.table
    rules = rules_of(prepared)
    comparison = times.time("compare", lambda: compare(series, rules, ask_workers(ran)))
    speedup = measure_speedup(ran, baseline)
    base = prepared.datasets[0]
    ever = prepared.ledger.count(base.lineage)
    purge = int(prepared.spec["walkForward"]["purge"])
    judgement = judge(series, comparison, rules, ever, purge, base.provenance.get("origin") or {})
    judgement = replace(judgement, sentences=[*judgement.sentences, *caution_of_search(prepared)])
    trials = times.time("tables", lambda: trials_bytes(table.columns()))
    objects = {"trials": store.put_object(trials)}
    procedure = store_procedure(store, comparison)
    if procedure is not None:
        objects["procedure"] = procedure
    if prepared.rounds:
        objects["proposals"] = store.put_object(proposals_bytes(prepared.rounds))
    digests = times.time("name units", lambda: _unit_digests(prepared, computed))
    index = store.put_object(build_unit_index(digests))
    named = {
        "document": result_fields(prepared.document),
        "specDigest": prepared.key.spec_digest,
        "strategy": prepared.strategy,
        "environment": {**numeric_environment(), "pyarrow": PYARROW_VERSION, **_optimiser(prepared)},
        "units": {"count": len(digests), "index": index},
        "seeds": {"bootstrap": rules.seed},
    }
    engines = engine_versions(prepared.document.spec.axes.engine)
    if engines:  # a sweep without peers says nothing of them
        named["engines"] = engines
    result = result_part(prepared.plan, table, comparison, named, objects)
    timings = {**_timings(prepared, computed), **_spent(ran, speedup)}
    run = plain_numbers({**_run_part(ran, judgement, started, timings), **_spent(ran, speedup)})
    committed = times.time("commit", lambda: commit(store, prepared.key, result, run))
    rows = leaders_first(table, comparison, MOST_SERIES)
    told = summarise(series, computed, comparison, judgement, rules.metric)
    where = {"where": _where(ran), **_spent(ran, speedup)}
    summary = {**told, **where, **describe_search(ran), "notMade": engines_without(prepared.document)}
    digest = committed.result_digest
    pages = times.time("report", lambda: _pages(prepared, series, comparison, digest, summary, timings))
    contents = FolderContents(committed.data, trials, timings, pages, rows)
    if prepared.site.is_pod:  # whose disk goes with it, and whose store holds all else
        times.time("run folder", lambda: _keep_pages(prepared, pages))
    else:
        times.time("run folder", lambda: write_folder(output, contents, series))
    return Finished(prepared, {**summary, **_spent(ran, speedup)}, committed.result_digest, output, pages)


def _keep_pages(prepared: Prepared, pages: Mapping[str, bytes]) -> None:
    """Put the pages beside the manifest."""
    for name, data in pages.items():
        prepared.store.put_page(prepared.key, name, data)


def _spent(ran: Ran, speedup: Speedup | None) -> dict[str, Any]:
    """Return what the run was worth in time, and what it would have cost up to now: each who writes it says his own."""
    return {
        "speedup": None if speedup is None else speedup.as_plain(),
        "withoutSpeedup": without_speedup(ran),
        "cost": run_cost(ran),
    }


def _pages(
    prepared: Prepared,
    series: SweepSeries,
    comparison: Comparison,
    result_digest: str,
    summary: Mapping[str, Any],
    timings: Mapping[str, Any],
) -> dict[str, bytes]:
    """Return heatmap.png and report.html."""
    winner, procedure = comparison.ranking.winner, comparison.procedure
    curves = Curves(
        dates=series.test_dates(0),
        ranked_rows=series.plan.evaluations[0].ranked_rows,
        winner=None if winner is None else series.net(winner),
        yardstick=comparison.yardstick,
        procedure=None if procedure is None else procedure.net,
        procedure_first=0 if procedure is None else procedure.first,
    )
    document, name = prepared.document, prepared.document.metadata.name
    sweep = Sweep(
        name=name,
        spec_digest=prepared.key.spec_digest,
        result_digest=result_digest,
        document={**document.normalised(), "metadata": {"name": name}, "spec": result_fields(document)},
        datasets=[(dataset.label, dataset.provenance) for dataset in prepared.datasets],
    )
    return render(sweep, summary, timings, curves)


def _optimiser(prepared: Prepared) -> dict[str, str]:
    """Return the version of what proposed a search's later rounds: another one may propose other trials."""
    return {"optuna": optimiser_version()} if prepared.spec["sampling"].get("rounds", 1) > 1 else {}


def rules_of(prepared: Prepared) -> Rules:
    """Return how a sweep is judged; the bootstrap's seed is of its document alone."""
    objective = prepared.spec["objective"]
    costs = costs_of({"costs": prepared.spec["axes"]["costs"][0]})
    return Rules(objective["metric"], objective["goal"], costs, int(prepared.key.spec_digest[:8], 16))


def _unit_digests(prepared: Prepared, computed: Computed) -> dict[str, str]:
    """Return unit id -> digest of its record; what was neither computed nor read in this run is read now."""
    known = computed.records
    names = list(prepared.plan.unit_ids())
    read = {each: digest for each, _, digest in prepared.store.get_units(name for name in names if name not in known)}
    digests = {name: known.get(name) or read.get(name, "") for name in names}
    gone = next((name for name in names if not digests[name]), None)
    if gone is not None:
        raise InvariantError(f"unit {gone} should be stored by now and is not")
    return digests


def _timings(prepared: Prepared, computed: Computed) -> dict[str, Any]:
    """Return timings.json: seconds by the clock of each stage, and of each profile and estimator in all processes.

    The steps of the pipeline that made the data stand beside them.
    """
    cells = [
        {"stage": stage, "estimator": estimator, "seconds": round(seconds, 6)}
        for (stage, estimator), seconds in sorted(computed.seconds.items())
    ]
    stages = {stage: round(seconds, 6) for stage, seconds in prepared.times.seconds.items()}
    steps = {step.name: round(step.seconds, 6) for step in prepared.steps}
    return {"stages": stages, "cells": cells, **({"steps": steps} if steps else {})}


def _run_part(ran: Ran, judgement: Judgement, started: str, timings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the manifest that says how the result came about, and may differ from run to run."""
    prepared, computed = ran.prepared, ran.computed
    return {
        "name": prepared.document.metadata.name,
        "startedAt": started,
        "store": prepared.store.uri,
        "storeEndpoint": prepared.store_address.endpoint_url,
        "storeRegion": prepared.store_address.region,
        "datasets": [
            {
                "label": dataset.label,
                "lineage": dataset.lineage,
                "object": reference,
                "provenance": dict(dataset.provenance),
            }
            for dataset, reference in zip(prepared.datasets, prepared.references, strict=True)
        ],
        "computed": {
            "blocks": computed.blocks,
            "solveUnits": computed.solve_units,
            "simulations": computed.simulations,
            "cachedTrials": computed.cached_trials,
            "where": ran.place.kind,
            "workers": ran.place.workers,
            "wallSeconds": round(ran.wall_seconds, 6),
            "bytesReturned": ran.bytes_returned,
        },
        "timings": timings["stages"],
        "steps": [_described(step) for step in prepared.steps],
        "verdict": judgement.sentences,
        "trialsEver": judgement.trials_ever,
        "deflatedSharpeEver": judgement.dsr_ever,
        "versions": {"backsweep": metadata.version("backsweep"), "python": platform.python_version()},
        "host": {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()},
    }


def _described(step: StepDone) -> dict[str, Any]:
    """Return a step that made the data as the manifest names it: its record is the unit `step-<identity>`."""
    outputs = {path: digest(tree) for path, tree in step.outputs.items()}
    described = {"name": step.name, "identity": step.identity, "cached": step.is_cached, "outputs": outputs}
    return {**described, "seconds": round(step.seconds, 6)}


def _where(ran: Ran) -> dict[str, Any]:
    """Return where the trials were computed, and what came back from there."""
    fresh = len(ran.table) - ran.computed.cached_trials
    return {
        "kind": ran.place.kind,
        "workers": ran.place.workers,
        "reason": ran.place.reason,
        "wallSeconds": round(ran.wall_seconds, 3),
        "startSeconds": round(ran.workers.start_seconds, 3),
        "bytesReturned": ran.bytes_returned,
        "bytesReturnedPerTrial": round(ran.bytes_returned / fresh) if fresh else None,
    }
