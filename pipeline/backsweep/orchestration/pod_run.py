"""One attempt of a sweep in its pod: the stages a laptop runs, with what the operator has made for them."""

from __future__ import annotations

import datetime
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from backsweep import flow
from backsweep.errors import InvariantError, TransientError, UserError
from backsweep.flow.baseline import Baseline
from backsweep.flow.cluster.job import CA_VARIABLE
from backsweep.orchestration.keeper import Keeper
from backsweep.orchestration.pod_progress import PodProgress
from backsweep.orchestration.server import Endpoint
from backsweep.orchestration.sweep_run import SweepRun, in_a_line
from backsweep.stores.manifest import parse_manifest, result_digest
from backsweep_api.documents import document_from_tree
from backsweep_api.identity import spec_digest
from backsweep_api.names import AttemptName
from backsweep_api.not_built import refuse_unbuilt
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import Best, Computed, ManifestReference, Overfitting, Speedup, TrialCounts

__all__ = ["Ended", "Order", "PodRun"]

CA_CONTENT = "BACKSWEEP_RAY_CA"  # the operator hands over certificates as they are
OWN_RAY_SECONDS = 1_800.0  # as long as the operator gives a cluster to come up
THEIR_RAY_SECONDS = 90.0
LOGGER = logging.getLogger("prefect.backsweep")  # what is below `prefect` Prefect writes to the pod's output


@dataclass(frozen=True, slots=True)
class Order:
    """What the operator asks for; see `pod.run_sweep`."""

    document: Mapping[str, Any]
    namespace: str
    uid: str
    attempt: int
    ray: Mapping[str, Any] | None
    budget: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A sweep whose manifest is committed.

    Parameters
    ----------
    outcome : succeeded, or failed where more trials failed than the document allows.
    parts : of the termination message.
    """

    outcome: str
    message: str
    parts: Mapping[str, Any]


class PodRun:
    """One attempt; to be run inside its Prefect flow run.

    Attributes
    ----------
    counts : of trials, as far as they are known; None before the sweep is planned.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._progress: PodProgress | None = None

    @property
    def counts(self) -> TrialCounts | None:
        """How many trials there are, and what became of them so far."""
        return None if self._progress is None else self._progress.counts

    def execute(self) -> Ended:
        """Run the sweep, and return how it ended as its committed manifest has it.

        Raises
        ------
        BacksweepError
            As the stages do; nothing is committed then.
        """
        order = self._order
        document = document_from_tree(dict(order.document))
        refuse_unbuilt(document, "cluster")
        _refuse_strategy_without_ray(document, order)
        at = (order.namespace, document.metadata.name, order.uid)
        progress = PodProgress(AttemptName.of(at, spec_digest(document), order.attempt))
        self._progress = progress
        listener = flow.Listener(progress.plan, lambda _: None, _say)
        with tempfile.TemporaryDirectory(prefix="backsweep-") as folder:
            _trust(Path(folder))
            request = _request(document, order, Path(folder))
            with flow.Stages(request, listener) as stages:
                return _ended(_in_flow(SweepRun(request, stages, listener, _keeper(), progress), stages, progress))


def _in_flow(run: SweepRun, stages: flow.Stages, progress: PodProgress) -> flow.Finished:
    """Do the work as tasks of the flow run; where Prefect is lost, go on without."""
    try:
        return run.work()
    except Exception as error:  # whatever is not the engine's own is Prefect's, and Prefect only records
        if error is stages.raised:
            raise
        _say(f"Prefect was lost ({type(error).__name__}: {error}); the sweep goes on without it")
        return stages.complete(flow.run_plainly, progress.note)


