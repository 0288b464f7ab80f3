"""Prefect's REST API: work pool, deployment, flow runs by idempotency key, progress of many in one request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from backsweep_api.names import AttemptName
from backsweep_api.progress import progress_key, read_progress
from backsweep_operator.calls import Answer, Call, Caller, pages
from backsweep_operator.errors import CallRefusedError, DeploymentGoneError, UnavailableError
from backsweep_operator.model import EnsureDeployment, FlowRunRequest, FlowRunView, FlowState, Progress
from backsweep_operator.ports import NOTHING_KNOWN

__all__ = ["PrefectApi"]

POOL_TYPE = "kubernetes"
PAGE = 200  # the most Prefect gives at once
TAG = "backsweep"
REFERENCE_KEY = "__prefect_kind"
OPEN = tuple(str(state) for state in FlowState if not state.terminal)


class PrefectApi:
    """The port `Prefect` over a real server.

    Parameters
    ----------
    flow : name of the flow that is ours.
    namespaces : those we serve; an open flow run of another namespace is another release's.
    """

    def __init__(self, caller: Caller, flow: str, namespaces: frozenset[str]) -> None:
        self._caller = caller
        self._flow = flow
        self._namespaces = namespaces
        self._deployments: dict[str, str] = {}

    async def ensure_deployment(self, wanted: EnsureDeployment) -> None:
        """Create or update work pool, flow and deployment; each is left alone where it is as wanted.

        Raises
        ------
        CallRefusedError
            If there is a work pool of that name for another kind of infrastructure.
        """
        await self._ensure_pool(wanted.work_pool, wanted.base_job_template)
        flow = await self._post("ensure flow", "/flows/", {"name": wanted.flow}, again=True)
        body = {
            "name": f"{wanted.deployment}-{wanted.work_pool}",
            "flow_id": flow["id"],
            "work_pool_name": wanted.work_pool,
            "entrypoint": wanted.entrypoint,
            "path": None,
            "pull_steps": [],
            "enforce_parameter_schema": False,
            "tags": [TAG],
        }
        made = await self._post("ensure deployment", "/deployments/", body, again=True)
        self._deployments[wanted.work_pool] = made["id"]

    async def create_flow_run(self, request: FlowRunRequest, *, cancelled: bool) -> FlowRunView:
        """Create the flow run under the attempt's idempotency key, or return the one that has it.

        Raises
        ------
        CallRefusedError
            If a parameter would be read by Prefect as a reference to something of the server's own.
        DeploymentGoneError
            If the deployment was not ensured by this process, or is gone.
        """
        pool, attempt = request.work_pool, request.attempt
        if _refers(request.parameters):
            raise CallRefusedError(f"a key {REFERENCE_KEY} in a sweep is not for Prefect to follow; rename it")
        if pool not in self._deployments:
            raise DeploymentGoneError(f"the deployment of work pool {pool} was not ensured by this process")
        state = {"type": "CANCELLED", "name": "Cancelled", "message": "stopped before it was begun"}
        body = {
            "name": attempt.flow_run,
            "parameters": dict(request.parameters),
            "job_variables": dict(request.job_variables),
            "idempotency_key": attempt.idempotency_key,
            "enforce_parameter_schema": False,
            "tags": [TAG],
            **({"state": state} if cancelled else {}),
        }
        path = f"/deployments/{self._deployments[pool]}/create_flow_run"
        answer = await self._caller.call(
            Call("create flow run", "POST", path, attempt.flow_run, body=body, writes=True, again=True, accept=(404,))
        )
        if answer.status == 404:
            del self._deployments[pool]
            raise DeploymentGoneError(f"the deployment of work pool {pool} is gone from Prefect")
        view = _view(_object(answer))
        if view is None:
            raise UnavailableError(f"Prefect gave another flow run than {attempt.flow_run}")
        return view

    async def cancel_flow_run(self, flow_run_id: str) -> None:
        """Force the state CANCELLED; one that has ended or is not there is success.

        Forced, since a worker that is gone would never end one that is being cancelled; so it is read first: a run
        that has ended keeps the state it ended in.
        """
        path = f"/flow_runs/{quote(flow_run_id)}"
        answer = await self._caller.call(Call("read flow run", "GET", path, flow_run_id, accept=(404, 422), again=True))
        if not answer.ok or FlowState(_object(answer)["state_type"] or "SCHEDULED").terminal:
            return
        state = {"type": "CANCELLED", "name": "Cancelled", "message": "stopped by Backsweep"}
        body = {"state": state, "force": True}
        await self._caller.call(
            Call("cancel flow run", "POST", f"{path}/set_state", flow_run_id, body=body, writes=True, accept=(404,))
        )

    async def flow_runs(
        self, attempts: Sequence[AttemptName], known: Mapping[AttemptName, FlowRunView] = NOTHING_KNOWN
    ) -> list[FlowRunView]:
        """Return the flow runs of these attempts with their progress; of each 200 side by side.

        Of those that are `known` Prefect gives what has another type of state, and how many there are: a flow run
        carries its sweep's whole document.
        """
        ordered = sorted(attempts)
        reads = [self._whole_page(page) for page in pages([each for each in ordered if each not in known], PAGE)]
        views = [known[each] for each in ordered if each in known]
        for state in FlowState:
            reads += [self._known_page(page, state) for page in pages([v for v in views if v.state is state], PAGE)]
        return [view for page in await asyncio.gather(*reads) for view in page]

    async def open_flow_runs(self) -> list[FlowRunView]:
        """Return every flow run of the namespaces we serve that has not ended; without progress."""
        found: dict[str, FlowRunView] = {}
        offset = 0
        while True:
            body = {
                "flows": {"name": {"any_": [self._flow]}},
                "flow_runs": {"state": {"type": {"any_": list(OPEN)}}},
                "sort": "ID_DESC",
                "limit": PAGE,
                "offset": offset,
            }
            runs = _list(await self._read("list open flow runs", "/flow_runs/filter", body))
            for run in runs:
                view = _view(run)
                if view is not None and view.attempt.namespace in self._namespaces:
                    found[view.id] = view
            if len(runs) < PAGE:
                return list(found.values())
            offset += len(runs)

    async def _whole_page(self, attempts: Sequence[AttemptName]) -> list[FlowRunView]:
        """Read the flow runs of up to 200 attempts, and their progress."""
        runs, told = await asyncio.gather(self._runs(_of(attempts)), self._progress(attempts))
        return _with_progress(_views(runs, attempts), told)

    async def _known_page(self, known: Sequence[FlowRunView], state: FlowState) -> list[FlowRunView]:
        """Read what has changed of up to 200 flow runs that were in this state, and their progress."""
        attempts = [view.attempt for view in known]
        others = {**_of(attempts), "state": {"type": {"not_any_": [str(state)]}}}
        counting = self._read("count flow runs", "/flow_runs/count", {"flow_runs": _of(attempts)})
        runs, count, told = await asyncio.gather(self._runs(others), counting, self._progress(attempts))
        if count.body != len(attempts):  # some are gone
            return await self._whole_page(attempts)
        return _with_progress({view.attempt: view for view in known} | _views(runs, attempts), told)

    async def _runs(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        return _list(await self._read("read flow runs", "/flow_runs/filter", {"flow_runs": wanted, "limit": PAGE}))

    async def _progress(self, attempts: Sequence[AttemptName]) -> dict[str, Any]:
        """Return the data of the attempts' artifacts of progress, by their keys."""
        wanted = {"artifacts": {"key": {"any_": [progress_key(each) for each in attempts]}}, "limit": PAGE}
        found = _list(await self._read("read progress", "/artifacts/latest/filter", wanted))
        return {each["key"]: each.get("data") for each in found}

    async def _ensure_pool(self, name: str, template: Mapping[str, Any]) -> None:
        """Create the pool; one that is there, made by us or by its worker, is brought to our template."""
        body = {"name": name, "type": POOL_TYPE, "base_job_template": dict(template)}
        created = await self._caller.call(
            Call("ensure work pool", "POST", "/work_pools/", name, body=body, writes=True, again=True, accept=(409,))
        )
        if created.ok:
            return
        path = f"/work_pools/{quote(name)}"
        found = _object(await self._caller.call(Call("read work pool", "GET", path, name, again=True)))
        if found["type"] != POOL_TYPE:
            raise CallRefusedError(
                f"work pool {name} is of type {found['type']}; sweeps need one of type {POOL_TYPE}: name another"
            )
        if found.get("base_job_template") != template:
            update = {"base_job_template": dict(template)}
            await self._caller.call(Call("update work pool", "PATCH", path, name, body=update, writes=True, again=True))

    async def _post(self, name: str, path: str, body: Any, *, again: bool) -> dict[str, Any]:
        return _object(await self._caller.call(Call(name, "POST", path, body=body, writes=True, again=again)))

    async def _read(self, name: str, path: str, body: Any) -> Answer:
        return await self._caller.call(Call(name, "POST", path, body=body, again=True))


