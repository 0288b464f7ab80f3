"""The driver of a sweep on a Ray elsewhere, started there by its Jobs API.

``python -m backsweep.flow.ray_driver REQUEST`` plans the sweep from what the store holds, computes what the store
lacks and leaves it there. Killed and started again it goes on: what is stored is not computed twice.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backsweep.errors import BacksweepError, InvariantError, MissingObjectError, UserError
from backsweep.executors.ray_arrays import StoreWithArrays, put_arrays
from backsweep.executors.ray_lines import ERROR, PROGRESS, REPORT, mark_line
from backsweep.executors.ray_session import LOGGER, Demand, RaySession
from backsweep.executors.ray_tasks import RayExecutor
from backsweep.flow.prepare import plan_sweep
from backsweep.flow.ray_request import DriverRequest, read_request
from backsweep.ports import Store
from backsweep.settings import numeric_environment, numeric_variables_are_pinned
from backsweep.sources.code import code_digest
from backsweep.stores.opening import open_store
from backsweep.sweep.compute import Progress, compute
from backsweep.sweep.datasets import Dataset, open_dataset
from backsweep.sweep.work import Work, module_folders
from backsweep_api.documents import document_from_tree
from backsweep_api.spec.document import BacktestSweep

__all__ = ["drive", "main"]

SAY_SECONDS = 1.0  # progress is said no more often: the other side reads the whole output each time


def main(arguments: Sequence[str]) -> int:
    """Compute the sweep the one argument describes; say progress, report or error on the output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        _say(REPORT, drive(read_request(arguments[0]), _Sayer()))
    except BacksweepError as error:
        _say(ERROR, {"reason": error.reason, "message": str(error)})
        return 1
    except Exception as error:
        traceback.print_exc()
        _say(ERROR, {"reason": InvariantError.reason, "message": f"{type(error).__name__} in the driver: {error}"})
        return 1
    return 0


def drive(request: DriverRequest, observe: Callable[[Progress], None], address: str = "auto") -> dict[str, Any]:
    """Compute what the store lacks on the Ray cluster this process runs in, and return what that took.

    Raises
    ------
    BacksweepError
    """
    began = time.monotonic()
    _refuse_another_environment(request)
    store = open_store(*request.store)
    document, datasets = _read(store, request)
    _refuse_other_code(request.strategy)
    plan = plan_sweep(document, dict(request.strategy) if request.strategy else None, datasets, store)
    execution = document.normalised()["spec"]["execution"]
    with RaySession(address) as session:
        slots = session.wait_for_slots(Demand())
        shared = () if request.store.uri.startswith("file://") else put_arrays(store, request.datasets)
        work = Work(StoreWithArrays, (open_store, request.store, shared), request.datasets, module_folders(Path.cwd()))
        executor = RayExecutor(
            session,
            retries=execution["retries"],
            timeout_seconds=float(execution["blockTimeoutSeconds"]),
            parallelism=execution.get("parallelism"),
        )
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


class _Sayer:
    """Says progress, at most once a second and the last one always."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._said_at >= SAY_SECONDS or progress.done == progress.total:
            self._said_at = now
            counts = {name: getattr(progress, name) for name in ("done", "total", "cached", "failed")}
            _say(PROGRESS, counts)


def _say(mark: str, tree: Mapping[str, Any]) -> None:
    sys.stdout.write(mark_line(mark, tree) + "\n")
    sys.stdout.flush()


def _read(store: Store, request: DriverRequest) -> tuple[BacktestSweep, list[Dataset]]:
    try:
        document = document_from_tree(json.loads(store.get_object(request.document)))
        return document, [open_dataset(store, dataset) for dataset in request.datasets]
    except MissingObjectError as error:
        message = f"{error}: the driver on the cluster does not see the store the sweep was submitted from"
        raise MissingObjectError(message) from error


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
