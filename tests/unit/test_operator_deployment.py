"""When the operator has Prefect's deployment made: once a process, and again only once Prefect has it no more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backsweep_api.names import AttemptName
from backsweep_operator.act import Hands, act
from backsweep_operator.build import deployment
from backsweep_operator.errors import DeploymentGoneError, UnavailableError
from backsweep_operator.model import (
    CreateFlowRun,
    EnsureDeployment,
    FlowRunRequest,
    FlowRunView,
    FlowState,
    Gone,
    Release,
)
from backsweep_operator.observe import Seen

ATTEMPT = AttemptName("team", "one", "uid-1", "ab" * 8, 1)
POOL = "backsweep"
BEGIN = (
    deployment(POOL, Release(image="backsweep:1")),
    CreateFlowRun(FlowRunRequest(ATTEMPT, POOL, {}, {}), Gone("team", "one", "uid-1")),
)


class Held:
    def check(self) -> None:
        pass

    def now(self) -> float:
        return 0.0


class NoSweep:
    async def read(self, *_: Any) -> None:
        return None


class Prefect:
    """Fails to create a flow run in the ways it is told, and counts what it ensures."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = list(fails)
        self.ensured = 0

    async def ensure_deployment(self, _: EnsureDeployment) -> None:
        self.ensured += 1

    async def create_flow_run(self, request: FlowRunRequest, *, cancelled: bool) -> FlowRunView:
        if self.fails:
            raise self.fails.pop()
        return FlowRunView(request.attempt, "run", FlowState.CANCELLED if cancelled else FlowState.SCHEDULED, 0.0)


@pytest.mark.parametrize(
    ("error", "times"), [(UnavailableError("no answer"), 1), (DeploymentGoneError("the deployment is gone"), 2)]
)
def test_it_is_ensured_again_if_it_is_gone_and_not_because_prefect_was_slow(error: Exception, times: int) -> None:
    prefect = Prefect(error)
    hands = Hands(NoSweep(), prefect, Held(), Held(), Seen())  # type: ignore[arg-type]  # what is used of each is there

    async def begin() -> None:
        with pytest.raises(type(error)):
            await act(BEGIN, hands)
        for _ in range(2):
            await act(BEGIN, hands)

    asyncio.run(begin())
    assert prefect.ensured == times
