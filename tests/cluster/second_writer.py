"""A second writer, who keeps changing what the operator reads and writes: labels, annotations, status."""

from __future__ import annotations

import itertools
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.control_plane import ControlPlane

from backsweep_api.names import LABEL_SWEEP

PAUSE_SECONDS = 0.03
CHILDREN = (
    "apis/ray.io/v1/namespaces/{namespace}/rayclusters",
    "apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies",
    "apis/batch/v1/namespaces/{namespace}/jobs",
)
SWEEPS = "apis/backsweep.dev/v1alpha1/namespaces/{namespace}/backtestsweeps"


@dataclass
class SecondWriter:
    """Writes as the administrator, one object after the other; `written` counts what was taken.

    Of a sweep's status it changes what only tells (links, when progress was last seen), not what the operator goes by.
    """

    plane: ControlPlane
    namespace: str
    sweep: str
    written: int = 0
    failures: list[Exception] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def writing(self) -> Iterator[SecondWriter]:
        """Write all the while; what went wrong in its thread is raised at the end."""
        thread = threading.Thread(target=self._write, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(30)
        if self.failures:
            raise self.failures[0]

    def _write(self) -> None:
        try:
            for number in itertools.count():
                for path, body in self._changes(number):
                    self.written += self._ask("PATCH", path, body) is not None
                    if self._stop.wait(PAUSE_SECONDS):
                        return
        except Exception as error:
            self.failures.append(error)

    def _changes(self, number: int) -> Iterator[tuple[str, Any]]:
        """Yield a change of everything there is of the sweep: labels and annotations, then the sweep's status."""
        metadata = {
            "labels": {"someone.example/count": str(number)},
            "annotations": {"someone.example/note": f"n{number}"},
        }
        sweep = f"{SWEEPS.format(namespace=self.namespace)}/{self.sweep}"
        for path in CHILDREN:
            place = path.format(namespace=self.namespace)
            found = self._ask("GET", f"{place}?labelSelector={LABEL_SWEEP}={self.sweep}")
            for each in [] if found is None else found["items"]:
                yield f"{place}/{each['metadata']['name']}", {"metadata": metadata}
                yield f"{sweep}/status", {"status": {"links": {"ray": f"http://someone.example/{number}"}}}
        yield sweep, {"metadata": metadata}
        yield f"{sweep}/status", {"status": {"links": {"ray": f"http://someone.example/{number}"}}}

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API server; None if the object is not there (any more)."""
        user = json.loads(self.plane.kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]
        request = urllib.request.Request(f"{self.plane.url}/{path}", method=method)
        request.add_header("Authorization", f"Bearer {user['token']}")
        request.add_header("Content-Type", "application/merge-patch+json")
        context = ssl.create_default_context(cafile=self.plane.folder / "ca.crt")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=30, context=context) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise
