"""Status as a value: conditions are computed once, from what was observed, and written by one action."""

from __future__ import annotations

from dataclasses import dataclass

from backsweep_api.conditions import ConditionType, State
from backsweep_api.names import sweep_folder
from backsweep_api.status import LONGEST_MESSAGE, Condition, Links, Run, SweepStatus, TrialCounts, timestamp
from backsweep_operator.build import head_address
from backsweep_operator.decide.costs import cost_of
from backsweep_operator.decide.pool import pool_size
from backsweep_operator.decide.situation import Situation
from backsweep_operator.model import (
    FOUND,
    Action,
    EmitEvent,
    Instant,
    PatchStatus,
    Premise,
)

__all__ = ["Told", "status_of", "write_status"]

WORKING = (State.QUEUED, State.STARTING, State.RUNNING, State.STOPPING, State.RETRYING)
WARNINGS = (State.FAILED, State.RETRYING, State.NOT_ACCEPTED)


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader is told: the state, why in one word, and a sentence."""

    state: State
    reason: str
    message: str = ""


def write_status(
    situation: Situation, run: Run | None, told: Told, now: Instant, premises: tuple[Premise, ...] = ()
) -> list[Action]:
    """Return the write of status and the Event of a new state; nothing where status says it already.

    Mere progress is written once in `status_seconds`; a change of state, phase or generation at once.
    """
    before = situation.status
    status = status_of(situation, run, told, now)
    if not _significant(before, status):
        last = before.last_progress_time or 0
        if told.state not in WORKING or now < last + situation.release.status_seconds:
            return []
        if _progress(before) == _progress(status):
            return []
    reference = situation.sweep.reference
    actions: list[Action] = [PatchStatus(reference, status, premises)]
    if before.state is not told.state:
        text = told.message or str(told.state)
        warns = told.state in WARNINGS
        reason = str(State.STOPPING) if told.state is State.STOPPING else told.reason
        actions.append(EmitEvent(reference, "Warning" if warns else "Normal", reason, text))
    return actions


def status_of(situation: Situation, run: Run | None, told: Told, now: Instant) -> SweepStatus:
    """Return the whole status."""
    before = situation.status
    update: dict[str, object] = {
        "observed_generation": situation.sweep.generation,
        "conditions": _conditions(situation, run, told, now),
        "run": run,
        "trials": _trials(situation),
        "cost": cost_of(situation, now),
        "links": _links(situation, run),
        "start_time": None if run is None else timestamp(run.run_started_at),
        "completion_time": _completion(situation, told, now),
        "last_progress_time": int(now),
    }
    if run is not None and situation.run is not None and run.attempt != situation.run.attempt:
        update |= dict.fromkeys(FOUND)
    report = situation.report
    if report is not None:
        for field in FOUND:
            if getattr(report, field) is not None:
                update[field] = getattr(report, field)
    return before.model_copy(update=update)


def _significant(before: SweepStatus, status: SweepStatus) -> bool:
    """Whether more than progress has changed."""
    told = [[(each.type, each.status, each.reason) for each in of.conditions] for of in (before, status)]
    fields = ("observed_generation", "run", "manifest", "completion_time")
    return told[0] != told[1] or any(getattr(before, field) != getattr(status, field) for field in fields)


def _progress(status: SweepStatus) -> tuple[object, ...]:
    """Return what of a status changes while a sweep goes on, and is worth a write."""
    amount = None if status.cost is None else status.cost.amount
    return status.trials, amount, status.links, tuple(each.message for each in status.conditions)


def _conditions(situation: Situation, run: Run | None, told: Told, now: Instant) -> tuple[Condition, ...]:
    """Return the conditions every observed sweep has."""
    accepted, state = not situation.problems, told.state
    refusal = " ".join(f"{problem}." for problem in situation.problems)
    ready, ready_reason = _cluster_ready(situation, run)
    found = {
        ConditionType.ACCEPTED: (accepted, "Accepted" if accepted else "Refused", refusal),
        ConditionType.CLUSTER_READY: (ready, ready_reason, ""),
        ConditionType.PROGRESSING: (
            state in WORKING,
            told.reason if state in WORKING else str(state),
            told.message if state in WORKING else "",
        ),
        ConditionType.COMPLETE: (state is State.SUCCEEDED, str(state), told.message),
        ConditionType.FAILED: (*_outcome(told, State.FAILED),),
        ConditionType.SUSPENDED: (*_outcome(told, State.SUSPENDED),),
    }
    return tuple(
        _condition(situation, kind, holds, (reason, message), now) for kind, (holds, reason, message) in found.items()
    )


def _outcome(told: Told, state: State) -> tuple[bool, str, str]:
    """Return a condition that holds in one state only."""
    return (True, told.reason, told.message) if told.state is state else (False, f"Not{state}", "")


def _condition(
    situation: Situation, kind: ConditionType, holds: bool, told: tuple[str, str], now: Instant
) -> Condition:
    """Return a condition; its transition time is kept while its status stays."""
    before = situation.status.condition(kind)
    kept = before is not None and (before.status == "True") is holds
    same = kept and before is not None and (before.reason, before.message) == (told[0], told[1][:LONGEST_MESSAGE])
    if same and before is not None and before.observed_generation == situation.sweep.generation:
        return before
    return Condition.model_construct(  # every part is ours: validating them costs most of a decision
        type=kind,
        status="True" if holds else "False",
        reason=told[0],
        message=told[1][:LONGEST_MESSAGE],
        last_transition_time=before.last_transition_time if kept and before is not None else timestamp(now),
        observed_generation=situation.sweep.generation,
    )


def _cluster_ready(situation: Situation, run: Run | None) -> tuple[bool, str]:
    """Return whether the sweep's cluster is ready, and in one word why not."""
    cluster, document = situation.cluster, situation.document
    if cluster is not None and not cluster.deleting:
        if cluster.suspended:
            return False, "QueuedByKueue"
        return (True, "Ready") if cluster.ready else (False, "NotReadyYet")
    given = None if document is None else document.spec.cluster
    if given is not None and given.existing is not None:
        return True, "Elsewhere"
    if document is not None and pool_size(document.spec, situation.sweep.trials) == 0:
        return False, "NotNeeded"
    return False, "NoCluster"


