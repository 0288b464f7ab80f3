"""Hands a sweep to a Ray elsewhere, by its Jobs API, and waits until the store has what it lacked.

The address stands in the document; what is secret does not: on Kubernetes the operator hands a Secret's value to the
flow as an environment variable, elsewhere the user sets it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backsweep.errors import TransientError, UserError
from backsweep.executors.ray_jobs import Patience, run_job, stop_job
from backsweep.executors.ray_rest import JobRequest, JobsApi
from backsweep.flow.budget import BUDGET_VARIABLE, Allowance, allowance_of
from backsweep.flow.cluster.parts import read_parts, store_question
from backsweep.flow.cluster.request import DriverRequest, make_request
from backsweep.flow.prepare import Prepared
from backsweep.settings import NUMERIC_VARIABLES
from backsweep.stores.opening import StoreAddress
from backsweep.sweep.compute import Progress
from backsweep.sweep.parts import Chunk, Part, Question
from backsweep_api.canonical import canonical_json

__all__ = ["CA_VARIABLE", "TOKEN_VARIABLE", "ask_there", "compute_on_cluster", "compute_there", "job_of"]

TOKEN_VARIABLE = "RAY_AUTH_TOKEN"  # Ray's own
CA_VARIABLE = "BACKSWEEP_RAY_CA_FILE"

GRACE_SECONDS = 300.0  # beyond the time of a block: the driver's own time-out comes first and says more


def compute_there(prepared: Prepared, observe: Callable[[Progress], None]) -> dict[str, Any]:
    """Have the Ray that is there compute what the store lacks; return the driver's report.

    Raises
    ------
    UserError
        If its token is not in the environment, or as `compute_on_cluster`.
    BacksweepError
        As `compute_on_cluster`.
    """
    return _submit(prepared, _request(prepared), observe)


def ask_there(prepared: Prepared, chunks: Sequence[Chunk], question: Question) -> tuple[list[Part], int]:
    """Have the Ray that is there read stored series; return the parts, and the bytes its workers sent.

    Raises
    ------
    BacksweepError
        As `compute_there`.
    """
    asked = store_question(prepared.store, chunks, question)
    request = dataclasses.replace(_request(prepared), question=asked)
    report = _submit(prepared, request, lambda _: None)
    return read_parts(prepared.store, report["parts"]), int(report["bytesReturned"])


def _request(prepared: Prepared) -> DriverRequest:
    here = prepared.store_address
    address = StoreAddress(prepared.store.uri, here.endpoint_url, here.region)
    request = make_request(prepared.store, address, prepared.document, prepared.references, prepared.strategy)
    if not prepared.rounds:
        return request
    points = [values for each in prepared.rounds for values in each]  # of a search, which the axes alone do not say
    return dataclasses.replace(request, points=prepared.store.put_object(canonical_json(points)))


def _submit(prepared: Prepared, request: DriverRequest, observe: Callable[[Progress], None]) -> dict[str, Any]:
    existing = prepared.spec.get("cluster", {}).get("existing", {})
    given = prepared.site.ray
    api = JobsApi(
        existing["address"] if given is None else given.address,
        token=_secret(existing, "tokenSecretRef", TOKEN_VARIABLE),
        ca_file=_secret(existing, "caSecretRef", CA_VARIABLE),
    )
    timeout_seconds = float(prepared.spec["execution"]["blockTimeoutSeconds"])
    name = prepared.document.metadata.name
    if given is not None:
        _await(api, given.wait_seconds)
    try:
        allowance = allowance_of(prepared, prepared.place) if request.question is None else None
        return compute_on_cluster(request, api, name, timeout_seconds, observe, allowance)
    except BaseException as error:
        # Interrupted, or a pod told to end: on a Ray that stays, a job nobody waits for goes on and costs money.
        stays = given is None or not given.is_ours
        if stays and not isinstance(error, Exception):
            stop_job(api, job_of(request, name))
        raise


def _await(api: JobsApi, wait_seconds: float) -> None:
    """Wait for a Ray that comes up beside the run.

    Raises
    ------
    TransientError
        If it does not.
    """
    try:
        api.check(wait_seconds)
    except UserError as error:
        if isinstance(error.__cause__, TransientError):
            raise error.__cause__ from error
        raise


def _secret(existing: Mapping[str, Any], field: str, variable: str) -> str | None:
    """Return what a reference to a Secret stands for here; None where nothing asks for one.

    Raises
    ------
    UserError
    """
    value = os.environ.get(variable)
    if value is None and field in existing:
        message = (
            f"spec.cluster.existing.{field}: names a Secret of Kubernetes; outside of it {variable} in the environment "
            f"says what is in it, and is not set"
        )
        raise UserError(message)
    return value


def compute_on_cluster(
    request: DriverRequest,
    api: JobsApi,
    name: str,
    block_timeout_seconds: float,
    observe: Callable[[Progress], None],
    allowance: Allowance | None = None,
) -> dict[str, Any]:
    """Have the cluster compute what the store lacks; return the driver's report, see `driver.drive`.

    Plan again afterwards: every unit is in the store then, and `compute` reads it from there.

    Parameters
    ----------
    allowance : until when the driver may begin blocks; None for as long as it takes.

    Raises
    ------
    UserError
        If the cluster cannot be reached, refuses the token, or cannot see the store.
    BacksweepError
        What the driver ended with, or the loss of the job.
    """
    _refuse_folder(request.store.uri, api)
    api.check()
    patience = Patience(stall_seconds=block_timeout_seconds + GRACE_SECONDS)
    return run_job(api, job_of(request, name, allowance), patience, lambda said: observe(_progress(said)))


def job_of(request: DriverRequest, name: str, allowance: Allowance | None = None) -> JobRequest:
    """Return the job of a sweep; the same work in the same store has the same id, so that it is attached to."""
    told = {} if allowance is None else {BUDGET_VARIABLE: allowance.to_text()}
    return JobRequest(
        submission_id=f"backsweep-{name}-{request.digest()[:16]}",
        entrypoint=shlex.join(["python", "-m", "backsweep.cli.ray_driver", request.to_json()]),
        variables={**NUMERIC_VARIABLES, "PYTHONUNBUFFERED": "1", **told},
        metadata={"sweep": name},
    )


def _progress(said: Mapping[str, Any]) -> Progress:
    return Progress(int(said["done"]), int(said["total"]), int(said["cached"]), int(said["failed"]))


def _refuse_folder(uri: str, api: JobsApi) -> None:
    """Refuse a store in a folder for a Ray elsewhere.

    Raises
    ------
    UserError
    """
    if uri.startswith("file://") and not _is_this_machine(api.host):
        message = (
            f"spec.storage.uri: {uri} is a folder of this machine, and the Ray at {api.address} is not on it; write an "
            f"s3:// URI"
        )
        raise UserError(message)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
