"""What the operator makes of a document: every object, and the pods in them, as they would be sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.unit.operator_views import NOW, RELEASE

from backsweep_operator.decide import decide
from backsweep_operator.model import ApplyChild, CreateFlowRun, Decision, Kind, PatchStatus, Snapshot
from backsweep_operator.projections import sweep_view

Object = dict[str, Any]

PLACES = {
    Kind.CLUSTER: "/apis/ray.io/v1/namespaces/{}/rayclusters",
    Kind.POLICY: "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}
POD_PLACE = "/api/v1/namespaces/{}/pods"
# These name objects that a namespace must have before its pods are admitted; here there are none.
ELSEWHERE = ("serviceAccountName", "priorityClassName")


def children_of(tree: Object, namespace: str = "n") -> list[tuple[str, Object]]:
    """Return where the children of a sweep are made, and what they are; none of one that is not accepted.

    Raises
    ------
    AssertionError
        If it is neither refused with sentences nor begun.
    """
    meta = {"name": "t", "namespace": namespace, "uid": "u-1", "resourceVersion": "1", "generation": 1}
    view = sweep_view({**tree, "metadata": meta})
    # Every account it could name is there: that is for the namespace to say, not for the document.
    accounts = frozenset(_names(tree.get("spec"), "serviceAccountName"))
    snapshot = Snapshot(namespace, "t", RELEASE, view, flow_runs_at=NOW, service_accounts=accounts)
    begun = _status(decide(snapshot, NOW))
    if begun.status.run is None:
        told = [each.message for each in begun.status.conditions]
        assert any(len(message) > 15 for message in told), f"it is not begun, and nothing is said: {told}"
        return []
    decision = decide(replace(snapshot, sweep=replace(view, status=begun.status)), NOW)
    for action in decision.actions:
        if isinstance(action, CreateFlowRun):
            json.dumps([action.request.parameters, action.request.job_variables], allow_nan=False)
    made = [action for action in decision.actions if isinstance(action, ApplyChild)]
    found = [(PLACES[action.kind].format(namespace), dict(action.manifest)) for action in made]
    pods = [pod for action in made if action.kind is Kind.CLUSTER for pod in _pods(dict(action.manifest))]
    return [*found, *((POD_PLACE.format(namespace), pod) for pod in pods)]


def _status(decision: Decision) -> PatchStatus:
    """Return the one status that a first decision writes."""
    (patch,) = [action for action in decision.actions if isinstance(action, PatchStatus)]
    return patch


def _pods(cluster: Object) -> list[Object]:
    """Return the pods that a RayCluster's templates describe."""
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    return [_pod(f"pod-{number}", group["template"]) for number, group in enumerate(groups)]


def _pod(name: str, template: Object) -> Object:
    spec = {key: value for key, value in template["spec"].items() if key not in ELSEWHERE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": spec}


def _names(value: Any, field: str) -> list[str]:
    """Return every text that stands under a field, at whatever depth."""
    if isinstance(value, list):
        return [name for each in value for name in _names(each, field)]
    if not isinstance(value, dict):
        return []
    own = [value[field]] if isinstance(value.get(field), str) else []
    return own + [name for each in value.values() for name in _names(each, field)]
