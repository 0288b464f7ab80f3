"""Pods as Pod Security "restricted" wants them, and the few fields of them that a sweep may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backsweep_api.errors import InvariantError
from backsweep_api.names import LABEL_ROLE, AttemptName
from backsweep_api.spec.cluster import EnvironmentVariable, PodTemplate
from backsweep_api.spec.execution import Storage
from backsweep_operator.build.pod_security import violations
from backsweep_operator.model import PodRole, PodSize, Release

__all__ = [
    "CONTAINER_SECURITY",
    "POD_SECURITY_FIELDS",
    "PodPlan",
    "pod_security",
    "pod_template",
    "resources",
    "storage_variables",
]

CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
}
POD_SECURITY_FIELDS = ("runAsUser", "runAsGroup", "fsGroup")
STORAGE_KEYS = (("AWS_ACCESS_KEY_ID", False), ("AWS_SECRET_ACCESS_KEY", False), ("AWS_SESSION_TOKEN", True))


@dataclass(frozen=True, slots=True)
class PodPlan:
    """What one kind of pod of an attempt is made from."""

    attempt: AttemptName
    role: PodRole
    container: str
    image: str
    size: PodSize
    variables: tuple[dict[str, Any], ...]
    template: PodTemplate | None
    service_account: str | None


def pod_security(release: Release) -> dict[str, Any]:
    """Return the security context of every pod."""
    ids = dict.fromkeys(POD_SECURITY_FIELDS, release.user_id)
    return {"runAsNonRoot": True, **ids, "seccompProfile": {"type": "RuntimeDefault"}}


def resources(cpu: str, memory: str) -> dict[str, Any]:
    """Return what a container asks for: its memory is held to that, its cores are not.

    A limit on cores slows down the start alone, which is all imports: a worker computes in one thread.
    """
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def pod_template(plan: PodPlan, release: Release) -> dict[str, Any]:
    """Return a pod template: no token of Kubernetes, a read-only root, memory as /dev/shm.

    Raises
    ------
    InvariantError
        If what was built breaks Pod Security "restricted".
    """
    given = plan.template or PodTemplate.model_validate({})
    container = {
        "name": plan.container,
        "image": plan.image,
        "imagePullPolicy": release.image_pull_policy,
        "env": [*(_variable(each) for each in given.env), *plan.variables],
        "resources": resources(plan.size.cpu, plan.size.memory),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}],
    }
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(release),
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": plan.size.memory}},
        ],
    }
    account = given.service_account_name or plan.service_account
    optional = {
        "serviceAccountName": account,
        "nodeSelector": dict(sorted(given.node_selector.items())),
        "tolerations": [each.normalised() for each in given.tolerations],
        "priorityClassName": given.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in given.image_pull_secrets],
    }
    spec |= {key: value for key, value in optional.items() if value}
    if broken := violations(spec):
        raise InvariantError(f"a {plan.role} pod would break Pod Security restricted: {'; '.join(broken)}")
    metadata: dict[str, Any] = {"labels": {**given.labels, **plan.attempt.labels, LABEL_ROLE: str(plan.role)}}
    if given.annotations:
        metadata["annotations"] = dict(sorted(given.annotations.items()))
    return {"metadata": metadata, "spec": spec}


def storage_variables(storage: Storage | None) -> list[dict[str, Any]]:
    """Return the variables by which boto3 finds a bucket's keys in the Secret that spec.storage names."""
    if storage is None or storage.secret_ref is None:
        return []
    secret = storage.secret_ref.name
    return [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": optional}}}
        for key, optional in STORAGE_KEYS
    ]


def _variable(given: EnvironmentVariable) -> dict[str, Any]:
    """Return a variable of the sweep's own."""
    if given.secret_key_ref is None:
        return {"name": given.name, "value": given.value}
    reference = {"name": given.secret_key_ref.name, "key": given.secret_key_ref.key}
    return {"name": given.name, "valueFrom": {"secretKeyRef": reference}}
