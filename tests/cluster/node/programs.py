"""How each program of the node is started: the control plane's as in tests/cluster/components.py, and a node's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cluster.components import USERS, Addresses, common_commands
from tests.cluster.node.images import BUSYBOX_IMAGE
from tests.cluster.node.network import ADDRESS, PODS
from tests.cluster.node.storage import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Also the order in which they start.
ORDER = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
    "minio",
    "ray-operator",
)
NODE = "node"
NODE_USERS = {user: group for user, group in USERS.items() if user != "kwok"} | {
    f"system:node:{NODE}": "system:nodes",
    "system:kube-proxy": "system:authenticated",
    "coredns": "system:authenticated",
}
# In a network of its own everyone has their usual ports.
ADDRESSES = Addresses(api=6443, etcd=2379, etcd_peers=2380, kuberay_probes=8082, kuberay_metrics=8080)
SOCKET = "unix:///run/containerd/containerd.sock"
PROBES = {
    **ADDRESSES.probes(),
    "containerd": SOCKET,
    "kubelet": "http://127.0.0.1:10248/healthz",
    "kube-proxy": "http://127.0.0.1:10256/healthz",
    "coredns": "http://127.0.0.1:8181/ready",
    "minio": f"{ENDPOINT}/minio/health/live",
}

CONTAINERD = f"""
version = 2
# Would make a folder in /opt.
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{BUSYBOX_IMAGE}"
  # Lowering a score needs a capability that not every machine's root has.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{{folder}}/cni"
"""
COREFILE = f"""
. {{{{
    bind {ADDRESS}
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{{{
        kubeconfig {{config}}
        ttl 5
    }}}}
}}}}
"""


def write_settings(folder: Path, configs: Mapping[str, Path], cgroup: str) -> None:
    """Write the files of settings that the programs read."""
    (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder), encoding="utf-8")
    (folder / "Corefile").write_text(COREFILE.format(config=configs["coredns"]), encoding="utf-8")
    (folder / "kubelet.json").write_text(json.dumps(kubelet(folder, cgroup), indent=1), encoding="utf-8")


def commands_of(folder: Path, configs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the arguments of each program."""
    commands = common_commands(folder, ADDRESSES, configs)
    commands["kube-apiserver"] += [
        "--bind-address=0.0.0.0",
        f"--advertise-address={ADDRESS}",
        "--endpoint-reconciler-type=lease",
        # Beside RBAC, which is named already.
        "--authorization-mode=Node",
        "--enable-admission-plugins=NodeRestriction",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-client-certificate={folder / 'kubelet-client.crt'}",
        f"--kubelet-client-key={folder / 'kubelet-client.key'}",
    ]
    commands["kube-controller-manager"] += [
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={PODS}",
        "--node-monitor-grace-period=50s",
    ]
    commands["containerd"] = [f"--config={folder / 'containerd.toml'}"]
    commands["kubelet"] = [
        f"--kubeconfig={configs[f'system:node:{NODE}']}",
        f"--config={folder / 'kubelet.json'}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
    ]
    commands["kube-proxy"] = kube_proxy(configs["system:kube-proxy"])
    commands["coredns"] = [f"-conf={folder / 'Corefile'}"]
    commands["minio"] = ["server", f"--address={ADDRESS}:9000", "--quiet", str(folder / "minio")]
    return commands


def kubelet(folder: Path, cgroup: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(folder / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": SOCKET,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        # The disk is its owner's: when something else fills it, pods and images that nobody can pull again stay. An
        # error of who writes then says more than an eviction.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    }


def kube_proxy(config: Path) -> list[str]:
    return [
        f"--kubeconfig={config}",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
        # These are read-only in a network namespace.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def coredns_access() -> list[dict[str, Any]]:
    """Return what CoreDNS may read."""
    api = "rbac.authorization.k8s.io"
    seen = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": seen},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": seen},
    ]
    metadata = {"name": "coredns"}
    return [
        {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "coredns"},
            "subjects": [{"apiGroup": api, "kind": "User", "name": "coredns"}],
        },
    ]
