"""Kueue beside a control plane: installed from its own templates, its manager a process, for RayClusters alone.

Its webhooks refuse what they are not asked about once the process is gone, so it wants a control plane of its own.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.charts.rendering import Helm, Object, assignments, of_kind, parsed
from tests.cluster import binaries
from tests.cluster.control_plane import SECONDS_TO_START, ControlPlane, secret_text, wait_until
from tests.cluster.credentials import write_secret
from tests.cluster.processes import Ports, Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE = "kueue-system"
ACCOUNT = "kueue-controller-manager"
SERVICE = "kueue-webhook-service"
CERTIFICATE = "kueue-webhook-server-cert"
API_VERSION = "kueue.x-k8s.io/v1beta2"
# Not its Deployment, since it is a process here, and not the API it serves about its queues: nobody asks that.
LEFT_OUT = ("APIService", "ConfigMap", "Deployment", "Service")


@contextmanager
def kueue(plane: ControlPlane) -> Iterator[Process]:
    """Install and start Kueue, give its process once it serves, and end it.

    Raises
    ------
    MissingBinaryError
        If it is not here: `make cluster-binaries`.
    NotReadyError
        If it does not come up; with the end of its log.
    """
    ports = Ports()
    probes, webhooks = ports.claim(), ports.claim()
    folder = plane.folder / "kueue"
    certificates = folder / "certificates"
    certificates.mkdir(parents=True)
    objects = rendered(configuration(probes, webhooks, certificates))
    install(plane, objects, webhooks)
    (config,) = of_kind(objects, "ConfigMap")
    path = folder / "configuration.yaml"
    path.write_text(config["data"]["controller_manager_config.yaml"], encoding="utf-8")
    account = plane.account_kubeconfig(NAMESPACE, ACCOUNT)
    command = [str(binaries.find("kueue")), f"--kubeconfig={account}", f"--config={path}"]
    process = Process("kueue", command, plane.folder, {"GOMAXPROCS": "2"})
    try:
        process.start()
        process.wait_until(lambda: write_certificate(plane, certificates), SECONDS_TO_START)
        process.wait_until(lambda: plane.serves(f"http://127.0.0.1:{probes}/readyz"), SECONDS_TO_START)
        yield process
    finally:
        process.kill()
        ports.release()


def configuration(probes: int, webhooks: int, certificates: Path) -> Object:
    """Return its configuration: on loopback, one process, one kind of jobs."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"127.0.0.1:{probes}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": webhooks, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "integrations": {"frameworks": ["ray.io/raycluster"]},
        "featureGates": {"VisibilityOnDemand": False},
    }


def rendered(config: Object) -> list[Object]:
    """Return what its own chart installs by this configuration."""
    values = assignments({"managerConfig.controllerManagerConfigYaml": json.dumps(config)})
    chart = ("template", "kueue", str(binaries.KUEUE.folder() / "chart"), f"--namespace={NAMESPACE}")
    return list(parsed(Helm(binaries.find("helm")).run(*chart, f"--set-json={values[0]}")))


def install(plane: ControlPlane, objects: list[Object], port: int) -> None:
    """Apply definitions, rights and webhooks; the API server finds the latter by a Service that leads to loopback."""
    plane.make_namespace(NAMESPACE)
    meta = {"name": SERVICE, "namespace": NAMESPACE}
    # By its name and not by an address: Kueue makes a certificate for the name, and the API server checks it.
    service = {"metadata": meta, "spec": {"type": "ExternalName", "externalName": "127.0.0.1"}}
    wanted = [each for each in objects if each["kind"] not in LEFT_OUT]
    for config in [config for each in wanted for config in client_configs(each)]:
        config["service"]["port"] = port
    definitions = of_kind(wanted, "CustomResourceDefinition")
    plane.apply(*definitions)
    plane.kubectl("wait", "crd", "--all", "--for=condition=Established", f"--timeout={SECONDS_TO_START:g}s")
    plane.apply(
        {"apiVersion": "v1", "kind": "Service", **service}, *(each for each in wanted if each not in definitions)
    )


def client_configs(each: Object) -> Iterator[dict[str, Any]]:
    """Yield where an object tells the API server to ask Kueue."""
    for webhook in each.get("webhooks", ()):
        yield webhook["clientConfig"]
    conversion = each.get("spec", {}).get("conversion", {})
    if "webhook" in conversion:
        yield conversion["webhook"]["clientConfig"]


def write_certificate(plane: ControlPlane, folder: Path) -> bool:
    """Write the certificate that Kueue has made into its folder, as a kubelet does with a Secret; say if it was there.

    The certificate comes last: Kueue reads both once it sees it.
    """
    secret = plane.get("secret", CERTIFICATE, NAMESPACE)
    if "tls.crt" not in secret.get("data", {}):
        return False
    for name in ("tls.key", "tls.crt"):
        write_secret(folder / name, secret_text(secret, name))
    return True


def queue(name: str, namespace: str, quota: dict[str, str]) -> list[Object]:
    """Return a namespace's LocalQueue and the ClusterQueue of the same name that bounds it."""
    resources = [{"name": resource, "nominalQuota": amount} for resource, amount in quota.items()]
    group = {"coveredResources": list(quota), "flavors": [{"name": "any-node", "resources": resources}]}
    return [
        {"apiVersion": API_VERSION, "kind": "ResourceFlavor", "metadata": {"name": "any-node"}},
        {
            "apiVersion": API_VERSION,
            "kind": "ClusterQueue",
            "metadata": {"name": name},
            "spec": {"namespaceSelector": {}, "resourceGroups": [group]},
        },
        {
            "apiVersion": API_VERSION,
            "kind": "LocalQueue",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterQueue": name},
        },
    ]


def stop_queue(plane: ControlPlane, name: str, policy: str) -> None:
    """Let a ClusterQueue admit (None), admit nothing more (Hold), or send back what it admitted (HoldAndDrain)."""
    patch = json.dumps({"spec": {"stopPolicy": policy}})
    plane.kubectl("patch", "clusterqueue", name, "--type=merge", f"--patch={patch}")


def wait_until_active(plane: ControlPlane, name: str, namespace: str) -> None:
    """Wait until a LocalQueue admits."""

    def active() -> bool:
        conditions = plane.get("localqueue", name, namespace).get("status", {}).get("conditions", [])
        return any(each["type"] == "Active" and each["status"] == "True" for each in conditions)

    wait_until(active, f"queue {name} admits")
