"""A Ray head as a cluster has it, in processes of its own on this machine's loopback."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.contract.s3_server import ACCESS_KEY, SECRET_KEY

from backsweep.executors.ray_rest import JobsApi
from backsweep.settings import NUMERIC_VARIABLES

__all__ = ["Head", "free_ports", "ray_head"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Head:
    address: str
    token: str

    def jobs(self) -> dict[str, str]:
        """Return the state of each job it knows, by submission id."""
        request = urllib.request.Request(f"{self.address}/api/jobs/", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return {str(job["submission_id"]): str(job["status"]) for job in json.load(response)}

    def forget(self, submission_id: str) -> None:
        """Let it lose a job that is over, as a head does that restarts."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.address}/api/jobs/{submission_id}", headers=headers, method="DELETE")
        with urllib.request.urlopen(request, timeout=60):
            pass


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, none of those Ray gives its workers."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if not 10_002 <= port <= 19_999 and port not in found:
            found.append(port)
    return found


@contextlib.contextmanager
def ray_head(home: Path) -> Iterator[Head]:
    """A Ray head as a cluster has it: with a dashboard, with tokens, its environment not ours."""
    token = secrets.token_hex(32)
    gcs, dashboard, agent = free_ports(3)
    folder = tempfile.mkdtemp(prefix="backsweep-head-", dir="/tmp")  # Ray's sockets need a short path
    environment = {name: value for name, value in os.environ.items() if name not in NUMERIC_VARIABLES}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "api"), str(ROOT / "pipeline")]),
        "HOME": str(home),
    }
    command = [
        *(str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--disable-usage-stats"),
        *(f"--port={gcs}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={agent}"),
        *("--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--include-dashboard=true", "--num-cpus=2"),
        *(f"--temp-dir={folder}", "--object-store-memory=200000000"),
    ]
    with (Path(folder) / "head.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        started = Head(f"http://127.0.0.1:{dashboard}", token)
        JobsApi(started.address, token=token).check(wait_seconds=90)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)  # --block ends the head's other processes, too
        process.wait(timeout=60)
        subprocess.run(["rm", "-rf", folder], check=True)
