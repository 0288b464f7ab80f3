"""The RayCluster of one attempt, and the NetworkPolicy before it."""

from __future__ import annotations

from typing import Any

from backsweep_api.names import ANNOTATION_DELETE_AFTER, LABEL_ATTEMPT, LABEL_UID, AttemptName
from backsweep_api.spec.cluster import Cluster, Head, PodTemplate, Workers
from backsweep_api.spec.document import API_VERSION, KIND, Spec
from backsweep_api.status import timestamp
from backsweep_operator.build.pods import PodPlan, pod_template, storage_variables
from backsweep_operator.model import PodRole, PodSize, Release

__all__ = ["JOBS_PORT", "head_address", "network_policy", "ray_cluster", "ray_sizes"]

JOBS_PORT = 8265
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
RAY_VARIABLES = (
    {"name": "HOME", "value": "/tmp"},
    {"name": "OPENBLAS_NUM_THREADS", "value": "1"},
    {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
    {"name": "RAY_enable_infeasible_task_early_exit", "value": "true"},
)


def ray_cluster(
    attempt: AttemptName, spec: Spec, release: Release, workers: int, delete_after: int, labels: dict[str, str]
) -> dict[str, Any]:
    """Return a RayCluster: a head that runs no work, a fixed pool, token authentication, no autoscaler.

    Parameters
    ----------
    delete_after : when the chart's CronJob deletes it if no operator has, seconds since 1970.
    labels : of the sweep's own, those that children copy.
    """
    cluster = spec.cluster or Cluster.model_validate({})
    own_labels = {**labels, **attempt.labels}
    if cluster.queue_name is not None:
        own_labels[QUEUE_LABEL] = cluster.queue_name
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {
            "name": attempt.child,
            "namespace": attempt.namespace,
            "labels": own_labels,
            "annotations": {ANNOTATION_DELETE_AFTER: timestamp(delete_after)},
            "ownerReferences": [attempt.owner_reference(API_VERSION, KIND)],
        },
        "spec": {
            "rayVersion": cluster.ray_version or release.ray_version,
            "enableInTreeAutoscaling": False,
            "authOptions": {"mode": "token"},
            "headGroupSpec": {
                "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
                "template": _template(attempt, spec, release, PodRole.HEAD),
            },
            "workerGroupSpecs": [
                {
                    "groupName": "workers",
                    "replicas": workers,
                    "minReplicas": workers,
                    "maxReplicas": workers,
                    "rayStartParams": {},
                    "template": _template(attempt, spec, release, PodRole.WORKER),
                }
            ],
        },
    }


def network_policy(attempt: AttemptName) -> dict[str, Any]:
    """Return the policy by which head and workers are reached only by pods of the same attempt.

    It carries the labels of the attempt and not of the RayCluster, so that it can be there before any pod is.
    """
    same = {LABEL_UID: attempt.uid, LABEL_ATTEMPT: str(attempt.attempt)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": attempt.child,
            "namespace": attempt.namespace,
            "labels": attempt.labels,
            "ownerReferences": [attempt.owner_reference(API_VERSION, KIND)],
        },
        "spec": {
            "podSelector": {"matchLabels": same},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": same}}]}],
        },
    }


def head_address(attempt: AttemptName) -> str:
    """Return the URL of the Jobs API of an attempt's cluster, as its flow pod reaches it."""
    return f"http://{attempt.child}-head-svc.{attempt.namespace}.svc:{JOBS_PORT}"


def ray_sizes(spec: Spec) -> tuple[PodSize, PodSize]:
    """Return what the head and a worker ask for."""
    cluster = spec.cluster or Cluster.model_validate({})
    head = cluster.head or Head.model_validate({})
    workers = cluster.workers or Workers.model_validate({})
    return PodSize(head.cpu, head.memory), PodSize(workers.cpu, workers.memory)


def _template(attempt: AttemptName, spec: Spec, release: Release, role: PodRole) -> dict[str, Any]:
    """Return the template of the head's pod or of a worker's."""
    cluster = spec.cluster or Cluster.model_validate({})
    group = cluster.head if role is PodRole.HEAD else cluster.workers
    given: PodTemplate | None = None if group is None else group.pod_template
    size = ray_sizes(spec)[0 if role is PodRole.HEAD else 1]
    plan = PodPlan(
        attempt=attempt,
        role=role,
        container=f"ray-{role}",
        image=cluster.image or release.image,
        size=size,
        variables=(*RAY_VARIABLES, *storage_variables(spec.storage)),
        template=given,
        service_account=None if spec.storage is None else spec.storage.service_account_name,
    )
    return pod_template(plan, release)
