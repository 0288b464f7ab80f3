"""Small pods that pass restricted Pod Security, and what they have to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.clusters import wait_until
from tests.cluster.rayclusters import pod_template

if TYPE_CHECKING:
    from tests.cluster.clusters import Cluster, Object

SECURITY = pod_template("main")["spec"]["containers"][0]["securityContext"]


def pod(name: str, namespace: str, image: str, *command: str) -> Object:
    """Return a pod that runs one command once."""
    container = {"name": "main", "image": image, "command": list(command), "securityContext": SECURITY}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1},
    }


def phase(cluster: Cluster, name: str, namespace: str) -> str:
    found: str = cluster.get("pod", name, namespace)["status"]["phase"]
    return found


def run_pod(cluster: Cluster, name: str, namespace: str, image: str, *command: str) -> tuple[str, str]:
    """Run a command in a pod of its own; return in which phase it ended and what it printed."""
    cluster.apply(pod(name, namespace, image, *command))
    wait_until(lambda: phase(cluster, name, namespace) in ("Succeeded", "Failed"), f"pod {name} to end")
    return phase(cluster, name, namespace), cluster.kubectl("logs", name, f"--namespace={namespace}")
