"""The driver of a sweep on a Ray elsewhere: it plans from what the store holds and leaves there what it lacked.

Killed and started again it goes on: what is stored is not computed twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from backsweep.errors import InvariantError, MissingObjectError, UserError
from backsweep.executors.ray_arrays import StoreWithArrays, put_arrays
from backsweep.executors.ray_session import Demand, RaySession
from backsweep.executors.ray_tasks import RayExecutor
from backsweep.flow.prepare import plan_sweep
from backsweep.flow.ray_request import DriverRequest
from backsweep.ports import Store
from backsweep.settings import numeric_environment, numeric_variables_are_pinned
from backsweep.sources.code import code_digest
from backsweep.stores.opening import open_store
from backsweep.sweep.compute import Progress, compute
from backsweep.sweep.datasets import Dataset, open_dataset
from backsweep.sweep.work import Work, module_folders
from backsweep_api.documents import document_from_tree
from backsweep_api.spec.document import BacktestSweep

__all__ = ["drive"]


def drive(request: DriverRequest, observe: Callable[[Progress], None], address: str = "auto") -> dict[str, Any]:
    """Compute what the store lacks on the Ray cluster this process runs in, and return what that took.

    Raises
    ------
    BacksweepError
    """
    began = time.monotonic()
    _refuse_another_environment(request)
    _refuse_other_code(request.strategy)
    with RaySession(address) as session:
        opener = _opener(request)
        store = StoreWithArrays(*opener)
        document, datasets = _read(store, request)
        strategy = dict(request.strategy) if request.strategy else None
        plan = plan_sweep(document, strategy, datasets, store, request.engines)
        execution = document.normalised()["spec"]["execution"]
        slots = session.wait_for_slots(Demand())
        executor = RayExecutor(
            session,
            retries=execution["retries"],
            timeout_seconds=float(execution["blockTimeoutSeconds"]),
            parallelism=execution.get("parallelism"),
        )
        work = Work(StoreWithArrays, opener, request.datasets, module_folders(Path.cwd()))
        phases = plan.blocks(execution.get("parallelism") or slots)
        _, computed = compute(plan, store, executor, work, phases, observe)
    return {
        "blocks": computed.blocks,
        "solveUnits": computed.solve_units,
        "simulations": computed.simulations,
        "bytesReturned": executor.bytes_returned,
        "slots": slots,
        "wallSeconds": round(time.monotonic() - began, 3),
        "seconds": [[*cell, round(seconds, 6)] for cell, seconds in sorted(computed.seconds.items())],
    }


def _opener(request: DriverRequest) -> tuple[Any, tuple[Any, ...], Any]:
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
