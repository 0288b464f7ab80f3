"""A small RayCluster that passes restricted Pod Security, for tests of the control plane itself."""

from __future__ import annotations

from typing import Any

IMAGE = "localhost/ray:2.60.0"
API_VERSION = "ray.io/v1"


def ray_cluster(name: str, namespace: str, *, workers: int = 2) -> dict[str, Any]:
    """Return a RayCluster with a head and some workers, and with token authentication."""
    group = {
        "groupName": "workers",
        "replicas": workers,
        "minReplicas": workers,
        "maxReplicas": workers,
        "rayStartParams": {},
        "template": pod_template("ray-worker"),
    }
    head = {"rayStartParams": {"num-cpus": "0"}, "template": pod_template("ray-head")}
    return {
        "apiVersion": API_VERSION,
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "rayVersion": "2.60.0",
            "authOptions": {"mode": "token"},
            "headGroupSpec": head,
            "workerGroupSpecs": [group],
        },
    }


def pod_template(container: str) -> dict[str, Any]:
    resources = {"cpu": "1", "memory": "1Gi"}
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    limits = {"requests": resources, "limits": resources}
    return {
        "spec": {"containers": [{"name": container, "image": IMAGE, "resources": limits, "securityContext": security}]}
    }
