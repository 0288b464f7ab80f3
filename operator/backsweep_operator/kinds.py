"""Where the API server has each kind, and how little of an object is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backsweep_api.names import LABEL_MANAGED_BY, LABEL_USABLE, MANAGED_BY
from backsweep_api.spec.document import API_VERSION
from backsweep_operator.model import Kind

__all__ = ["RESOURCES", "WATCHED", "Resource", "trimmed"]


class Resource(NamedTuple):
    """A kind's place in the API, and which of its objects are ours."""

    group: str
    version: str
    plural: str
    selector: str = ""

    @property
    def api_version(self) -> str:
        """Group and version as objects carry them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, or of a namespace's list."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


GROUP, VERSION = API_VERSION.split("/")
OURS = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
RESOURCES: Mapping[Kind, Resource] = {
    Kind.SERVICE_ACCOUNT: Resource("", "v1", "serviceaccounts", f"{LABEL_USABLE}=true"),
    Kind.POLICY: Resource("networking.k8s.io", "v1", "networkpolicies", OURS),
    Kind.CLUSTER: Resource("ray.io", "v1", "rayclusters", OURS),
    Kind.JOB: Resource("batch", "v1", "jobs", OURS),
    Kind.POD: Resource("", "v1", "pods", OURS),
    Kind.SWEEP: Resource(GROUP, VERSION, "backtestsweeps"),
}
WATCHED = tuple(RESOURCES)
"""The kinds that are watched, in the order in which they are first listed: sweeps when all else is known."""

HEAVY = ("managedFields", "ownerReferences")
READ = {  # of a status
    Kind.POD: ("phase", "startTime", "containerStatuses", "initContainerStatuses", "conditions"),
    Kind.CLUSTER: ("conditions", "readyWorkerReplicas"),
}


def trimmed(kind: Kind, raw: dict[str, Any]) -> dict[str, Any]:
    """Take out of an object what no projection reads, so that a list of thousands stays small; returns it."""
    metadata = raw["metadata"]
    for key in HEAVY:
        metadata.pop(key, None)
    if kind in READ and "status" in raw:
        raw["status"] = {key: raw["status"][key] for key in READ[kind] if key in raw["status"]}
    if kind is Kind.POD:
        spec = raw.get("spec", {})
        containers = [{"resources": each.get("resources", {})} for each in spec.get("containers", ())]
        raw["spec"] = {"containers": containers}
    elif kind is Kind.JOB:
        raw.pop("spec", None)
    elif kind is Kind.CLUSTER:
        spec = raw.get("spec", {})
        groups = [{"replicas": each.get("replicas", 0)} for each in spec.get("workerGroupSpecs", ())]
        raw["spec"] = {"suspend": spec.get("suspend", False), "workerGroupSpecs": groups}
    return raw
