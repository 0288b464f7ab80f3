"""Doing what was decided, in order, one API call an action; before what cannot be undone a live read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from backsweep_api.errors import TransientError
from backsweep_api.names import ANNOTATION_DELETE_AFTER, LABEL_UID
from backsweep_api.status import Run, SweepStatus, timestamp
from backsweep_operator.errors import DeploymentGoneError, LeaseLostError, StaleReadError
from backsweep_operator.model import (
    Action,
    ApplyChild,
    AtRun,
    CancelFlowRun,
    CreateFlowRun,
    DeleteChild,
    EmitEvent,
    EnsureDeployment,
    ExtendCluster,
    FreePlace,
    Guard,
    Kind,
    NothingRuns,
    PatchStatus,
    Reference,
    StillMissing,
)
from backsweep_operator.observe import Key, Seen
from backsweep_operator.ports import Clock, Fence, Kube, Prefect
from backsweep_operator.projections import job_view, pod_view

__all__ = ["Hands", "act"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Hands:
    """What acting needs: the ports, what was seen, and which deployments this process has ensured."""

    kube: Kube
    prefect: Prefect
    clock: Clock
    fence: Fence
    seen: Seen
    ensured: set[tuple[str, str]] = field(default_factory=set)


async def act(actions: tuple[Action, ...], hands: Hands) -> None:
    """Do the actions in order; the first that fails ends the pass, and all is observed and decided again.

    Raises
    ------
    TransientError
        Whatever the ports raise; StaleReadError where a live read contradicts what was decided on.
    LeaseLostError
        If another process leads by now; no further call was made.
    """
    for action in actions:
        hands.fence.check()
        match action:
            case ApplyChild():
                await _hold(action.guard, hands)
                hands.seen.see(action.kind, await _fenced(hands).apply(action.manifest))
            case ExtendCluster():
                await _hold(action.guard, hands)
                end = {ANNOTATION_DELETE_AFTER: timestamp(action.delete_after)}
                hands.seen.see(Kind.CLUSTER, await _fenced(hands).annotate(action.reference, end))
            case DeleteChild():
                await _hold(action.guard, hands)
                await _delete(action.reference, hands)
            case EnsureDeployment():
                await _ensure(action, hands)
            case CreateFlowRun():
                await _create(action, hands)
            case CancelFlowRun():
                await _hold(action.guard, hands)
                hands.fence.check()
                await hands.prefect.cancel_flow_run(action.flow_run_id)
                hands.seen.note_cancelled(action.attempt, hands.clock.now())
            case PatchStatus():
                await _write_status(action, hands)
            case EmitEvent():
                await _record(action, hands)


def _fenced(hands: Hands) -> Kube:
    """Return the API once more checked: a live read took time in which the lease may have been lost."""
    hands.fence.check()
    return hands.kube


async def _hold(guard: Guard, hands: Hands) -> None:
    """Read the sweep live, and refuse to go on if it is not what was decided on."""
    raw = await hands.kube.read(Kind.SWEEP, guard.namespace, guard.name)
    meta = {} if raw is None else raw["metadata"]
    same = meta.get("uid") == guard.uid
    deleting = "deletionTimestamp" in meta
    if not isinstance(guard, AtRun):
        if same and not deleting:
            raise StaleReadError(f"sweep {guard.namespace}/{guard.name} is still there")
        return
    if not same or raw is None:
        raise StaleReadError(f"sweep {guard.namespace}/{guard.name} is gone or another one")
    hands.seen.see(Kind.SWEEP, raw)
    view = hands.seen.sweep_at(raw)
    if (_run_of(raw) if view is None else view.status.run) != guard.run:
        raise StaleReadError(f"sweep {guard.namespace}/{guard.name} is at another run by now")
    if guard.generation is not None and (deleting or meta.get("generation") != guard.generation):
        raise StaleReadError(f"sweep {guard.namespace}/{guard.name} was changed meanwhile")


def _run_of(raw: Mapping[str, Any]) -> Run | None:
    """Return the run in a raw sweep; None for none, or for what cannot be read."""
    try:
        return SweepStatus.model_validate(raw.get("status") or {}).run
    except ValidationError:
        return None


async def _delete(reference: Reference, hands: Hands) -> None:
    """Delete the object if a live read finds that very one; one that is gone or going is left."""
    raw = await hands.kube.read(reference.kind, reference.namespace, reference.name)
    if raw is None or raw["metadata"]["uid"] != reference.uid or "deletionTimestamp" in raw["metadata"]:
        return
    version = raw["metadata"]["resourceVersion"]
    found = Reference(reference.kind, reference.namespace, reference.name, reference.uid, version)
    await _fenced(hands).delete(found)


async def _ensure(action: EnsureDeployment, hands: Hands) -> None:
    """Ensure a deployment once a process, and again once Prefect has it no more."""
    known = (action.work_pool, action.deployment)
    if known not in hands.ensured:
        await hands.prefect.ensure_deployment(action)
        hands.ensured.add(known)


async def _create(action: CreateFlowRun, hands: Hands) -> None:
    """Create a flow run and keep the answer, for Prefect is only read now and then."""
    await _hold(action.guard, hands)
    hands.fence.check()
    try:
        view = await hands.prefect.create_flow_run(action.request, cancelled=action.cancelled)
    except DeploymentGoneError:
        hands.ensured.clear()
        raise
    hands.seen.note_flow_run(view)


async def _write_status(action: PatchStatus, hands: Hands) -> None:
    """Write status after its premises were found to hold by live reads."""
    at = action.reference
    for premise in action.premises:
        match premise:
            case NothingRuns():
                await _nothing_runs(premise, hands)
            case StillMissing():
                attempt = premise.attempt
                if await hands.kube.read_labelled(premise.kind, attempt.namespace, attempt.labels):
                    raise StaleReadError(f"the {premise.kind} of attempt {attempt.attempt} is there after all")
            case FreePlace():
                hands.seen.take_place(_key(at), premise.limit)
    raw = await _fenced(hands).write_status(at, action.status.plain())
    hands.seen.see(Kind.SWEEP, raw)


async def _nothing_runs(premise: NothingRuns, hands: Hands) -> None:
    """Refuse to go on if anything of the sweep is left that runs or costs."""
    labels = {LABEL_UID: premise.uid}
    left = [raw["metadata"]["name"] for raw in await hands.kube.read_labelled(Kind.CLUSTER, premise.namespace, labels)]
    for raw in await hands.kube.read_labelled(Kind.JOB, premise.namespace, labels):
        job = job_view(raw)
        if job is not None and not (premise.finished_jobs and job.finished):
            left.append(job.reference.name)
    for raw in await hands.kube.read_labelled(Kind.POD, premise.namespace, labels):
        pod = pod_view(raw)
        if pod is not None and pod.finished_at is None:
            left.append(pod.name)
    if premise.attempt is not None:
        runs = await hands.prefect.flow_runs([premise.attempt])
        left += [f"flow run {run.id}" for run in runs if not run.state.terminal]
    if left:
        raise StaleReadError(f"still there: {', '.join(sorted(left))}")


async def _record(action: EmitEvent, hands: Hands) -> None:
    """Record an Event; what happened has happened, whether anyone is told or not."""
    try:
        await hands.kube.record_event(action)
    except LeaseLostError:
        raise
    except TransientError as error:
        logger.warning("the Event %s was not recorded: %s", action.reason, error)


def _key(reference: Reference) -> Key:
    return reference.namespace, reference.name