def _trials(situation: Situation) -> TrialCounts | None:
    """Return the newest counts: of the report, of the flow's progress, or of the plan.

    Of an attempt that was stopped what was written then stays: its progress is older than its report, whose pod may be
    gone by now.
    """
    report, flow_run, run = situation.report, situation.flow_run, situation.run
    if report is not None and report.trials is not None:
        return report.trials
    progress = None if flow_run is None or (run is not None and run.stop is not None) else flow_run.progress
    if progress is not None and progress.trials.total:  # none are counted before the flow has planned
        return progress.trials
    before = situation.status.trials
    if situation.document is None or (before is not None and not situation.changed):
        return before
    return TrialCounts(total=situation.sweep.trials)


def _links(situation: Situation, run: Run | None) -> Links | None:
    """Return where to look while there is something to see; of logs, where they are when nothing else is left."""
    ui, flow_id = situation.release.prefect_ui_url, None if run is None else run.flow_run_id
    prefect = f"{ui.rstrip('/')}/runs/flow-run/{flow_id}" if ui and flow_id else None
    cluster = situation.cluster
    ray = head_address(cluster.attempt) if cluster is not None and not cluster.deleting else None
    logs = _logs(situation, run)
    return Links(prefect=prefect, ray=ray, logs=logs) if prefect or ray or logs else None


def _logs(situation: Situation, run: Run | None) -> str | None:
    """Return where the store keeps what a run said."""
    document = situation.document
    storage = None if document is None else document.spec.storage
    if run is None or storage is None:
        return None
    reference = situation.sweep.reference
    return f"{storage.uri.rstrip('/')}/{sweep_folder(reference.namespace, reference.name, run.spec_digest)}/logs/"


def _completion(situation: Situation, told: Told, now: Instant) -> str | None:
    """Return when the sweep ended; kept once it has."""
    if told.state not in (State.SUCCEEDED, State.FAILED):
        return None
    return situation.status.completion_time or timestamp(now)
