"""What the operator's calls need of Kubernetes' RBAC, and no more; the chart's Roles are compared with it by a test."""

from __future__ import annotations

from collections.abc import Mapping

from backsweep_operator.kinds import RESOURCES
from backsweep_operator.model import Kind

__all__ = ["GUARD_RULES", "OWN_RULES", "SERVED_RULES", "Rules"]

Rules = Mapping[tuple[str, str], frozenset[str]]
"""Verbs by API group and resource."""

SEEN = ("list", "watch")
VERBS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SWEEP: ("get", *SEEN),
    Kind.CLUSTER: ("create", "delete", "get", "patch", *SEEN),
    Kind.POLICY: ("create", "delete", "get", "patch", *SEEN),
    Kind.JOB: ("delete", "get", *SEEN),
    Kind.POD: SEEN,
    Kind.SERVICE_ACCOUNT: SEEN,
}
SWEEP = RESOURCES[Kind.SWEEP]
CLUSTER = RESOURCES[Kind.CLUSTER]

SERVED_RULES: Rules = {
    **{(RESOURCES[kind].group, RESOURCES[kind].plural): frozenset(verbs) for kind, verbs in VERBS.items()},
    (SWEEP.group, f"{SWEEP.plural}/status"): frozenset({"update"}),
    ("", "events"): frozenset({"create"}),
}
"""In each namespace whose sweeps are served. A server-side apply of what is not there yet is a create, too."""

OWN_RULES: Rules = {("coordination.k8s.io", "leases"): frozenset({"create", "get", "update"})}
"""In the operator's own namespace."""

GUARD_RULES: Rules = {(CLUSTER.group, CLUSTER.plural): frozenset({"delete", "list"})}
"""Of the guard against clusters nobody deletes (`overdue`), in each namespace that is served."""
