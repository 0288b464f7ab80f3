"""The process around the passes: what it takes in, in which order it stops, what it says of its health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import kopf
import pytest

from backsweep_api.conditions import Phase
from backsweep_api.errors import InvariantError
from backsweep_api.status import Condition, Run, SweepStatus
from backsweep_operator import runtime as runtimes
from backsweep_operator.errors import CallRefusedError, LeaseLostError, UnavailableError
from backsweep_operator.kinds import RESOURCES, WATCHED
from backsweep_operator.leases import LeaseFence, LeaseKeeper, Place
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import Kind
from backsweep_operator.observe import Key, Seen
from backsweep_operator.probes import Health, serve_probes
from backsweep_operator.reconcile import Reconciler
from backsweep_operator.runtime import Parts, Runtime
from backsweep_operator.settings import read_settings
from backsweep_operator.watches import Intake, Resync, kopf_settings

GIVEN = {
    "BACKSWEEP_NAMESPACE": "backsweep",
    "BACKSWEEP_WATCH_NAMESPACES": "team",
    "BACKSWEEP_IMAGE": "backsweep:1",
    "PREFECT_API_URL": "http://prefect:4200/api",
    "BACKSWEEP_LEASE_SECONDS": "3",
}
SPEC = {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"], "lookback": [126]}}


def raw(name: str, version: int, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version), "generation": 1}
    kind = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep"}
    return {**kind, "metadata": {**meta, **more}, "spec": SPEC}


@dataclass
class Cluster:
    """The API server: its lists, its Lease."""

    sweeps: list[dict[str, Any]] = field(default_factory=list)
    version: int = 10
    missing: list[str] = field(default_factory=list)
    lease: dict[str, Any] | None = None
    failures: int = 0

    async def pages(self, kind: Kind, namespace: str) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("no answer")
        yield (self.sweeps if kind is Kind.SWEEP else []), self.version

    async def missing_kinds(self) -> list[str]:
        return self.missing

    async def read_lease(self, namespace: str, name: str) -> Any:
        return self.lease

    async def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Any:
        self.lease = {**lease, "metadata": {**lease["metadata"], "uid": "u", "resourceVersion": "1"}}
        return self.lease


class NoFlows:
    """A Prefect in which nothing runs."""

    async def open_flow_runs(self) -> list[Any]:
        return []


@dataclass
class House:
    """A runtime over modelled parts; `passes` has the sweeps it looked at, `work` does each pass."""

    cluster: Cluster
    work: Callable[[Key], Coroutine[Any, Any, float | None]]
    time: float = 0.0
    passes: list[Key] = field(default_factory=list)
    runtime: Runtime = field(init=False)
    intake: Intake | None = None

    def __post_init__(self) -> None:
        settings = read_settings(GIVEN, "me")
        clock, fence = runtimes.WallClock(), LeaseFence(settings.lease_seconds, self.now)
        place = Place("backsweep", "operator", "me", settings.lease_seconds)
        self.fence = fence
        parts = Parts(
            settings=settings,
            kube=self.cluster,  # type: ignore[arg-type]
            prefect=NoFlows(),  # type: ignore[arg-type]
            fence=fence,
            lease=LeaseKeeper(self.cluster, place, fence, clock, self.now),
            metrics=OperatorMetrics(),
            elapsed=self.now,
            watching=self.watch,
        )
        self.runtime = Runtime(parts)
        self.runtime._reconciler.reconcile = self.reconcile  # type: ignore[method-assign]

    def now(self) -> float:
        return self.time

    async def watch(self, intake: Intake) -> None:
        self.intake = intake
        await asyncio.Event().wait()

    async def reconcile(self, key: Key) -> float | None:
        self.passes.append(key)
        return await self.work(key)


async def nothing(_: Key) -> float | None:
    return None


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture
def slotted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test put a pass of its own into the reconciler."""
    monkeypatch.setattr(runtimes, "Reconciler", type("Reconciler", (Reconciler,), {}))


pytestmark = pytest.mark.usefixtures("slotted")


