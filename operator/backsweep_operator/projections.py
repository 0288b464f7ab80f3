"""Raw objects as views: the only module that reads their fields. What cannot be read is told, never raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from backsweep_api.documents import TOO_DEEP, document_from_tree
from backsweep_api.errors import SpecError
from backsweep_api.identity import spec_digest
from backsweep_api.names import ANNOTATION_DELETE_AFTER, LABEL_ROLE, AttemptName
from backsweep_api.quantities import GIB, read_quantity
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.status import SweepStatus, instant_of
from backsweep_api.tree import is_too_deep
from backsweep_api.trials import most_trials
from backsweep_api.validation import cluster_problems
from backsweep_operator.model import (
    FOUND,
    ClusterView,
    JobView,
    Kind,
    Outcome,
    PodRole,
    PodView,
    PolicyView,
    Reference,
    Report,
    SweepView,
)

__all__ = ["cluster_view", "job_view", "pod_view", "policy_view", "read_report", "reference_of", "sweep_view"]

Raw = Mapping[str, Any]
LONGEST_REPORT_MESSAGE = 900
LONGEST_OBSTACLE = 300
REPORTED = ("trials", *FOUND)
ON_ITS_WAY = ("ContainerCreating", "PodInitializing")


class Reading(NamedTuple):
    """What a spec says."""

    document: BacktestSweep | None
    problems: tuple[str, ...]
    digest: str
    trials: int


def reference_of(kind: Kind, raw: Raw) -> Reference:
    """Return what names an object in its version."""
    meta = raw["metadata"]
    return Reference(kind, meta.get("namespace", ""), meta["name"], meta["uid"], meta["resourceVersion"])


def sweep_view(raw: Raw) -> SweepView:
    """Return a BacktestSweep's view; a spec or status that cannot be read is one with problems, or an empty one.

    An unreadable status was written by someone else. Nothing rests on it alone: the number of the next attempt is
    above any that an object or a flow run carries.
    """
    meta = raw["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "labels") if key in meta}
    tree = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": kept, "spec": raw.get("spec", {})}
    deep = is_too_deep(tree)  # what is, json cannot write either
    reading = Reading(None, (TOO_DEEP,), "", 0) if deep else _read(json.dumps(tree, sort_keys=True))
    try:
        status = SweepStatus.model_validate(raw.get("status") or {})
    except ValidationError:
        status = SweepStatus()
    return SweepView(
        reference=reference_of(Kind.SWEEP, raw),
        generation=int(meta.get("generation", 1)),
        created_at=_instant(meta.get("creationTimestamp")) or 0.0,
        deleting="deletionTimestamp" in meta,
        document=reading.document,
        problems=reading.problems,
        spec_digest=reading.digest,
        trials=reading.trials,
        status=status,
    )


def cluster_view(raw: Raw) -> ClusterView | None:
    """Return a RayCluster's view; None if it is not ours."""
    attempt = _attempt(raw)
    if attempt is None:
        return None
    status = raw.get("status", {})
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions", ())}
    wanted = sum(group.get("replicas", 0) for group in raw.get("spec", {}).get("workerGroupSpecs", ()))
    end = _instant(raw["metadata"].get("annotations", {}).get(ANNOTATION_DELETE_AFTER))
    return ClusterView(
        reference=reference_of(Kind.CLUSTER, raw),
        attempt=attempt,
        deleting="deletionTimestamp" in raw["metadata"],
        ready=conditions.get("HeadPodReady") == "True" and status.get("readyWorkerReplicas", 0) >= wanted,
        suspended=bool(raw.get("spec", {}).get("suspend", False)),
        delete_after=None if end is None else int(end),
    )


def policy_view(raw: Raw) -> PolicyView | None:
    """Return a NetworkPolicy's view; None if it is not ours."""
    attempt = _attempt(raw)
    if attempt is None:
        return None
    return PolicyView(reference_of(Kind.POLICY, raw), attempt, "deletionTimestamp" in raw["metadata"])


