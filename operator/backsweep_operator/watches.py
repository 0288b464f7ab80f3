"""Kopf as the watcher: every change of every kind becomes a view and a key in the queue, and nothing else.

Kopf lists and watches, reconnects and signs in anew. It gets a registry of its own, holds no peering, writes no
annotation and no finalizer, and keeps no object. What a watch may miss a list finds (`Resync`): a deletion while it was
broken, or a watch that is deaf.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import kopf

from backsweep_operator.cluster_login import ClusterLogin
from backsweep_operator.kinds import RESOURCES, trimmed
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import Kind, SweepView
from backsweep_operator.observe import Key, Seen, View

__all__ = ["Intake", "Resync", "kopf_settings", "watch"]

logger = logging.getLogger(__name__)

Notice = Callable[[Key], None]
DEAF_SECONDS = 60.0
RETRIES_SECONDS = (0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8, 8)  # over a minute without the API server before Kopf gives up


class Intake:
    """Takes in what watches and lists bring.

    `relisted` says of each kind when a watch last listed it: a deletion before that may have been missed. `heard` is
    the newest version that a watch told of, by kind and namespace.
    """

    def __init__(self, seen: Seen, notice: Notice, metrics: OperatorMetrics, elapsed: Callable[[], float]) -> None:
        self._seen = seen
        self._notice = notice
        self._metrics = metrics
        self._elapsed = elapsed
        self.relisted: dict[Kind, float] = {}
        self.heard: dict[tuple[Kind, str], int] = {}

    def event(self, kind: Kind, event: Mapping[str, Any]) -> None:
        """Take in an event of a watch; its type is None for what was listed when the watch began."""
        raw, type_ = event["object"], event["type"]
        self._metrics.events.add(str(kind))
        meta = raw["metadata"]
        place, version = (meta.get("namespace", ""), meta["name"]), int(meta["resourceVersion"])
        at = (kind, place[0])
        self.heard[at] = max(version, self.heard.get(at, 0))
        if type_ is None:
            self.relisted[kind] = self._elapsed()
            if self._seen.versions.get((kind, place)) == version:
                return
        if type_ == "DELETED":
            key = self._seen.forget(kind, place, version)
        else:
            key = self._seen.see(kind, trimmed(kind, dict(raw)))
        if key is not None:
            self._notice(key)

    def listed(self, kind: Kind, namespace: str, raws: Iterable[Mapping[str, Any]], version: int) -> int:
        """Take in a whole list of one namespace; have looked at what changed; return how many objects did."""
        before = dict(self._seen.views.get(kind, {}))
        self._seen.replace(kind, raws, version, namespace)
        after = self._seen.views.get(kind, {})
        moved = [place for place in before.keys() | after.keys() if before.get(place) is not after.get(place)]
        about = {_sweep_of(view) for place in moved for view in (before.get(place), after.get(place)) if view}
        for key in sorted(about):
            self._notice(key)
        return len(moved)


class Resync:
    """Lists everything, now and then, and says which watches are deaf."""

    def __init__(
        self, kube: KubeApi, intake: Intake, namespaces: tuple[str, ...], elapsed: Callable[[], float]
    ) -> None:
        self._kube = kube
        self._intake = intake
        self._namespaces = namespaces
        self._elapsed = elapsed
        self._owed: dict[tuple[Kind, str], tuple[int, float]] = {}

    async def one(self, kind: Kind) -> int:
        """List a kind in every namespace, and return how many objects were not as they were known."""
        moved = 0
        for namespace in self._namespaces:
            raws: list[Mapping[str, Any]] = []
            version = 0
            async for page, at in self._kube.pages(kind, namespace):
                raws, version = [*raws, *page], at
            self._owe((kind, namespace), max((int(raw["metadata"]["resourceVersion"]) for raw in raws), default=0))
            moved += self._intake.listed(kind, namespace, raws, version)
        return moved

    def deaf(self) -> list[str]:
        """Return the watches that did not tell within a minute what a list showed."""
        now = self._elapsed()
        return [
            f"{RESOURCES[kind].plural} in {namespace}"
            for (kind, namespace), (version, since) in sorted(self._owed.items())
            if self._intake.heard.get((kind, namespace), 0) < version and now - since > DEAF_SECONDS
        ]

    def _owe(self, at: tuple[Kind, str], version: int) -> None:
        """Note which version a watch must tell of, unless an earlier one is still awaited."""
        owed = self._owed.get(at)
        if owed is None or self._intake.heard.get(at, 0) >= owed[0]:
            self._owed[at] = (version, self._elapsed())


class _NothingKept(kopf.DiffBaseStorage):
    """No object is compared with how it was handled last: without this Kopf copies each, at each event."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        raise NotImplementedError  # Kopf asks for it with handlers of changes only, and there are none


def kopf_settings() -> kopf.OperatorSettings:
    """Return how Kopf is to behave: quick to let go of objects, slow to give up, silent towards objects."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 5.0
    settings.networking.error_backoffs = RETRIES_SECONDS
    settings.watching.chunk_size = 200
    settings.queueing.idle_timeout = 0.05
    settings.persistence.diffbase_storage = _NothingKept()
    settings.process.ultimate_exiting_timeout = 20.0
    for resource in RESOURCES.values():
        if resource.selector:
            where = (resource.group, resource.version, resource.plural)
            settings.watching.label_selectors[where] = resource.selector
    return settings


async def watch(
    intake: Intake,
    login: ClusterLogin,
    settings: kopf.OperatorSettings,
    namespaces: tuple[str, ...],
    started: Callable[[], None],
) -> None:
    """Watch until cancelled.

    Parameters
    ----------
    started : called when Kopf has set the handlers of signals, so that they can be taken back.

    Raises
    ------
    Exception
        Whatever Kopf gives up for; the process must then end, and begin anew.
    """
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login_handler(login))
    for kind, resource in RESOURCES.items():
        where = (resource.group, resource.version, resource.plural)
        kopf.on.event(*where, id=f"see-{resource.plural}", registry=registry)(_event_handler(intake, kind))
    before = asyncio.all_tasks()
    stop = asyncio.Event()
    tasks = await kopf.spawn_tasks(
        registry=registry, settings=settings, standalone=True, namespaces=namespaces, stop_flag=stop
    )
    started()
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=before), name="kopf")
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        raise


def _login_handler(login: ClusterLogin) -> Callable[..., Any]:
    async def sign_in(**_: Any) -> kopf.ConnectionInfo:
        return login.connection()

    return sign_in


def _event_handler(intake: Intake, kind: Kind) -> Callable[..., Any]:
    async def see(event: Mapping[str, Any], **_: Any) -> None:
        intake.event(kind, event)

    return see


def _sweep_of(view: View) -> Key:
    """Return the sweep a view is about."""
    if isinstance(view, SweepView):
        return view.reference.namespace, view.reference.name
    return view.attempt.namespace, view.attempt.sweep
