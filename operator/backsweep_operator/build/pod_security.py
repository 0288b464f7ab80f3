"""Pod Security "restricted" as a pure check, so that what is built keeps it whatever a namespace enforces.

Source: Kubernetes' Pod Security Standards, profile Restricted (1.34), for Linux pods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["violations"]

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECCOMP = {"RuntimeDefault", "Localhost"}
HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")


def violations(pod: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each rule of the profile that a pod's spec breaks; none if it is admitted."""
    return [*_pod_violations(pod), *(each for container in _containers(pod) for each in _of_container(container, pod))]


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(key, ())


def _pod_violations(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the pod as a whole."""
    for field in HOST_FIELDS:
        if pod.get(field):
            yield f"{field} is set"
    for volume in pod.get("volumes", ()):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume.get('name')} is a {', '.join(sorted(kinds))}"
    security = pod.get("securityContext", {})
    if security.get("runAsUser") == 0:
        yield "the pod runs as root"
    if security.get("sysctls"):
        yield "the pod sets sysctls"


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one container."""
    name = f"container {container.get('name')}"
    own, shared = container.get("securityContext", {}), pod.get("securityContext", {})
    capabilities = own.get("capabilities", {})
    if own.get("privileged"):
        yield f"{name} is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} does not forbid privilege escalation"
    if "ALL" not in capabilities.get("drop", ()):
        yield f"{name} does not drop ALL capabilities"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"{name} adds capabilities"
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield f"{name} may run as root"
    if own.get("runAsUser") == 0:
        yield f"{name} runs as root"
    if own.get("seccompProfile", shared.get("seccompProfile", {})).get("type") not in SECCOMP:
        yield f"{name} has no seccomp profile"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield f"{name} has a hostPort"
    if own.get("procMount", "Default") != "Default":
        yield f"{name} sets procMount"
