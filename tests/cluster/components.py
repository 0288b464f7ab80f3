"""How each program of the control plane is started, as whom, and what KubeRay and KWOK need to be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Also the order in which they start.
ORDER = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "ray-operator")

# Users of the token file and their group. Who is in no group of Kubernetes' own has only what RBAC gives it.
USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "system:authenticated",
    "system:kube-scheduler": "system:authenticated",
    "kwok": "system:masters",
    "kuberay": "system:authenticated",
}
SERVICES = "10.96.0.0/16"
QUICK = ("--kube-api-qps=200", "--kube-api-burst=400")


@dataclass(frozen=True)
class Addresses:
    """The ports the programs listen on, all on 127.0.0.1."""

    api: int
    etcd: int
    etcd_peers: int
    kuberay_probes: int
    kuberay_metrics: int

    def probes(self) -> dict[str, str]:
        """Return the address that answers 200 once a program serves."""
        return {
            "etcd": f"http://127.0.0.1:{self.etcd}/health",
            "kube-apiserver": f"https://127.0.0.1:{self.api}/readyz",
            "ray-operator": f"http://127.0.0.1:{self.kuberay_probes}/readyz",
        }


def commands_of(folder: Path, addresses: Addresses, configs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the arguments of each program."""
    kwok = [
        f"--kubeconfig={configs['kwok']}",
        f"--config={folder / 'pods.kwok.yaml'}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
    ]
    return {**common_commands(folder, addresses, configs), "kwok": kwok}


def common_commands(folder: Path, addresses: Addresses, configs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the arguments of the programs a cluster has whoever plays its nodes."""
    etcd = f"http://127.0.0.1:{addresses.etcd}"
    peers = f"http://127.0.0.1:{addresses.etcd_peers}"
    manager, scheduler = configs["system:kube-controller-manager"], configs["system:kube-scheduler"]
    return {
        "etcd": [
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--log-level=warn",
            # What is written outlives the process all the same; only a machine that loses power would lose it.
            "--unsafe-no-fsync",
        ],
        "kube-apiserver": api_server(folder, addresses, etcd),
        "kube-controller-manager": [
            f"--kubeconfig={manager}",
            f"--authentication-kubeconfig={manager}",
            f"--authorization-kubeconfig={manager}",
            f"--service-account-private-key-file={folder / 'accounts.key'}",
            f"--root-ca-file={folder / 'ca.crt'}",
            # It makes the folder, by default in /usr.
            f"--flex-volume-plugin-dir={folder / 'volume-plugins'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
            # KWOK's nodes do not die because the machine is busy.
            "--node-monitor-grace-period=1h",
            # The default, 20 a second, takes over a minute to collect the pods of 300 RayClusters.
            *QUICK,
        ],
        "kube-scheduler": [
            f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}",
            f"--authorization-kubeconfig={scheduler}",
            "--leader-elect=false",
            "--secure-port=0",
            *QUICK,
        ],
        "ray-operator": [
            f"--kubeconfig={configs['kuberay']}",
            "--enable-leader-election=false",
            f"--health-probe-bind-address=127.0.0.1:{addresses.kuberay_probes}",
            f"--metrics-addr=127.0.0.1:{addresses.kuberay_metrics}",
        ],
    }


def api_server(folder: Path, addresses: Addresses, etcd: str) -> list[str]:
    """Return the API server's arguments: one that nobody but this machine reaches, and that trusts nobody unasked."""
    return [
        f"--etcd-servers={etcd}",
        f"--secure-port={addresses.api}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        # Nobody reaches it through its Service here, and an endpoint on loopback is one it refuses to write.
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def kuberay_access() -> list[dict[str, Any]]:
    """Return KubeRay's namespace and what gives its user the role of its own release, and nothing more."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kuberay-operator"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kuberay"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kuberay-operator"},
            "roleRef": role,
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kuberay"}],
        },
    ]


def open_definition(kind: str, group: str, *versions: str) -> dict[str, Any]:
    """Return a definition that takes any object of a kind, for kinds that must be there and are not what is tested."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
                for version in versions
            ],
        },
    }


def fake_node(name: str) -> dict[str, Any]:
    """Return a node KWOK plays; without a taint, so that pods need not know they are in a test."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
    }
