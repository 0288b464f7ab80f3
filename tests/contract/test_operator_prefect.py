"""The operator's side of Prefect against a real server: everything twice is once, and what has ended stays so."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from backsweep.orchestration.server import Endpoint
from backsweep_api.names import AttemptName
from backsweep_api.progress import PROGRESS_TYPE, FlowProgress, progress_key
from backsweep_api.status import TrialCounts
from backsweep_operator import prefect_api
from backsweep_operator.build import base_job_template, deployment
from backsweep_operator.calls import Caller, Server
from backsweep_operator.errors import CallRefusedError, LeaseLostError, UnavailableError
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import FlowRunRequest, FlowState, Progress, Release
from backsweep_operator.ports import Fence
from backsweep_operator.prefect_api import PrefectApi

RELEASE = Release(image="backsweep:1")
POOL = RELEASE.work_pool


class Held:
    def check(self) -> None:
        pass


class Lost:
    def check(self) -> None:
        raise LeaseLostError("another process leads")


@dataclass(frozen=True)
class RealPrefect:
    """The server, as the operator meets it, and as a flow or a person does."""

    endpoint: Endpoint

    def use(self, work: Callable[[PrefectApi], Awaitable[Any]], fence: Fence | None = None) -> Any:
        async def run() -> Any:
            caller = Caller(self.address(fence or Held()))
            try:
                return await work(PrefectApi(caller, RELEASE.flow, frozenset({"team"})))
            finally:
                await caller.close()

        return asyncio.run(run())

    def address(self, fence: Fence) -> Server:
        secret = base64.b64encode((self.endpoint.auth or "").encode()).decode()
        headers = {"Authorization": f"Basic {secret}"}
        return Server(
            who="Prefect",
            url=self.endpoint.api_url,
            headers=lambda _: headers,
            ssl_context=None,
            metrics=OperatorMetrics(),
            jitter=random.Random(7).random,
            fence=fence,
            at_once=4,
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"{self.endpoint.api_url}{path}", method=method)
        request.add_header("Authorization", self.address(Held()).headers(False)["Authorization"])
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=20) as response:
            return json.loads(response.read() or b"null")


@pytest.fixture(scope="module")
def prefect(endpoint: Endpoint) -> RealPrefect:
    return RealPrefect(endpoint)


def attempt_of(name: str, number: int = 1, namespace: str = "team") -> AttemptName:
    return AttemptName.of((namespace, name, f"uid-{name}"), "ab" * 32, number)


def request_of(attempt: AttemptName, **parameters: Any) -> FlowRunRequest:
    variables = {"name": attempt.child, "labels": attempt.labels, "cpu": "1", "env": {}}
    return FlowRunRequest(attempt, POOL, parameters, variables)


def creating(attempt: AttemptName, *, cancelled: bool = False) -> Callable[[PrefectApi], Awaitable[Any]]:
    return lambda api: begun(api, attempt, cancelled=cancelled)


async def begun(api: PrefectApi, attempt: AttemptName, *, cancelled: bool = False) -> Any:
    await api.ensure_deployment(deployment(POOL, RELEASE))
    return await api.create_flow_run(request_of(attempt, document={"a": 1}), cancelled=cancelled)


def test_a_deployment_is_ensured_again_and_again_and_its_template_is_kept_as_ours(prefect: RealPrefect) -> None:
    async def twice(api: PrefectApi) -> None:
        await api.ensure_deployment(deployment(POOL, RELEASE))
        prefect.ask("PATCH", f"/work_pools/{POOL}", {"base_job_template": {}})
        await api.ensure_deployment(deployment(POOL, RELEASE))

    prefect.use(twice)
    pool = prefect.ask("GET", f"/work_pools/{POOL}")
    assert (pool["type"], pool["base_job_template"]) == ("kubernetes", base_job_template(RELEASE))
    found = prefect.ask("POST", "/deployments/filter", {})
    assert [(each["name"], each["entrypoint"], each["pull_steps"]) for each in found] == [
        ("sweep-backsweep", RELEASE.entrypoint, [])
    ]


def test_a_pool_of_another_kind_is_refused_and_left_alone(prefect: RealPrefect) -> None:
    prefect.ask("POST", "/work_pools/", {"name": "laptops", "type": "process"})
    with pytest.raises(CallRefusedError, match="work pool laptops is of type process; sweeps need one of type kuber"):
        prefect.use(lambda api: api.ensure_deployment(deployment("laptops", RELEASE)))


def test_creating_twice_is_once_and_a_new_attempt_is_another(prefect: RealPrefect) -> None:
    first, second = attempt_of("twice"), attempt_of("twice", 2)
    views = [prefect.use(creating(at)) for at in (first, first, second)]
    assert views[0] == views[1]
    assert (views[0].state, views[0].attempt) == (FlowState.SCHEDULED, first)
    assert views[2].id != views[0].id
    run = prefect.ask("GET", f"/flow_runs/{views[0].id}")
    assert (run["parameters"], run["job_variables"]["name"]) == ({"document": {"a": 1}}, first.child)


def test_one_created_as_cancelled_never_runs_and_bars_the_key(prefect: RealPrefect) -> None:
    attempt = attempt_of("barred")
    assert prefect.use(lambda api: begun(api, attempt, cancelled=True)).state is FlowState.CANCELLED
    assert prefect.use(lambda api: begun(api, attempt)).state is FlowState.CANCELLED


def test_cancelling_is_final_harmless_twice_and_leaves_what_has_ended(prefect: RealPrefect) -> None:
    running, over = (prefect.use(creating(attempt_of(at))) for at in ("running", "over"))
    for view, state in ((running, "RUNNING"), (over, "COMPLETED")):
        prefect.ask("POST", f"/flow_runs/{view.id}/set_state", {"state": {"type": state}, "force": True})
    for identity in (running.id, running.id, over.id, "00000000-0000-0000-0000-000000000000", "no-identity"):
        prefect.use(partial(PrefectApi.cancel_flow_run, flow_run_id=identity))
    states = prefect.use(lambda api: api.flow_runs([running.attempt, over.attempt]))
    assert {view.attempt.sweep: view.state for view in states} == {
        "running": FlowState.CANCELLED,
        "over": FlowState.COMPLETED,
    }


def test_flow_runs_come_with_the_latest_progress_and_others_are_not_asked_for(prefect: RealPrefect) -> None:
    telling, silent = (prefect.use(creating(attempt_of(at))) for at in ("telling", "silent"))
    for done in (1, 7):
        told = FlowProgress(trials=TrialCounts(total=9, done=done), last_block_at=12.5, cluster_needed=False)
        artifact = {"key": progress_key(telling.attempt), "type": PROGRESS_TYPE, "flow_run_id": telling.id}
        prefect.ask("POST", "/artifacts/", {**artifact, "data": told.text()})
    views = prefect.use(lambda api: api.flow_runs([telling.attempt, silent.attempt, attempt_of("nowhere")]))
    assert {view.attempt.sweep: view.progress for view in views} == {
        "telling": Progress(TrialCounts(total=9, done=7), 12.5, cluster_needed=False),
        "silent": None,
    }


def test_more_flow_runs_than_fit_a_page_are_all_read(prefect: RealPrefect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_api, "PAGE", 3)
    attempts = [attempt_of(f"many-{number}") for number in range(7)]

    async def make(api: PrefectApi) -> list[Any]:
        await api.ensure_deployment(deployment(POOL, RELEASE))
        for each in attempts:  # at once, its SQLite may be locked for too long on a busy machine
            await api.create_flow_run(request_of(each), cancelled=False)
        return await api.flow_runs(attempts)

    assert sorted(view.attempt for view in prefect.use(make)) == sorted(attempts)
    stranger = prefect.use(lambda api: begun(api, attempt_of("stranger", namespace="elsewhere")))
    still_open = prefect.use(lambda api: api.open_flow_runs())
    assert {view.attempt for view in still_open} >= set(attempts)
    assert stranger.attempt not in {view.attempt for view in still_open}
    assert all(not view.state.terminal for view in still_open)


def test_of_what_is_known_only_what_is_in_another_state_or_gone_is_read_again(prefect: RealPrefect) -> None:
    names = ("same", "other", "gone")
    same, other, gone = (prefect.use(creating(attempt_of(at))) for at in names)
    known = {view.attempt: replace(view, message="as it was known") for view in (same, other, gone)}
    read = partial(PrefectApi.flow_runs, attempts=[attempt_of(at) for at in (*names, "new")], known=known)
    assert sorted(prefect.use(read), key=lambda view: view.attempt) == sorted(
        known.values(), key=lambda view: view.attempt
    )

    prefect.use(creating(attempt_of("new")))
    prefect.ask("POST", f"/flow_runs/{other.id}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    told = FlowProgress(trials=TrialCounts(total=9, done=3), last_block_at=12.5, cluster_needed=True)
    artifact = {"key": progress_key(same.attempt), "type": PROGRESS_TYPE, "flow_run_id": same.id}
    prefect.ask("POST", "/artifacts/", {**artifact, "data": told.text()})
    views = {view.attempt.sweep: (view.state, view.message, view.progress) for view in prefect.use(read)}
    progress = Progress(told.trials, 12.5, cluster_needed=True)
    assert views == {
        "same": (FlowState.SCHEDULED, "as it was known", progress),
        "other": (FlowState.RUNNING, "", None),
        "gone": (FlowState.SCHEDULED, "as it was known", None),
        "new": (FlowState.SCHEDULED, "", None),
    }

    prefect.ask("DELETE", f"/flow_runs/{gone.id}")
    assert sorted((view.attempt.sweep, view.message) for view in prefect.use(read)) == [
        ("new", ""),
        ("other", ""),
        ("same", ""),
    ]


def test_a_deployment_that_is_gone_is_told_and_ensured_anew(prefect: RealPrefect) -> None:
    async def removed(api: PrefectApi) -> None:
        await api.ensure_deployment(deployment(POOL, RELEASE))
        for each in prefect.ask("POST", "/deployments/filter", {}):
            prefect.ask("DELETE", f"/deployments/{each['id']}")
        for _ in range(2):
            with pytest.raises(UnavailableError, match=r"deployment of work pool backsweep (is gone|was not ensured)"):
                await api.create_flow_run(request_of(attempt_of("lost")), cancelled=False)
        assert (await begun(api, attempt_of("lost"))).state is FlowState.SCHEDULED

    prefect.use(removed)


def test_a_document_cannot_make_prefect_fill_in_its_own_variables(prefect: RealPrefect) -> None:
    trick = {"document": {"axes": [{"__prefect_kind": "workspace_variable", "variable_name": "secret"}]}}
    with pytest.raises(CallRefusedError, match="__prefect_kind"):
        prefect.use(lambda api: api.create_flow_run(request_of(attempt_of("trick"), **trick), cancelled=False))


def test_without_the_lease_nothing_is_written_but_reading_goes_on(prefect: RealPrefect) -> None:
    with pytest.raises(LeaseLostError):
        prefect.use(lambda api: begun(api, attempt_of("fenced")), Lost())
    assert prefect.use(lambda api: api.flow_runs([attempt_of("fenced")]), Lost()) == []


def test_wrong_credentials_are_a_refusal_in_a_sentence_without_them(prefect: RealPrefect) -> None:
    other = RealPrefect(Endpoint(prefect.endpoint.api_url, "someone:wrong", None))
    with pytest.raises(CallRefusedError, match="Prefect answers 401 to read ") as refused:
        other.use(lambda api: api.flow_runs([attempt_of("any")]))
    assert "wrong" not in str(refused.value)