def job_view(raw: Raw) -> JobView | None:
    """Return a Job's view; None if it is not ours."""
    attempt = _attempt(raw)
    if attempt is None:
        return None
    conditions = {
        each.get("type"): each for each in raw.get("status", {}).get("conditions", ()) if each.get("status") == "True"
    }
    end = conditions.get("Complete") or conditions.get("Failed")
    return JobView(
        reference=reference_of(Kind.JOB, raw),
        attempt=attempt,
        deleting="deletionTimestamp" in raw["metadata"],
        complete="Complete" in conditions,
        failed="Failed" in conditions,
        finished_at=None if end is None else _instant(end.get("lastTransitionTime")),
    )


def pod_view(raw: Raw) -> PodView | None:
    """Return a pod's view; None if it is not ours."""
    attempt, role = _attempt(raw), raw["metadata"].get("labels", {}).get(LABEL_ROLE)
    if attempt is None or role not in set(PodRole):
        return None
    cpu = memory = read_quantity("0")
    for container in raw.get("spec", {}).get("containers", ()):
        requests = container.get("resources", {}).get("requests", {})
        cpu += read_quantity(requests.get("cpu", "0"))
        memory += read_quantity(requests.get("memory", "0"))
    status = raw.get("status", {})
    ended = [
        each["state"]["terminated"]
        for each in status.get("containerStatuses", ())
        if "terminated" in each.get("state", {})
    ]
    over = status.get("phase") in ("Succeeded", "Failed")
    times = [_instant(each.get("finishedAt")) for each in ended]
    finished = max((time for time in times if time is not None), default=None)
    started = _instant(status.get("startTime"))
    return PodView(
        name=raw["metadata"]["name"],
        attempt=attempt,
        role=PodRole(role),
        cpu=cpu,
        memory_gib=memory / GIB,
        started_at=started,
        finished_at=(finished if finished is not None else started or 0.0) if over else None,
        report=next((report for each in ended if (report := read_report(each.get("message", "")))), None),
        obstacle=_obstacle(status),
    )


def _obstacle(status: Raw) -> str:
    """Return why a pod does not start: no node takes it, its image cannot be pulled, or its container ends at once."""
    for each in status.get("conditions", ()):
        if each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable":
            return _words(each)
    for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = each.get("state", {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in ON_ITS_WAY:
            return _words(waiting)
    return ""


def _words(told: Raw) -> str:
    return f"{told['reason']}: {told.get('message', '')}"[:LONGEST_OBSTACLE]


def read_report(text: str) -> Report | None:
    """Return what a flow pod's termination message says; None if it is not one of ours: no success without it."""
    try:
        tree = json.loads(text)
        outcome = Outcome(tree["outcome"])
        parts = SweepStatus.model_validate({key: tree[key] for key in REPORTED if key in tree})
        message = str(tree.get("message", ""))[:LONGEST_REPORT_MESSAGE]
    except (ValueError, KeyError, TypeError):
        return None
    return Report(outcome, message, **{key: getattr(parts, key) for key in REPORTED})


@lru_cache(maxsize=2048)
def _read(text: str) -> Reading:
    """Return what a spec says; read once, since the same one is seen with every change of status."""
    try:
        document = document_from_tree(json.loads(text))
    except SpecError as error:
        return Reading(None, error.problems, "", 0)
    problems = tuple(cluster_problems(document))
    return Reading(document, problems, spec_digest(document), most_trials(document))


def _attempt(raw: Raw) -> AttemptName | None:
    meta = raw["metadata"]
    return AttemptName.from_labels(meta.get("namespace", ""), meta.get("labels", {}))


def _instant(text: str | None) -> float | None:
    """Return a time; None for none, or for text that is not one."""
    try:
        return None if text is None else instant_of(text)
    except ValueError:
        return None
