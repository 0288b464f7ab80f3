"""The load on the operator: sweeps applied over connections that last, and when a watch told of their RayClusters."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from tests.cluster.operators import sweep

from backsweep_api.names import LABEL_SWEEP

__all__ = [
    "APPLY",
    "CLUSTERS",
    "SWEEPS",
    "Arrivals",
    "Door",
    "apply_all",
    "apply_in_turn",
    "opened",
    "paced",
    "watching",
]

AT_ONCE = 16
LONGEST_SECONDS = 300.0
APPLY = "application/apply-patch+yaml"
SWEEPS = "/apis/backsweep.dev/v1alpha1/namespaces/{}/backtestsweeps"
CLUSTERS = "/apis/ray.io/v1/namespaces/{}/rayclusters"
NAMES_ONLY = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
NEW = b'{"type":"ADDED"'


@dataclass(frozen=True)
class Door:
    """The API server, over connections of our own."""

    session: aiohttp.ClientSession
    url: str

    async def call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """Call, and return what was answered.

        Raises
        ------
        RuntimeError
            If it is refused; with the API server's words.
        """
        async with self.session.request(method, self.url + path, data=body, headers={"Content-Type": kind}) as answer:
            raw = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path} is answered {answer.status}: {raw[:500].decode()}")
            return json.loads(raw)

    async def apply_sweep(self, name: str, namespace: str) -> None:
        """Apply one sweep on the server's side, as Argo CD does."""
        path = f"{SWEEPS.format(namespace)}/{name}?fieldManager=bench&force=true"
        await self.call("PATCH", path, json.dumps(sweep(name, namespace)).encode(), APPLY)


@dataclass
class Arrivals:
    """When a watch told of each RayCluster, by the name of its sweep; seconds of the monotonic clock."""

    clusters: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds.

        Raises
        ------
        TimeoutError
            If nothing at all arrives for minutes.
        """
        while not holds():
            self.changed.clear()
            async with asyncio.timeout(LONGEST_SECONDS):
                await self.changed.wait()


@contextlib.asynccontextmanager
async def opened(kubeconfig: Path) -> AsyncIterator[Door]:
    """Give the API server that a kubeconfig with a token names."""
    config = json.loads(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    connector = aiohttp.TCPConnector(limit=0, ssl=context)
    headers = {"Authorization": f"Bearer {user['token']}"}
    forever = aiohttp.ClientTimeout(total=None)  # of watches
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=forever) as session:
        yield Door(session, cluster["server"])


async def paced(work: Iterable[Callable[[], Awaitable[Any]]], at_once: int = AT_ONCE) -> None:
    """Do all of it, so many at the same time."""
    waiting = iter(list(work))

    async def one_after_the_other() -> None:
        for each in waiting:
            await each()

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))


async def apply_all(door: Door, namespace: str, names: Sequence[str]) -> float:
    """Apply all sweeps as fast as the API server takes them; return the seconds."""
    began = time.monotonic()
    await paced([partial(door.apply_sweep, name, namespace) for name in names])
    return time.monotonic() - began


async def apply_in_turn(door: Door, namespace: str, names: Sequence[str]) -> list[float]:
    """Apply sweeps one by one, each when the one before has its RayCluster; return the seconds each took."""
    took = []
    async with watching(door, namespace) as arrivals:
        for name in names:
            began = time.monotonic()
            await door.apply_sweep(name, namespace)
            await arrivals.until(partial(arrivals.clusters.__contains__, name))
            took.append(arrivals.clusters[name] - began)
    return took


@contextlib.asynccontextmanager
async def watching(door: Door, namespace: str) -> AsyncIterator[Arrivals]:
    """Note when RayClusters arrive, while the block lasts."""
    found, path = Arrivals(), CLUSTERS.format(namespace)
    start = (await door.call("GET", f"{path}?limit=1"))["metadata"]["resourceVersion"]
    task = asyncio.create_task(_note(door, f"{path}?watch=true&resourceVersion={start}", found))
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _note(door: Door, path: str, found: Arrivals) -> None:
    """Watch names; only what is new is read, so that the watch costs next to nothing."""
    async with door.session.get(door.url + path, headers={"Accept": NAMES_ONLY}) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            if line.startswith(NEW):
                labels = json.loads(line)["object"]["metadata"]["labels"]
                found.clusters[labels[LABEL_SWEEP]] = time.monotonic()
                found.changed.set()
