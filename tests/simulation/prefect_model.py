"""A model of Prefect's server: flow runs by idempotency key, terminal states that stay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.clockwork import Clockwork

from backsweep_api.names import AttemptName
from backsweep_operator.errors import UnavailableError
from backsweep_operator.model import FlowRunRequest, FlowRunView, FlowState, Progress


@dataclass(slots=True)
class PrefectModel:
    """The server. `requests` has what each flow run was created with."""

    clockwork: Clockwork
    runs: dict[AttemptName, FlowRunView] = field(default_factory=dict)
    requests: dict[AttemptName, FlowRunRequest] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)
    down: bool = False

    def create(self, request: FlowRunRequest, cancelled: bool) -> FlowRunView:
        if request.work_pool not in self.pools:
            raise UnavailableError(f"no deployment in {request.work_pool}")
        if request.attempt not in self.runs:
            state = FlowState.CANCELLED if cancelled else FlowState.SCHEDULED
            identity = f"run-{len(self.runs):04d}"
            self.runs[request.attempt] = FlowRunView(request.attempt, identity, state, self.clockwork.time)
            self.requests[request.attempt] = request
        return self.runs[request.attempt]

    def cancel(self, identity: str) -> None:
        for attempt, run in self.runs.items():
            if run.id == identity and not run.state.terminal:
                self._set(attempt, FlowState.CANCELLED)

    def propose(self, attempt: AttemptName, state: FlowState, allowed: Iterable[FlowState]) -> bool:
        """A worker or a flow asks for a state; a run that has ended stays so."""
        run = self.runs[attempt]
        if self.down or run.state not in allowed:
            return False
        self._set(attempt, state)
        return True

    def tell_progress(self, attempt: AttemptName, progress: Progress) -> None:
        if not self.down:
            self.runs[attempt] = replace(self.runs[attempt], progress=progress)

    def job_variables(self, attempt: AttemptName) -> dict[str, Any]:
        return dict(self.requests[attempt].job_variables)

    def _set(self, attempt: AttemptName, state: FlowState) -> None:
        self.runs[attempt] = replace(self.runs[attempt], state=state, state_since=self.clockwork.time)
