"""What a sweep takes for granted of a cluster: pods run, have names and a network, speak, and are spoken to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cluster.clusters import RefusedError, wait_until
from tests.cluster.node.node import Node
from tests.cluster.rayclusters import ray_cluster
from tests.e2e.pods import phase, pod, run_pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.clusters import Cluster, Object

# The images' archives are made on first use.
pytestmark = pytest.mark.timeout(1800)


def test_a_pod_runs_to_its_end_and_its_log_is_read(real: Cluster, namespace: str, busybox: str) -> None:
    assert run_pod(real, "speaks", namespace, busybox, "echo", "seen") == ("Succeeded", "seen\n")


def test_a_pod_that_fails_says_by_what(real: Cluster, namespace: str, busybox: str) -> None:
    assert run_pod(real, "fails", namespace, busybox, "sh", "-c", "echo no; exit 3") == ("Failed", "no\n")
    (status,) = real.get("pod", "fails", namespace)["status"]["containerStatuses"]
    assert status["state"]["terminated"]["exitCode"] == 3


def test_a_command_is_run_in_a_pod(real: Cluster, namespace: str, busybox: str) -> None:
    real.apply(pod("waits", namespace, busybox, "sleep", "300"))
    wait_until(lambda: phase(real, "waits", namespace) == "Running", "the pod to run")
    assert real.kubectl("exec", "waits", f"--namespace={namespace}", "--", "echo", "from inside") == "from inside\n"


def test_a_service_has_a_name_and_leads_to_its_pods(real: Cluster, namespace: str, busybox: str) -> None:
    greeting(real, namespace, busybox)
    ask = f"until nc -w 2 greets.{namespace} 80 </dev/null | grep hello; do sleep 0.2; done"
    assert run_pod(real, "asks", namespace, busybox, "sh", "-c", ask) == ("Succeeded", "hello\n")


def test_a_network_policy_is_accepted_and_binds_where_the_network_enforces_it(
    real: Cluster, namespace: str, busybox: str
) -> None:
    """Our node's network does not: no test on it shows that what a policy of ours forbids is stopped."""
    nobody = {"podSelector": {"matchLabels": {"app": "greets"}}, "policyTypes": ["Ingress"]}
    name = {"name": "nobody", "namespace": namespace}
    real.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": name, "spec": nobody})
    greeting(real, namespace, busybox)
    ask = f"for each in 1 2 3 4 5; do nc -w 2 greets.{namespace} 80 </dev/null | grep hello && exit; sleep 1; done"
    passes = isinstance(real, Node)
    assert run_pod(real, "asks", namespace, busybox, "sh", "-c", ask)[1] == ("hello\n" if passes else "")


def greeting(cluster: Cluster, namespace: str, busybox: str) -> None:
    """Let a pod say hello to whoever asks its Service."""
    greet = "while true; do echo hello | nc -l -p 8080; done"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "greets", "namespace": namespace},
        "spec": {"selector": {"app": "greets"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    cluster.apply(pod("greets", namespace, busybox, "sh", "-c", greet), service)
    wait_until(lambda: has_endpoint(cluster, "greets", namespace), "the Service to have its pod")


def has_endpoint(cluster: Cluster, service: str, namespace: str) -> bool:
    slices = cluster.all("endpointslices", namespace, f"kubernetes.io/service-name={service}")
    return any(each["conditions"].get("ready") for found in slices for each in found.get("endpoints") or [])


def test_a_ray_cluster_with_a_token_becomes_ready_and_computes_for_who_has_it(
    real: Cluster, namespace: str, image: Callable[[str], str]
) -> None:
    real.apply(of_image(ray_cluster("small", namespace, workers=1), image("pipeline")))
    wait_until(lambda: state(real, "small", namespace) == "ready", "the RayCluster to be ready", 300)
    (head,) = real.all("pods", namespace, "ray.io/node-type=head")
    script = "import ray; ray.init(address='auto'); print(ray.get(ray.remote(lambda: 6 * 7).remote()))"
    ask = ("exec", head["metadata"]["name"], f"--namespace={namespace}", "--container=ray-head", "--")
    assert real.kubectl(*ask, "python", "-c", script).split()[-1] == "42"
    with pytest.raises(RefusedError, match="oken"):
        real.kubectl(*ask, "env", "--unset=RAY_AUTH_TOKEN", "python", "-c", script)


def state(cluster: Cluster, name: str, namespace: str) -> str:
    found: str = cluster.get("raycluster", name, namespace).get("status", {}).get("state", "")
    return found


def of_image(cluster: Object, image: str) -> Object:
    """Let every pod of a RayCluster have an image, and ask for no more than two of them fit on two cores."""
    spec = cluster["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        for container in group["template"]["spec"]["containers"]:
            container["image"] = image
            container["resources"] = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    return cluster
