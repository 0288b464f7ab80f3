"""The operator's calls to the API server, seen from a server that answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from backsweep_api.errors import TransientError
from backsweep_operator import calls
from backsweep_operator.calls import Caller, Server
from backsweep_operator.errors import CallRefusedError, LeaseLostError, UnavailableError, WriteConflictError
from backsweep_operator.kinds import trimmed
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import EmitEvent, Kind, Reference

SWEEP = Reference(Kind.SWEEP, "team", "one", "uid-1", "7")
CLUSTER = Reference(Kind.CLUSTER, "team", "one-1", "uid-2", "9")
SERVED = {"metadata": {"name": "one", "namespace": "team", "uid": "uid-1", "resourceVersion": "8"}}
REFUSED = {"kind": "Status", "message": "exceeded quota"}


@dataclass
class Told:
    """A request as it arrived."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Scripted:
    """Answers in their order, the last one again and again; an answer of None closes the connection."""

    answers: list[tuple[int, Any] | None]
    told: list[Told] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    checks: int = 0
    lost_after: int = 1_000

    async def answer(self, request: web.Request) -> web.Response:
        raw = await request.text()
        body = json.loads(raw) if raw else None
        self.told.append(Told(request.method, request.path, dict(request.query), dict(request.headers), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.json_response(answer[1], status=answer[0], headers=self.headers)

    def check(self) -> None:
        self.checks += 1
        if self.checks > self.lost_after:
            raise LeaseLostError("another process leads")

    def now(self) -> float:
        return 1_800_000_000.0

    def run(self, work: Callable[[KubeApi], Awaitable[Any]]) -> Any:
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[[KubeApi], Awaitable[Any]]) -> Any:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server = Server(
            who="Kubernetes",
            url=f"http://127.0.0.1:{port}",
            headers=lambda anew: {"Authorization": f"Bearer {'new' if anew else 'old'}"},
            ssl_context=None,
            metrics=OperatorMetrics(),
            jitter=lambda: 0.0,
            fence=self,
            call_seconds=0.5,
        )
        caller = Caller(server)
        try:
            return await work(KubeApi(caller, self))
        finally:
            await caller.close()
            await runner.cleanup()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT_SECONDS", 0.001)


def test_status_is_replaced_under_the_version_that_was_decided_on() -> None:
    server = Scripted([(200, SERVED)])
    assert server.run(lambda kube: kube.write_status(SWEEP, {"state": 1})) == SERVED
    (told,) = server.told
    assert (told.method, told.path) == (
        "PUT",
        "/apis/backsweep.dev/v1alpha1/namespaces/team/backtestsweeps/one/status",
    )
    assert told.parameters == {"fieldManager": "backsweep"}
    assert (told.body["metadata"]["uid"], told.body["metadata"]["resourceVersion"]) == ("uid-1", "7")
    assert "spec" not in told.body


def test_a_child_is_applied_on_the_servers_side_by_one_field_manager() -> None:
    server = Scripted([(201, SERVED)])
    manifest = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "c", "namespace": "team"}}
    server.run(lambda kube: kube.apply(manifest))
    (told,) = server.told
    assert (told.method, told.path) == ("PATCH", "/apis/ray.io/v1/namespaces/team/rayclusters/c")
    assert told.headers["Content-Type"] == "application/apply-patch+yaml"
    assert told.parameters == {"fieldManager": "backsweep", "force": "true"}


def test_a_deletion_names_uid_and_version_and_one_that_is_gone_is_success() -> None:
    server = Scripted([(404, {})])
    server.run(lambda kube: kube.delete(CLUSTER))
    (told,) = server.told
    assert told.body["preconditions"] == {"uid": "uid-2", "resourceVersion": "9"}
    assert told.body["propagationPolicy"] == "Foreground"


def test_the_same_event_again_has_the_same_name_and_is_no_error() -> None:
    server = Scripted([(201, {}), (409, {})])
    event = EmitEvent(SWEEP, "Warning", "CallRefused", "exceeded quota")

    async def twice(kube: KubeApi) -> None:
        await kube.record_event(event)
        await kube.record_event(event)

    server.run(twice)
    assert server.told[0].body == server.told[1].body
    assert server.told[0].body["involvedObject"]["apiVersion"] == "backsweep.dev/v1alpha1"


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ((409, REFUSED), WriteConflictError, "409"),
        ((404, REFUSED), WriteConflictError, "BacktestSweep team/one is gone"),
        ((403, REFUSED), CallRefusedError, "answers 403 to write status of BacktestSweep team/one: exceeded quota"),
        ((422, REFUSED), CallRefusedError, "exceeded quota"),
        ((500, REFUSED), UnavailableError, "500"),
        (None, UnavailableError, "Kubernetes gave no answer to write status of BacktestSweep team/one"),
    ],
)
def test_each_answer_to_a_write_is_one_kind_of_error_at_once(
    answer: tuple[int, Any] | None, error: type[TransientError], sentence: str
) -> None:
    server = Scripted([answer])
    with pytest.raises(error, match=sentence):
        server.run(lambda kube: kube.write_status(SWEEP, {}))
    # On a connection that is closed without a word the HTTP client itself repeats a PUT, within the same time.
    assert len(server.told) == (1 if answer is not None else 2)


