"""Plays Prefect's worker for many flow runs at once: a Job with the labels of its attempt, then the state RUNNING."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
from tests.benchmarks.operator_load import Door, paced
from tests.benchmarks.operator_scene import PrefectServer
from tests.cluster.rayclusters import pod_template

from backsweep_api.names import LABEL_ROLE, AttemptName
from backsweep_api.spec.document import API_VERSION, KIND
from backsweep_operator.model import PodRole

__all__ = ["start_flows"]

PAGE = 200
PREFECT_AT_ONCE = 4  # as the operator: its SQLite writes one at a time


async def start_flows(door: Door, prefect: PrefectServer) -> None:
    """Give every flow run that is scheduled its Job, and have it run."""
    async with aiohttp.ClientSession(headers=prefect.headers) as session:
        runs = [run async for run in _scheduled(session, prefect.url)]

        async def begin(run: dict[str, Any]) -> None:
            attempt = AttemptName.from_key(run["idempotency_key"])
            assert attempt is not None, f"flow run {run['id']} is of another program"
            await door.call("POST", f"/apis/batch/v1/namespaces/{attempt.namespace}/jobs", _job(attempt))
            state = {"state": {"type": "RUNNING", "name": "Running"}, "force": True}
            async with session.post(f"{prefect.url}/flow_runs/{run['id']}/set_state", json=state) as answer:
                answer.raise_for_status()

        await paced([partial(begin, run) for run in runs], PREFECT_AT_ONCE)


async def _scheduled(session: aiohttp.ClientSession, url: str) -> AsyncIterator[dict[str, Any]]:
    offset = 0
    while True:
        wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "limit": PAGE, "offset": offset}
        async with session.post(f"{url}/flow_runs/filter", json={**wanted, "sort": "ID_DESC"}) as answer:
            answer.raise_for_status()
            page = await answer.json()
        for run in page:
            yield run
        if len(page) < PAGE:
            return
        offset += PAGE


def _job(attempt: AttemptName) -> bytes:
    labels = {**attempt.labels, LABEL_ROLE: str(PodRole.FLOW)}
    pod = pod_template("flow")
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": attempt.child,
            "namespace": attempt.namespace,
            "labels": labels,
            "ownerReferences": [attempt.owner_reference(API_VERSION, KIND)],
        },
        "spec": {
            "backoffLimit": 1,
            "template": {"metadata": {"labels": labels}, "spec": {**pod["spec"], "restartPolicy": "Never"}},
        },
    }
    return json.dumps(manifest).encode()
