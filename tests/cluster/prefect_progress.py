"""A stand-in for Prefect whose flow runs all run, and get further with every look at them: no two answers are alike.

`python -m tests.cluster.prefect_progress PORT` serves it on loopback.
"""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.cluster.prefect_stand_in import ENDED, PrefectStandIn, of_state
from typing_extensions import override

from backsweep_api.progress import FlowProgress
from backsweep_api.status import TrialCounts, timestamp

TRIALS = 1_000_000


@dataclass
class RunningStandIn(PrefectStandIn):
    """Flow runs begin at once and never end by themselves."""

    looks: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @override
    async def choose(self, request: web.Request) -> web.Response:
        """Give flow runs that began a moment ago: one that runs for long has a Job, which no worker makes here."""
        for run in self.runs.values():
            if run["state_type"] not in ENDED:
                run |= of_state("RUNNING")
                run["state"]["timestamp"] = timestamp(time.time())
        return await super().choose(request)

    @override
    def found(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Find those in the state that is known of them too: since when they are in it has changed."""
        return super().found({key: value for key, value in wanted.items() if key != "state"})

    @override
    async def give_nothing(self, request: web.Request) -> web.Response:
        """Give the progress of those that are asked for: one more trial than the last time."""
        wanted = (await request.json())["artifacts"]["key"]["any_"]
        counts = TrialCounts(total=TRIALS, done=next(self.looks))
        told = FlowProgress(trials=counts, last_block_at=time.time()).text()
        return web.json_response([{"key": key, "data": told} for key in wanted])


if __name__ == "__main__":
    port = int(sys.argv[1])
    web.run_app(RunningStandIn().application(), host="127.0.0.1", port=port, access_log=None, print=None)
