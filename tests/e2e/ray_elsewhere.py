"""A Ray that no RayCluster made: processes on the node, no pods, as one in a data centre beside a cluster."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.node.network import ADDRESS
from tests.cluster.node.node import counted
from tests.cluster.node.storage import storage_environment
from tests.cluster.processes import NotReadyError, Process
from tests.e2e.releases import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.node.node import Node

JOBS = f"http://{ADDRESS}:8265"
SECONDS_TO_START = 180.0
ASK = """
import os, sys, urllib.request as request
asked = request.Request(sys.argv[1], headers={"Authorization": "Bearer " + os.environ["RAY_AUTH_TOKEN"]})
print(request.urlopen(asked, timeout=10).read().decode())
"""


class RayElsewhere:
    """A head with two cores that asks for a token; killed and started again it has the same address and token."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.token = secrets.token_hex(32)
        self._node = node
        # Processes of its own, so that all of Ray ends with the first of them; the network is the node's.
        network = ("nsenter", f"--net=/proc/{node.enclosure.pid}/ns/net", "--")
        alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
        head = (str(PROGRAMS / "ray"), "start", "--head", "--block", "--disable-usage-stats", "--num-cpus=2")
        place = (f"--node-ip-address={ADDRESS}", f"--dashboard-host={ADDRESS}", f"--temp-dir={folder}")
        environment = {
            **storage_environment(node.folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        }
        command = [*counted(node.folder), *network, *alone, *head, *place, "--object-store-memory=200000000"]
        self._process = Process("ray-elsewhere", command, folder, environment)

    def start(self) -> None:
        self._process.start()
        self._process.wait_until(self._answers, SECONDS_TO_START)

    def kill(self) -> None:
        self._process.kill()

    def jobs(self, sweep: str) -> list[str]:
        """Return the states of the jobs of a sweep."""
        return [each["status"] for each in self._read("/api/jobs/") if each["metadata"].get("sweep") == sweep]

    def _answers(self) -> bool:
        try:
            self._read("/api/jobs/")
        except NotReadyError:
            return False
        return True

    def _read(self, path: str) -> Any:
        given = {"RAY_AUTH_TOKEN": self.token}
        return json.loads(self._node.enclosure.run(sys.executable, "-I", "-c", ASK, JOBS + path, environment=given))


@contextmanager
def ray_elsewhere(node: Node) -> Iterator[RayElsewhere]:
    """Start one, and end it with all it made."""
    folder = Path(tempfile.mkdtemp(prefix="backsweep-ray-", dir="/tmp"))  # Ray's sockets need a short path
    ray = RayElsewhere(node, folder)
    try:
        ray.start()
        yield ray
    finally:
        ray.kill()
        shutil.rmtree(folder)
