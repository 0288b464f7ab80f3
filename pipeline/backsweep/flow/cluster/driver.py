"""The driver of a sweep on a Ray elsewhere: it plans from what the store holds and leaves there what it lacked.

Killed and started again it goes on: what is stored is not computed twice.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backsweep.errors import InvariantError, MissingObjectError, UserError
from backsweep.executors.ray_arrays import StoreWithArrays, put_arrays
from backsweep.executors.ray_session import Demand, RaySession
from backsweep.executors.ray_tasks import RayExecutor
from backsweep.flow.budget import BUDGET_VARIABLE, Allowance, ThriftyExecutor
from backsweep.flow.cluster.parts import read_question, store_parts
from backsweep.flow.cluster.request import DriverRequest
from backsweep.flow.prepare import plan_sweep, plan_trials
from backsweep.plan.sweep_plan import SweepPlan
from backsweep.ports import Store
from backsweep.settings import numeric_environment, numeric_variables_are_pinned
from backsweep.sources.code import code_digest
from backsweep.stores.opening import open_store
from backsweep.sweep.compute import Computed, Progress, compute
from backsweep.sweep.datasets import Dataset, open_dataset
from backsweep.sweep.parts import Asked, Chunk
from backsweep.sweep.work import Work, module_folders
from backsweep_api.documents import document_from_tree
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.trials import trials_at

__all__ = ["drive"]

Opening = tuple[Any, tuple[Any, ...], Any]  # arguments of StoreWithArrays


def drive(request: DriverRequest, observe: Callable[[Progress], None], address: str = "auto") -> dict[str, Any]:
    """Do what is asked on the Ray cluster this process runs in, and return what that took.

    Raises
    ------
    BacksweepError
    """
    began = time.monotonic()
    _refuse_another_environment(request)
    _refuse_other_code(request.strategy)
    with RaySession(address) as session:
        opening = _opening(request)
        store: Store = StoreWithArrays(*opening)
        document, datasets = _read(store, request)
        execution = document.normalised()["spec"]["execution"]
        slots = session.wait_for_slots(Demand())
        executor = RayExecutor(
            session,
            retries=execution["retries"],
            timeout_seconds=float(execution["blockTimeoutSeconds"]),
            parallelism=execution.get("parallelism"),
        )
        if request.question is None:
            plan = _plan(request, document, datasets, store)
            work = Work(StoreWithArrays, opening, request.datasets, module_folders(Path.cwd()))
            phases = plan.blocks(execution.get("parallelism") or slots)
            allowance = Allowance.from_text(os.environ.get(BUDGET_VARIABLE))
            thrifty = executor if allowance is None else ThriftyExecutor(executor, allowance, slots)
            _, computed = compute(plan, store, thrifty, work, phases, observe)
            report = _computed_report(computed)
        else:
            report = {"parts": _answer(request.question, store, executor, opening, request.datasets[0])}
    return {
        **report,
        "bytesReturned": executor.bytes_returned,
        "slots": slots,
        "wallSeconds": round(time.monotonic() - began, 3),
    }


def _computed_report(computed: Computed) -> dict[str, Any]:
    return {
        "blocks": computed.blocks,
        "solveUnits": computed.solve_units,
        "simulations": computed.simulations,
        "seconds": [[*cell, round(seconds, 6)] for cell, seconds in sorted(computed.seconds.items())],
        "peakBytes": computed.peak_bytes,
    }


def _answer(question: str, store: Store, executor: RayExecutor, opening: Opening, dataset: str) -> dict[str, str]:
    """Have the workers read the stored series, and return where the parts are."""
    nets, asked = read_question(store, question)
    firsts = itertools.accumulate((len(digests) for digests in nets), initial=0)
    chunks = [Chunk(first, tuple(digests), ()) for first, digests in zip(firsts, nets, strict=False)]
    work = Asked(StoreWithArrays, opening, dataset, asked)
    found = {outcome.index: outcome.result for outcome in executor.run(chunks, work)}
    return store_parts(store, [found[index] for index in range(len(chunks))])


def _opening(request: DriverRequest) -> Opening:
    """Return what opens the store here and in workers: the data sets of a bucket are in Ray's object store then."""
    store = open_store(*request.store)
    try:
        shared = () if request.store.uri.startswith("file://") else put_arrays(store, request.datasets)
    except MissingObjectError as error:
        raise _not_seen(error) from error
    return open_store, request.store.for_workers(store), shared


def _read(store: Store, request: DriverRequest) -> tuple[BacktestSweep, list[Dataset]]:
    try:
        document = document_from_tree(json.loads(store.get_object(request.document)))
        return document, [open_dataset(store, dataset) for dataset in request.datasets]
    except MissingObjectError as error:
        raise _not_seen(error) from error


def _plan(request: DriverRequest, document: BacktestSweep, datasets: Sequence[Dataset], store: Store) -> SweepPlan:
    """Plan what the side that submitted this has planned."""
    strategy = dict(request.strategy) if request.strategy else None
    if request.points is None:
        return plan_sweep(document, strategy, datasets, store, request.engines)
    trials = list(trials_at(document, json.loads(store.get_object(request.points))))
    return plan_trials(trials, document, strategy, datasets, store, request.engines)


def _not_seen(error: MissingObjectError) -> MissingObjectError:
    return MissingObjectError(f"{error}: the driver on the cluster does not see the store the sweep was submitted from")


def _refuse_another_environment(request: DriverRequest) -> None:
    if not numeric_variables_are_pinned():
        raise InvariantError("the driver was started without the numeric environment")
    here = numeric_environment()
    other = [
        f"{name} is {here.get(name)} there and {wanted} here"
        for name, wanted in sorted(request.environment.items())
        if here.get(name) != wanted
    ]
    if other:
        message = f"the cluster computes in another numeric environment ({', '.join(other)}); give it the same release"
        raise UserError(message)


def _refuse_other_code(strategy: Mapping[str, Any] | None) -> None:
    if strategy is None:
        return
    found = code_digest(strategy["entrypoint"], [Path(place) for place in module_folders(Path.cwd())])
    if found != strategy["code"]:
        message = (
            f"spec.strategy.entrypoint: the cluster has another version of {strategy['entrypoint']} than this "
            f"process; put the same one into the cluster's image"
        )
        raise UserError(message)