def _request(document: BacktestSweep, order: Order, folder: Path) -> flow.Request:
    ray = None
    if order.ray is not None:
        workers = int(order.ray["workers"])
        ray = flow.SiteRay(str(order.ray["address"]), workers, OWN_RAY_SECONDS if workers else THEIR_RAY_SECONDS)
    spent = Decimal(0 if order.budget is None else str(order.budget["spent"]))
    site = flow.Site(order.namespace, is_pod=True, ray=ray, spent=spent)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")  # noqa: TID251  # the clock is read here
    baseline: Baseline = "sample" if document.spec.strategy is None else "none"  # a strategy runs on Ray alone
    return flow.Request(document, folder, folder / "run", started, baseline=baseline, site=site)


def _ended(finished: flow.Finished) -> Ended:
    """Return how a sweep ended, by the manifest that is in the store: without one there is no success.

    Raises
    ------
    TransientError
        If it is not the one this run committed.
    """
    prepared = finished.prepared
    stored = prepared.store.get_manifest(prepared.key)
    manifest = None if stored is None else parse_manifest(stored.data)
    if manifest is None or result_digest(manifest.result) != finished.result_digest:
        raise TransientError(f"the run is done, but the manifest in {prepared.store.uri} is not the one it committed")
    told = finished.summary["trials"]
    counts = TrialCounts(total=told["total"], done=told["total"], cached=told["cached"], failed=told["failed"])
    place = f"{finished.place}/manifest.json"
    parts: dict[str, Any] = {
        "trials": counts,
        "manifest": ManifestReference(uri=place, result_digest=finished.result_digest),
    }
    allowed = prepared.spec["execution"]["maxFailedTrialsPercent"]
    percent = 100 * counts.failed / counts.total
    if percent > allowed:
        message = (
            f"{counts.failed:,} of {counts.total:,} trials failed ({percent:.3g} %), more than "
            f"execution.maxFailedTrialsPercent = {allowed}{_why(finished)}"
        )
        return Ended("failed", message, parts)
    speedup, where = finished.summary["speedup"], finished.summary["where"]
    parts["computed"] = Computed(where=where["kind"], bytes_returned=where["bytesReturned"])
    parts["best"], parts["overfitting"] = _luck(manifest.result, manifest.run)
    parts["speedup"] = None if speedup is None else Speedup.model_validate(speedup)
    return Ended("succeeded", in_a_line(finished), parts)


def _luck(result: Mapping[str, Any], run: Mapping[str, Any]) -> tuple[Best | None, Overfitting]:
    """Return the leader and how much of it is luck, as the manifest has them."""
    best, luck = result["best"], result["luck"]
    deflated = None if best is None else best["metrics"]["dsr"]
    overfitting = Overfitting(
        pbo=(luck["overfitting"] or {}).get("probability"),
        deflated_sharpe=deflated,
        effective_trials=(luck["deflation"] or {}).get("effective"),
        trials_ever=run["trialsEver"],
    )
    if best is None:
        return None, overfitting
    metric = result["document"]["objective"]["metric"]
    value = best["metrics"][metric]
    return Best(trial=best["trial"], metric=metric, value=value, deflated_sharpe=deflated), overfitting


def _why(finished: flow.Finished) -> str:
    """Return the reason for which the first of them failed."""
    failures = finished.summary["failures"]
    return f"; {failures[0]['error']}" if failures else ""


def _refuse_strategy_without_ray(document: BacktestSweep, order: Order) -> None:
    if document.spec.strategy is not None and order.ray is None:
        raise UserError("spec.strategy: code of users runs on Ray alone, and this attempt was given none")


def _keeper() -> Keeper:
    """Return who waits for the server: the one Prefect's worker has named in the environment."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise InvariantError("PREFECT_API_URL is not set: a flow run is executed by Prefect's worker")
    return Keeper(Endpoint(url, os.environ.get("PREFECT_API_AUTH_STRING"), None))


def _trust(folder: Path) -> None:
    """Put the certificates that were handed over into a file, which is what is asked for."""
    content = os.environ.get(CA_CONTENT)
    if content:
        file = folder / "ray-ca.crt"
        file.write_text(content, encoding="utf-8")
        os.environ[CA_VARIABLE] = str(file)


def _say(sentence: str) -> None:
    """Say it in the pod's log."""
    LOGGER.info(sentence)
