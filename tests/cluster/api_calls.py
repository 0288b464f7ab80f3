"""Calls to an API server by the hundred over one kept connection, where a process of kubectl for each is too slow."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.clusters import Cluster, Object

CALL_SECONDS = 180  # longer than any watch
TWICE = ("GET", "PATCH")


def sweeps_of(namespace: str) -> str:
    """Return the path of a namespace's sweeps."""
    return f"/apis/backsweep.dev/v1alpha1/namespaces/{namespace}/backtestsweeps"


@dataclass(frozen=True)
class Answer:
    """What the API server answers."""

    status: int
    body: Any

    @property
    def accepted(self) -> bool:
        return self.status in (200, 201)

    @property
    def message(self) -> str:
        """What it says when it refuses."""
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else str(self.body)

    @property
    def causes(self) -> list[tuple[str, str]]:
        """The fields it finds fault with, and what it says of each."""
        found = (self.body.get("details") or {}).get("causes") or []
        return [(str(each.get("field", "")), str(each.get("message", ""))) for each in found]


class ApiCalls:
    """One kept connection of one user; for one thread."""

    def __init__(self, cluster: Cluster) -> None:
        config = json.loads(cluster.kubeconfig.read_text("utf-8"))
        self._token = config["users"][0]["user"]["token"]
        self._connection = http.client.HTTPSConnection(
            urlsplit(cluster.url).netloc,
            timeout=CALL_SECONDS,
            context=ssl.create_default_context(cafile=cluster.folder / "ca.crt"),
        )

    def send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        kind: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        """Make a call and read its answer; one that may be made twice is, if the kept connection has died meanwhile."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept, "Content-Type": kind}
        content = None if body is None else json.dumps(body).encode()
        kept = self._connection.sock is not None and method in TWICE
        try:
            status, type_, text = self._exchange(method, path, content, headers)
        except (OSError, http.client.HTTPException):
            if not kept:
                raise
            status, type_, text = self._exchange(method, path, content, headers)
        is_one = type_.startswith("application/json") and "?watch=" not in path
        return Answer(status, json.loads(text) if is_one else text)

    def _exchange(self, *request: Any) -> tuple[int, str, str]:
        """Ask and read the answer; a connection that fails is given up."""
        try:
            self._connection.request(*request)
            with self._connection.getresponse() as answer:
                return answer.status, answer.getheader("Content-Type") or "", answer.read().decode()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def watch(self, path: str, seconds: int) -> list[Object]:
        """Return what changes in a list from now on, in a time: this is how long it takes."""
        version = self.send("GET", f"{path}?limit=1").body["metadata"]["resourceVersion"]
        answer = self.send("GET", f"{path}?watch=1&resourceVersion={version}&timeoutSeconds={seconds}")
        return [json.loads(line) for line in str(answer.body).splitlines()]

    def close(self) -> None:
        self._connection.close()