def test_a_read_is_tried_again_within_bounds() -> None:
    server = Scripted([None, (503, {}), (200, SERVED)])
    assert server.run(lambda kube: kube.read(Kind.SWEEP, "team", "one")) == SERVED
    server = Scripted([(503, {})])
    with pytest.raises(UnavailableError):
        server.run(lambda kube: kube.read(Kind.SWEEP, "team", "one"))
    assert len(server.told) == calls.ATTEMPTS
    assert Scripted([(404, {})]).run(lambda kube: kube.read(Kind.SWEEP, "team", "one")) is None


def test_what_was_turned_away_for_load_is_sent_again_and_a_long_wait_is_the_queues() -> None:
    server = Scripted([(429, {}), (200, SERVED)])
    assert server.run(lambda kube: kube.write_status(SWEEP, {})) == SERVED
    server = Scripted([(429, {})], headers={"Retry-After": "30"})
    with pytest.raises(UnavailableError) as waits:
        server.run(lambda kube: kube.write_status(SWEEP, {}))
    assert (len(server.told), waits.value.retry_after_seconds) == (1, 30.0)


def test_an_old_token_is_read_anew_once() -> None:
    server = Scripted([(401, {}), (200, SERVED)])
    server.run(lambda kube: kube.write_status(SWEEP, {}))
    assert [told.headers["Authorization"] for told in server.told] == ["Bearer old", "Bearer new"]
    server = Scripted([(401, REFUSED)])
    with pytest.raises(CallRefusedError, match="401"):
        server.run(lambda kube: kube.write_status(SWEEP, {}))
    assert len(server.told) == 2


def test_a_lease_lost_between_two_attempts_of_a_write_stops_the_second() -> None:
    server = Scripted([(429, {})], lost_after=1)
    with pytest.raises(LeaseLostError):
        server.run(lambda kube: kube.write_status(SWEEP, {}))
    assert len(server.told) == 1


def test_a_server_that_hangs_is_given_up() -> None:
    class Hanging(Scripted):
        async def answer(self, request: web.Request) -> web.Response:
            await asyncio.sleep(2)
            return web.Response()

    with pytest.raises(UnavailableError, match="gave no answer"):
        Hanging([None]).run(lambda kube: kube.write_status(SWEEP, {}))


def test_a_list_is_read_page_by_page_and_one_that_grew_too_old_is_a_conflict() -> None:
    def page(name: str, token: str) -> dict[str, Any]:
        item = {"metadata": {"name": name, "namespace": "team", "managedFields": [1], "resourceVersion": "3"}}
        return {"metadata": {"resourceVersion": "12", "continue": token}, "items": [item]}

    async def names(kube: KubeApi) -> list[Any]:
        return [(raw, version) async for raws, version in kube.pages(Kind.JOB, "team") for raw in raws]

    server = Scripted([(200, page("a", "more")), (200, page("b", ""))])
    found = server.run(names)
    assert [(raw["metadata"]["name"], raw["kind"], version) for raw, version in found] == [
        ("a", "Job", 12),
        ("b", "Job", 12),
    ]
    assert "managedFields" not in found[0][0]["metadata"]
    assert server.told[0].parameters["labelSelector"] == "app.kubernetes.io/managed-by=backsweep"
    assert server.told[1].parameters["continue"] == "more"
    with pytest.raises(WriteConflictError, match="410"):
        Scripted([(200, page("a", "more")), (410, {})]).run(names)


def test_a_kind_that_is_not_served_is_named() -> None:
    listed = {"resources": [{"name": name} for name in ("pods", "serviceaccounts", "jobs", "networkpolicies")]}
    assert Scripted([(200, listed)]).run(lambda kube: kube.missing_kinds()) == [
        "backtestsweeps.backsweep.dev/v1alpha1",
        "rayclusters.ray.io/v1",
    ]


def test_of_an_object_only_what_is_read_is_kept() -> None:
    container = {"name": "ray", "image": "x", "resources": {"requests": {"cpu": "1"}}, "env": [1]}
    pod = {"metadata": {"name": "p", "managedFields": []}, "spec": {"containers": [container], "volumes": [1]}}
    assert trimmed(Kind.POD, pod) == {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}]},
    }
