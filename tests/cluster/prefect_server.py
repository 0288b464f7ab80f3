"""A real Prefect server on loopback with a SQLite file of its own: killed and started again, it knows what it knew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.cluster.processes import Process
from tests.contract.test_operator_prefect import RealPrefect

from backsweep.orchestration.server import Endpoint, answers
from backsweep.orchestration.state import ServerRecord, StateFolder

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 180.0  # a first start migrates a new database, on a machine that has other things to do


class PrefectServer:
    """The server that `backsweep run` starts, with a port that stays the same."""

    def __init__(self, folder: Path, port: int) -> None:
        state = StateFolder(folder)
        state.write_record(ServerRecord(0, port))  # it takes the port of last time
        self.endpoint = Endpoint(f"http://127.0.0.1:{port}/api", state.auth(), None)
        command = [sys.executable, "-m", "backsweep.orchestration.service", str(folder)]
        places = {"PYTHONPATH": f"{ROOT / 'pipeline'}:{ROOT / 'api'}"}
        self.process = Process("prefect-server", command, folder, places)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process.start()
        self.process.wait_until(lambda: answers(self.endpoint), SECONDS_TO_START)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call its REST API and return the JSON it answers."""
        return RealPrefect(self.endpoint).ask(method, path, body)
