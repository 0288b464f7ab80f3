"""A stand-in for Prefect's server, in memory: what the operator asks of one, and no more.

For figures in which Prefect is not to be measured, and for tests that run no flow; tests/contract has the real one.
`python -m tests.cluster.prefect_stand_in PORT` serves it on loopback.
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
CREATED = "2026-01-01T00:00:00Z"


@dataclass
class PrefectStandIn:
    """Work pools, deployments and flow runs; `keys` has the idempotency keys of flow runs in their order."""

    pools: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def application(self) -> web.Application:
        found = web.Application(client_max_size=2**24)
        found.add_routes(
            [
                web.post("/api/work_pools/", self.make_pool),
                web.get("/api/work_pools/{name}", self.give_pool),
                web.patch("/api/work_pools/{name}", self.change_pool),
                web.post("/api/flows/", self.give_identity),
                web.post("/api/deployments/", self.give_identity),
                web.post("/api/deployments/{id}/create_flow_run", self.create),
                web.get("/api/flow_runs/{id}", self.give),
                web.post("/api/flow_runs/{id}/set_state", self.set_state),
                web.post("/api/flow_runs/filter", self.choose),
                web.post("/api/flow_runs/count", self.count),
                web.post("/api/artifacts/latest/filter", self.give_nothing),
            ]
        )
        return found

    async def make_pool(self, request: web.Request) -> web.Response:
        body = await request.json()
        known = body["name"] in self.pools
        self.pools.setdefault(body["name"], body)
        return web.json_response(body, status=409 if known else 201)

    async def give_pool(self, request: web.Request) -> web.Response:
        return web.json_response(self.pools[request.match_info["name"]])

    async def change_pool(self, request: web.Request) -> web.Response:
        self.pools[request.match_info["name"]] |= await request.json()
        return web.Response(status=204)

    async def give_identity(self, request: web.Request) -> web.Response:
        return web.json_response({"id": str(uuid.uuid5(uuid.NAMESPACE_DNS, (await request.json())["name"]))})

    async def create(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = body["idempotency_key"]
        known = key in self.keys
        if not known:
            identity = str(uuid.uuid4())
            state = (body.get("state") or {"type": "SCHEDULED"})["type"]
            self.keys[key] = identity
            self.runs[identity] = {"id": identity, "idempotency_key": key, **of_state(state)}
        return web.json_response(self.runs[self.keys[key]], status=200 if known else 201)

    async def give(self, request: web.Request) -> web.Response:
        run = self.runs.get(request.match_info["id"])
        return web.json_response(run, status=404 if run is None else 200)

    async def set_state(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["state"]["type"]
        self.runs[request.match_info["id"]] |= of_state(wanted)
        return web.json_response({"status": "ACCEPT"}, status=201)

    async def choose(self, request: web.Request) -> web.Response:
        body = await request.json()
        found, start = self.found(body["flow_runs"]), body.get("offset", 0)
        return web.json_response(found[start : start + body["limit"]])

    async def count(self, request: web.Request) -> web.Response:
        return web.json_response(len(self.found((await request.json())["flow_runs"])))

    def found(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Return those with these keys that are in another state than those named, or all that have not ended."""
        if "idempotency_key" not in wanted:
            return [run for run in self.runs.values() if run["state_type"] not in ENDED]
        others = wanted.get("state", {"type": {"not_any_": []}})["type"]["not_any_"]
        runs = [self.runs[self.keys[key]] for key in wanted["idempotency_key"]["any_"] if key in self.keys]
        return [run for run in runs if run["state_type"] not in others]

    async def give_nothing(self, request: web.Request) -> web.Response:
        await request.read()
        return web.json_response([])


def of_state(state: str) -> dict[str, Any]:
    return {"state_type": state, "state": {"type": state, "timestamp": CREATED, "message": ""}}


if __name__ == "__main__":
    web.run_app(PrefectStandIn().application(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