def _of(attempts: Sequence[AttemptName]) -> dict[str, Any]:
    """Return the filter for the flow runs of these attempts."""
    return {"idempotency_key": {"any_": [attempt.idempotency_key for attempt in attempts]}}


def _views(runs: Iterable[Mapping[str, Any]], attempts: Iterable[AttemptName]) -> dict[AttemptName, FlowRunView]:
    """Return the flow runs of these attempts; whatever else Prefect gave is not ours."""
    asked = set(attempts)
    views = (_view(run) for run in runs)
    return {view.attempt: view for view in views if view is not None and view.attempt in asked}


def _with_progress(views: Mapping[AttemptName, FlowRunView], told: Mapping[str, Any]) -> list[FlowRunView]:
    return [replace(view, progress=_progress_of(attempt, told)) for attempt, view in views.items()]


def _progress_of(attempt: AttemptName, told: Mapping[str, Any]) -> Progress | None:
    found = read_progress(told.get(progress_key(attempt)))
    return None if found is None else Progress(found.trials, found.last_block_at, found.cluster_needed)


def _view(run: Mapping[str, Any]) -> FlowRunView | None:
    """Return the view of a flow run, without progress; None if it is not one of ours."""
    attempt = AttemptName.from_key(run.get("idempotency_key") or "")
    if attempt is None:
        return None
    state = run.get("state") or {}
    return FlowRunView(
        attempt=attempt,
        id=run["id"],
        state=FlowState(run.get("state_type") or state.get("type") or "SCHEDULED"),
        state_since=_instant(state.get("timestamp") or run.get("created")),
        message=(state.get("message") or "")[:500],
    )


def _refers(value: Any) -> bool:
    """Whether a value has a key by which Prefect would fill in variables or templates of the server's own."""
    if isinstance(value, Mapping):
        return REFERENCE_KEY in value or any(_refers(each) for each in value.values())
    return isinstance(value, list | tuple) and any(_refers(each) for each in value)


def _instant(text: str | None) -> float:
    """Return the seconds since 1970 of a time as Prefect writes it; 0 for none."""
    return 0.0 if text is None else datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _object(answer: Answer) -> dict[str, Any]:
    if not isinstance(answer.body, dict):
        raise UnavailableError(f"Prefect answers {answer.status} without an object: {answer.message}")
    return answer.body


def _list(answer: Answer) -> list[dict[str, Any]]:
    if not isinstance(answer.body, list):
        raise UnavailableError(f"Prefect answers {answer.status} without a list: {answer.message}")
    return answer.body
