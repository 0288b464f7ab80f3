"""The node's network: an address, pods with routes to it, names; and no way out of the machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.node.enclosure import Enclosure

ADDRESS = "10.100.0.1"
PODS = "10.244.0.0/16"
PODS_OF_NODE = "10.244.0.0/24"
DEVICE = "node"


def write_network_files(folder: Path) -> None:
    """Write what containerd gives each pod as its network, and what resolves names on the node itself."""
    # A pod is reached by a route (ptp), not over a bridge: what one pod says to another through a Service passes the
    # node's rules on its way there and back, whatever modules the kernel has.
    address = {"type": "host-local", "ranges": [[{"subnet": PODS_OF_NODE}]], "routes": [{"dst": "0.0.0.0/0"}]}
    plugins = [
        {"type": "ptp", "ipam": {**address, "dataDir": "/run/cni"}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    content = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
    (folder / "cni").mkdir(exist_ok=True)
    (folder / "cni" / "pods.conflist").write_text(json.dumps(content, indent=1), encoding="utf-8")
    names = f"nameserver {ADDRESS}\nsearch svc.cluster.local cluster.local\noptions ndots:3\n"
    (folder / "resolv.conf").write_text(names, encoding="utf-8")


def make_network(enclosure: Enclosure) -> None:
    """Bring up loopback and the node's address, on a bridge since kernels without dummy devices have that."""
    for arguments in (
        ("link", "set", "lo", "up"),
        ("link", "add", DEVICE, "type", "bridge"),
        ("address", "add", f"{ADDRESS}/24", "dev", DEVICE),
        ("link", "set", DEVICE, "up"),
        # Addresses of Services need a route to begin with; the rules then say where they are.
        ("route", "add", "default", "dev", DEVICE),
    ):
        enclosure.run("ip", *arguments)
    enclosure.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
