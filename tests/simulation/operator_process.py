"""A process of the operator: the real queue, observing, deciding and acting, over modelled APIs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tests.simulation.clockwork import Clockwork
from tests.simulation.prefect_model import PrefectModel
from tests.simulation.world import WATCHED, Change, Raw, World

from backsweep_api.errors import TransientError
from backsweep_api.names import AttemptName
from backsweep_operator.act import Hands
from backsweep_operator.errors import LeaseLostError
from backsweep_operator.model import (
    EmitEvent,
    EnsureDeployment,
    FlowRunRequest,
    FlowRunView,
    Kind,
    Reference,
    Release,
)
from backsweep_operator.observe import Key, Seen
from backsweep_operator.ports import NOTHING_KNOWN
from backsweep_operator.queue import Backoff, KeyQueue
from backsweep_operator.reconcile import Reconciler

POLL_SECONDS = 15.0
ORPHANS_SECONDS = 120.0
RESYNC_SECONDS = 300.0
Deciding = Callable[..., Any]
Loop = Coroutine["Call", Any, Any]


@dataclass(slots=True)
class Call:
    """One call on its way: what it does when it arrives."""

    name: str
    prefect: bool
    effect: Callable[[], Any]

    def __await__(self) -> Generator[Call, Any, Any]:
        answer = yield self
        return answer


@dataclass(slots=True)
class ModelledKube:
    """The port to Kubernetes."""

    world: World
    events: list[EmitEvent] = field(default_factory=list)

    async def read(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any] | None:
        return await self._call(f"read {kind}", lambda: self.world.get(kind, namespace, name))  # type: ignore[no-any-return]

    async def read_labelled(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
        return await self._call(f"list {kind}", lambda: self.world.of(kind, labels))  # type: ignore[no-any-return]

    async def apply(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._call(f"apply {manifest['kind']}", lambda: self.world.apply(manifest))  # type: ignore[no-any-return]

    async def annotate(self, reference: Reference, annotations: Mapping[str, str]) -> Mapping[str, Any]:
        def effect() -> Raw:
            raw = self.world.get(reference.kind, reference.namespace, reference.name)
            if raw is None or raw["metadata"]["uid"] != reference.uid:
                raise TransientError("it is gone")
            found = self.world.annotate(reference.kind, reference.namespace, reference.name, annotations)
            assert found is not None
            return found

        return await self._call("annotate", effect)  # type: ignore[no-any-return]

    async def delete(self, reference: Reference) -> None:
        at = (reference.kind, reference.namespace, reference.name)
        await self._call(
            f"delete {reference.kind}",
            lambda: self.world.delete(*at, reference.uid, reference.resource_version),
        )

    async def write_status(self, reference: Reference, status: Mapping[str, Any]) -> Mapping[str, Any]:
        place = (reference.namespace, reference.name)
        return await self._call(  # type: ignore[no-any-return]
            "write status",
            lambda: self.world.write_sweep_status(place, reference.uid, reference.resource_version, dict(status)),
        )

    async def record_event(self, event: EmitEvent) -> None:
        await self._call("event", lambda: self.events.append(event))

    async def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        return await Call(name, False, effect)


@dataclass(slots=True)
class ModelledPrefect:
    """The port to Prefect."""

    server: PrefectModel

    async def ensure_deployment(self, wanted: EnsureDeployment) -> None:
        await Call("ensure deployment", True, lambda: self.server.pools.add(wanted.work_pool))

    async def create_flow_run(self, request: FlowRunRequest, *, cancelled: bool) -> FlowRunView:
        name = "create cancelled flow run" if cancelled else "create flow run"
        return await Call(name, True, lambda: self.server.create(request, cancelled))  # type: ignore[no-any-return]

    async def cancel_flow_run(self, flow_run_id: str) -> None:
        await Call("cancel flow run", True, lambda: self.server.cancel(flow_run_id))

    async def flow_runs(
        self, attempts: Sequence[AttemptName], known: Mapping[AttemptName, FlowRunView] = NOTHING_KNOWN
    ) -> list[FlowRunView]:
        asked, known = list(attempts), dict(known)
        runs = self.server.runs

        def now(name: AttemptName) -> FlowRunView:
            before, run = known.get(name), runs[name]
            return run if before is None or before.state is not run.state else replace(before, progress=run.progress)

        return await Call("read flow runs", True, lambda: [now(name) for name in asked if name in runs])  # type: ignore[no-any-return]

    async def open_flow_runs(self) -> list[FlowRunView]:
        runs = self.server.runs
        return await Call("list flow runs", True, lambda: [run for run in runs.values() if not run.state.terminal])  # type: ignore[no-any-return]


@dataclass(slots=True)
class Lease:
    """Who leads."""

    holder: int = 0


@dataclass(slots=True)
class Fence:
    """What one process knows of the lease."""

    lease: Lease
    number: int

    def check(self) -> None:
        if self.lease.holder != self.number:
            raise LeaseLostError("another process leads")


class OperatorProcess:
    """One process, from its first list to its death."""

    def __init__(self, number: int, lease: Lease, sim: Any, deciding: Deciding, release: Release) -> None:
        self.number, self.sim = number, sim
        self.clockwork: Clockwork = sim.clockwork
        self.world: World = sim.world
        self.seen = Seen()
        fence = Fence(lease, number)
        self.hands = Hands(sim.kube, sim.modelled_prefect, self.clockwork, fence, self.seen)
        self.reconciler = Reconciler(self.hands, release, deciding)
        self.queue: KeyQueue[Key] = KeyQueue(Backoff(1.0, 30.0))
        self.alive = True
        self.delivered: dict[Kind, float] = {}
        self.streams: dict[Kind, int] = dict.fromkeys(WATCHED, 0)
        self.deaf: set[Kind] = set()
        self.passes = 0

    def start(self, lag: int = 0) -> None:
        """List everything, from a reader that may lag, and watch from there."""
        self.world.watchers.append(self._watch)
        self.seen.accounts = {"team": {"sweeps"}}
        for kind in WATCHED:
            self._list(kind, lag)
        self.clockwork.after(1.0, lambda: self._poll(POLL_SECONDS))
        self.clockwork.after(2.0, self._orphans)
        self.clockwork.after(RESYNC_SECONDS, self._resync)

    def die(self) -> None:
        """Stop at once; what is on its way arrives."""
        self.alive = False
        if self._watch in self.world.watchers:
            self.world.watchers.remove(self._watch)

    def lose_watches(self) -> None:
        """All watches break; a list follows after a while."""
        for kind in WATCHED:
            self.deaf.add(kind)
            self.clockwork.after(self.clockwork.between(1, 60, "relist"), partial(self._relist, kind))

    def notice(self, key: Key | None) -> None:
        if key is not None and self.alive:
            self.queue.notice(key, self.clockwork.time)
            self._wake()

    def run(self, loop: Loop, ended: Callable[[object], None]) -> None:
        """Drive a coroutine from call to call; the simulation decides what becomes of each."""
        self._resume(loop, lambda: loop.send(None), ended)

    def _resume(self, loop: Loop, go_on: Callable[[], Call], ended: Callable[[object], None]) -> None:
        if not self.alive:
            loop.close()
            return
        try:
            call = go_on()
        except StopIteration as end:
            ended(end.value)
        except TransientError as error:
            ended(error)
        else:
            self.sim.place(self, call, lambda answer: self._answered(loop, answer, ended))

    def _answered(self, loop: Loop, answer: object, ended: Callable[[object], None]) -> None:
        if isinstance(answer, TransientError):
            self._resume(loop, lambda: loop.throw(answer), ended)
        else:
            self._resume(loop, lambda: loop.send(answer), ended)

    def _wake(self) -> None:
        due = self.queue.next_due()
        if due is not None:
            self.clockwork.after(max(due - self.clockwork.time, 0.0), self._take)

    def _take(self) -> None:
        key = self.queue.take(self.clockwork.time) if self.alive else None
        if key is not None:
            self.passes += 1
            self.run(self.reconciler.reconcile(key), lambda end: self._pass_ended(key, end))

    def _pass_ended(self, key: Key, end: object) -> None:
        if isinstance(end, LeaseLostError):
            self.die()
            return
        if isinstance(end, TransientError):
            self.queue.failed(key, self.clockwork.time)
        else:
            assert end is None or isinstance(end, int | float)
            self.queue.done(key, self.clockwork.time, end)
        self._wake()

    def _poll(self, seconds: float) -> None:
        if self.alive:
            self.run(self.reconciler.poll(), self._noticed)
            self.clockwork.after(seconds, lambda: self._poll(seconds))

    def _orphans(self) -> None:
        if self.alive:
            self.run(self.reconciler.find_orphans(), self._noticed)
            self.clockwork.after(ORPHANS_SECONDS, self._orphans)

    def _noticed(self, end: object) -> None:
        if isinstance(end, LeaseLostError):
            self.die()
        for key in sorted(end) if isinstance(end, set) else ():
            self.notice(key)

    def _resync(self) -> None:
        if self.alive:
            for kind in WATCHED:
                self._list(kind, 0)
            self.clockwork.after(RESYNC_SECONDS, self._resync)

    def _relist(self, kind: Kind) -> None:
        if self.alive:
            self.deaf.discard(kind)
            self._list(kind, 0)

    def _list(self, kind: Kind, lag: int) -> None:
        """Take in a list as of `lag` versions ago, and the changes since as a watch from there would bring them."""
        version = max(self.world.version - lag, 0)
        self.streams[kind] += 1
        for key in sorted(self.seen.replace(kind, self.world.listed_at(kind, version), version)):
            self.notice(key)
        for change in self.world.history[kind]:
            if change.version > version:
                self._watch(change)

    def _watch(self, change: Change) -> None:
        """Deliver a change after a while: in order within a kind, in any order between kinds."""
        if change.kind in self.deaf:
            return
        at = self.clockwork.time + self.clockwork.draw("watch") ** 4 * 10
        at = max(at, self.delivered.get(change.kind, 0.0))
        self.delivered[change.kind] = at
        stream = self.streams[change.kind]
        self.clockwork.after(at - self.clockwork.time, lambda: self._deliver(change, stream))

    def _deliver(self, change: Change, stream: int) -> None:
        if not self.alive or change.kind in self.deaf or stream != self.streams[change.kind]:
            return
        meta = change.raw["metadata"]
        if change.gone:
            self.notice(self.seen.forget(change.kind, (meta["namespace"], meta["name"]), change.version))
        else:
            self.notice(self.seen.see(change.kind, change.raw))