def test_every_sweep_is_looked_at_once_everything_was_listed_and_then_whatever_a_watch_tells_of() -> None:
    house = House(Cluster([raw("a", 3), raw("b", 4)]), nothing)

    async def live() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(house.runtime.run(stop))
        await until(lambda: len(house.passes) == 2)
        assert house.intake is not None
        house.intake.event(Kind.SWEEP, {"type": None, "object": raw("a", 3)})
        house.intake.event(Kind.SWEEP, {"type": "ADDED", "object": raw("c", 11)})
        house.intake.event(Kind.SWEEP, {"type": "DELETED", "object": raw("b", 12)})
        await until(lambda: len(house.passes) == 4)
        assert (house.runtime.dead(), house.runtime.unready()) == ([], [])
        stop.set()
        await running

    asyncio.run(live())
    assert sorted(house.passes[:2]) == [("team", "a"), ("team", "b")]
    assert sorted(house.passes[2:]) == [("team", "b"), ("team", "c")]
    assert house.cluster.lease is not None
    assert house.cluster.lease["spec"]["holderIdentity"] == ""
    assert not house.fence.held


def test_a_place_that_is_given_back_is_offered_to_the_sweep_that_has_waited_longest() -> None:
    def at(name: str, version: int, phase: Phase | None, second: int = 0) -> dict[str, Any]:
        run = None if phase is None else Run(spec_digest="ab", attempt=1, phase=phase, started_at=1, run_started_at=1)
        waits = Condition.model_validate(
            {
                "type": "Complete",
                "status": "False",
                "reason": "Queued",
                "lastTransitionTime": "",
                "observedGeneration": 1,
            }
        )
        status = SweepStatus(run=run, conditions=() if run else (waits,)).plain()
        return {**raw(name, version, creationTimestamp=f"2026-11-28T10:00:0{second}Z"), "status": status}

    listed = [at("works", 3, Phase.ACTIVE), at("late", 4, None, 2), at("first", 5, None, 1)]
    house = House(Cluster(listed), nothing)

    async def live() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(house.runtime.run(stop))
        await until(lambda: len(house.passes) == 3)
        assert house.intake is not None
        house.intake.event(Kind.SWEEP, {"type": "MODIFIED", "object": at("works", 11, Phase.STOPPED)})
        await until(lambda: len(house.passes) == 5)
        stop.set()
        await running

    asyncio.run(live())
    assert house.passes[3:] == [("team", "works"), ("team", "first")]


def test_what_was_begun_is_finished_before_the_end_and_nothing_new_is_begun() -> None:
    finished: list[Key] = []

    async def slow(key: Key) -> float | None:
        await asyncio.sleep(0.2)
        finished.append(key)
        return 0.0  # at once again

    house = House(Cluster([raw("a", 3)]), slow)

    async def live() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(house.runtime.run(stop))
        await until(lambda: house.passes != [])
        stop.set()
        assert house.runtime.unready() != ["stopping"]
        await running
        assert house.runtime.unready() == ["stopping"]

    asyncio.run(live())
    assert finished == house.passes == [("team", "a")]


def test_a_sweep_that_fails_holds_up_no_other_and_a_bug_is_its_own() -> None:
    errors = {"bug": InvariantError("impossible"), "broken": KeyError("x"), "refused": CallRefusedError("quota")}

    async def some_fail(key: Key) -> float | None:
        if key[1] in errors:
            raise errors[key[1]]
        return None

    names = [*errors, "fine"]
    house = House(Cluster([raw(name, 3) for name in names]), some_fail)

    async def live() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(house.runtime.run(stop))
        await until(lambda: len(house.passes) == len(names))
        await asyncio.sleep(0.05)
        stop.set()
        await running

    asyncio.run(live())
    assert sorted(key[1] for key in house.passes) == sorted(names)
    ends = house.runtime._parts.metrics.passes.values
    assert ends == {("done",): 1, ("InvariantError",): 2, ("CallRefused",): 1}


def test_a_lost_lease_ends_the_process_from_within_a_pass() -> None:
    async def fenced(_: Key) -> float | None:
        raise LeaseLostError("another process leads")

    with pytest.raises(LeaseLostError):
        asyncio.run(House(Cluster([raw("a", 3)]), fenced).runtime.run(asyncio.Event()))


