"""The operator's calls without the operator: how many sweeps a second the API server alone takes.

Each call is of the same kind and about the same objects, as the operator made them; nothing is decided or watched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.benchmarks.operator_load import APPLY, CLUSTERS, SWEEPS, Door, paced

from backsweep_api.names import FIELD_MANAGER, LABEL_SWEEP, LABEL_UID

__all__ = ["Pattern", "pattern_of", "repeat_calls"]

POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
LISTED = {
    "list RayCluster": CLUSTERS,
    "list Job": "/apis/batch/v1/namespaces/{}/jobs",
    "list Pod": "/api/v1/namespaces/{}/pods",
}
EVENTS = "/api/v1/namespaces/{}/events"
MANAGED = f"fieldManager={FIELD_MANAGER}"
AT_ONCE = 32
KEPT = ("name", "namespace", "labels", "annotations", "ownerReferences")


@dataclass(frozen=True)
class Pattern:
    """What the operator wrote for one sweep, as text in which names can be replaced."""

    sweep: Mapping[str, Any]
    policy: str
    cluster: str
    child: str
    event: str


async def pattern_of(door: Door, namespace: str, name: str) -> Pattern:
    """Read what was made for a sweep."""
    sweep = await door.call("GET", f"{SWEEPS.format(namespace)}/{name}")
    texts = []
    for path in (POLICIES, CLUSTERS):
        found = await door.call("GET", f"{path.format(namespace)}?labelSelector={LABEL_SWEEP}={name}")
        raw = found["items"][0]
        meta = {key: raw["metadata"][key] for key in KEPT if key in raw["metadata"]}
        kind = found["kind"].removesuffix("List")
        texts.append(
            json.dumps({"apiVersion": found["apiVersion"], "kind": kind, "metadata": meta, "spec": raw["spec"]})
        )
    event = (await door.call("GET", f"{EVENTS.format(namespace)}?limit=1"))["items"][0]
    event["metadata"] = {"name": "event-of-a-sweep", "namespace": namespace}
    event = {"apiVersion": "v1", "kind": "Event", **event}
    return Pattern(sweep, texts[0], texts[1], meta["name"], json.dumps(event))


async def repeat_calls(
    door: Door, pattern: Pattern, namespace: str, names: Sequence[str], calls: Mapping[str, int]
) -> float:
    """Make the calls of one sweep for each of the sweeps, which are there; return the seconds for all.

    Parameters
    ----------
    calls : how often the operator made each call for a sweep.
    """
    began = time.monotonic()
    await paced([partial(_Repetition(door, pattern, namespace, name).run, calls) for name in names], AT_ONCE)
    return time.monotonic() - began


@dataclass
class _Repetition:
    """The calls about one sweep."""

    door: Door
    pattern: Pattern
    namespace: str
    name: str

    async def run(self, calls: Mapping[str, int]) -> None:
        """Make all calls; a write of status follows a read, from which it has the version."""
        left = dict(calls)
        live = await self._read(left)
        for call, path in LISTED.items():
            for _ in range(left.pop(call, 0)):
                selector = f"?labelSelector={LABEL_UID}={live['metadata']['uid']}&limit=200"
                await self.door.call("GET", path.format(self.namespace) + selector)
        for _ in range(left.pop("write status of BacktestSweep", 0)):
            live = await self._write_status(live)
        for number in range(left.pop("record event", 0)):
            body = self.pattern.event.replace("event-of-a-sweep", f"{self.name}.{number}")
            await self.door.call("POST", f"{EVENTS.format(self.namespace)}?{MANAGED}", self._mine(body, live))
        while left.get("read BacktestSweep", 0):
            await self._read(left)
        for call, path, text in (
            ("apply NetworkPolicy", POLICIES, self.pattern.policy),
            ("apply RayCluster", CLUSTERS, self.pattern.cluster),
        ):
            for _ in range(left.pop(call, 0)):
                at = f"{path.format(self.namespace)}/{self.name}-1?{MANAGED}&force=true"
                await self.door.call("PATCH", at, self._mine(text, live), APPLY)

    async def _read(self, left: dict[str, int]) -> Any:
        left["read BacktestSweep"] = left.get("read BacktestSweep", 1) - 1
        return await self.door.call("GET", f"{SWEEPS.format(self.namespace)}/{self.name}")

    async def _write_status(self, live: Any) -> Any:
        body = {**live, "status": self.pattern.sweep["status"]}
        at = f"{SWEEPS.format(self.namespace)}/{self.name}/status?{MANAGED}"
        return await self.door.call("PUT", at, json.dumps(body).encode())

    def _mine(self, text: str, live: Any) -> bytes:
        """Return what was written for the other sweep, for this one."""
        other, mine = self.pattern.sweep["metadata"], live["metadata"]
        swapped = {
            self.pattern.child: f"{self.name}-1",
            other["name"]: self.name,
            other["uid"]: mine["uid"],
            f'"namespace": "{other["namespace"]}"': f'"namespace": "{self.namespace}"',
        }
        for old, new in swapped.items():
            text = text.replace(old, new)
        return text.encode()
