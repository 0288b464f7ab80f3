"""What a machine must have before a node is started on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.node import cgroups
from tests.cluster.node.enclosure import ENVIRONMENT, SEPARATED
from tests.cluster.node.images import BUSYBOX

PROGRAMS = ("conntrack", "containerd", "ctr", "ip", "iptables", "mount", "nsenter", "runc", "setsid", "unshare")
FILES = (BUSYBOX, Path("/usr/lib/cni/ptp"), Path("/usr/lib/cni/portmap"))
# Replaced for what runs on the node, so its files cannot be there.
REPLACED = ("/var/lib", "/var/log", "/run")


class UnfitMachineError(Exception):
    """A node cannot be started here; the text says what is missing."""


def check_machine(folder: Path) -> None:
    """Check all that is known to be needed, besides the programs that can be built.

    Raises
    ------
    UnfitMachineError
        If something is missing.
    """
    if os.geteuid():
        raise UnfitMachineError("only root can start a node; there is kind-config.yaml for who has Docker")
    missing = [name for name in PROGRAMS if not shutil.which(name, path=ENVIRONMENT["PATH"])]
    missing += [str(path) for path in FILES if not path.exists()]
    if missing:
        raise UnfitMachineError(f"there is no {', '.join(missing)}: `sh .ci/cluster-packages` installs them (Debian)")
    if not cgroups.hierarchies():
        found = "this machine has control groups of version 2 alone"
        raise UnfitMachineError(f"{found}, the node was made for version 1: use kind-config.yaml")
    if refused := refusal_of_namespaces():
        raise UnfitMachineError(f"this machine lets no namespaces be made, not even by root: {refused}")
    if inside := [each for each in REPLACED if folder.is_relative_to(each)]:
        raise UnfitMachineError(f"{folder} is below {inside[0]}, which the node has its own of: set BACKSWEEP_NODE")


def refusal_of_namespaces() -> str:
    """Return what is said when namespaces like the node's are made; nothing if they are."""
    tried = subprocess.run([*SEPARATED, "true"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return (tried.stderr.strip() or f"exit code {tried.returncode}") if tried.returncode else ""