def test_watches_that_end_end_the_process() -> None:
    house = House(Cluster(), nothing)

    async def broken(_: Intake) -> None:
        raise kopf.LoginError("no credentials")

    house.runtime._parts.watching = broken
    with pytest.raises(kopf.LoginError):
        asyncio.run(house.runtime.run(asyncio.Event()))


def test_without_a_definition_or_a_list_it_waits_and_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "SLOW_START_SECONDS", 0.02)
    house = House(Cluster([raw("a", 3)], missing=["rayclusters.ray.io/v1"]), nothing)

    async def live() -> None:
        stop = asyncio.Event()
        assert house.runtime.unready() == ["the lease was not looked at yet"]
        running = asyncio.create_task(house.runtime.run(stop))
        wanted = ["the API server does not serve rayclusters.ray.io/v1; install its definition"]
        await until(lambda: house.runtime.unready() == wanted)
        assert house.passes == []
        house.cluster.missing, house.cluster.failures = [], 1
        await until(lambda: house.runtime.unready() == ["not everything could be listed: no answer"])
        await until(lambda: house.passes != [])
        stop.set()
        await running

    asyncio.run(live())


def test_a_watch_that_does_not_tell_what_a_list_shows_is_deaf_after_a_minute() -> None:
    cluster, seen = Cluster([raw("a", 20)]), Seen()
    told: list[Key] = []
    now = [0.0]
    intake = Intake(seen, told.append, OperatorMetrics(), lambda: now[0])
    resync = Resync(cluster, intake, ("team",), lambda: now[0])  # type: ignore[arg-type]
    asyncio.run(resync.one(Kind.SWEEP))
    now[0] = 59.0
    assert resync.deaf() == []
    now[0] = 61.0
    assert resync.deaf() == ["backtestsweeps in team"]
    asyncio.run(resync.one(Kind.SWEEP))
    assert resync.deaf() == ["backtestsweeps in team"]
    intake.event(Kind.SWEEP, {"type": "MODIFIED", "object": raw("a", 21)})
    assert resync.deaf() == []


def test_a_list_finds_what_no_watch_told_of_and_has_only_that_looked_at() -> None:
    cluster, seen = Cluster([raw("a", 3), raw("b", 4)]), Seen()
    told: list[Key] = []
    intake = Intake(seen, told.append, OperatorMetrics(), lambda: 0.0)
    resync = Resync(cluster, intake, ("team",), lambda: 0.0)  # type: ignore[arg-type]
    assert asyncio.run(resync.one(Kind.SWEEP)) == 2
    told.clear()
    cluster.sweeps, cluster.version = [raw("b", 4), raw("c", 12)], 13
    assert asyncio.run(resync.one(Kind.SWEEP)) == 2
    assert told == [("team", "a"), ("team", "c")]
    assert asyncio.run(resync.one(Kind.SWEEP)) == 0


def test_kopf_writes_nothing_and_watches_what_is_ours() -> None:
    settings = kopf_settings()
    assert (settings.posting.enabled, settings.scanning.disabled) == (False, True)
    assert settings.queueing.worker_limit is None
    assert settings.networking.request_timeout is not None
    assert len(settings.watching.label_selectors) == sum(1 for each in RESOURCES.values() if each.selector)
    assert WATCHED[-1] is Kind.SWEEP


def test_probes_say_why_and_metrics_are_served() -> None:
    dead: list[str] = []
    unready = ["not yet"]

    async def ask() -> list[tuple[int, str]]:
        runner = await serve_probes(Health(lambda: dead, lambda: unready), OperatorMetrics(), "127.0.0.1", 0)
        port = runner.addresses[0][1]
        answers = []
        async with aiohttp.ClientSession() as session:
            for path in ("healthz", "readyz", "metrics"):
                async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    answers.append((answer.status, await answer.text()))
        await runner.cleanup()
        return answers

    alive, ready, metrics = asyncio.run(ask())
    assert (alive, ready) == ((200, "ok\n"), (503, "not yet\n"))
    assert "backsweep_leading 0" in metrics[1]
    dead.append("the lease is lost")
    assert asyncio.run(ask())[:2] == [(503, "the lease is lost\n"), (503, "the lease is lost\nnot yet\n")]
