"""What ends a sweep that goes on too long or costs too much. All begin at once: what they do is mostly to wait."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from tests.cluster.chains import Chain, new_chain
from tests.cluster.control_plane import ControlPlane
from tests.cluster.prefect_server import PrefectServer
from tests.cluster.prefect_worker import SILENT

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome

# Its pods ask for 2.5 cores: at this price they cost 1 a second. 300 s are kept for taking them away, and what buys
# less than 60 s is not begun.
PRICES = {"cpuHour": "1440"}
LEAST_BUDGET = "362"


@pytest.fixture(scope="module")
def chain(plane: ControlPlane, prefect_server: PrefectServer) -> Iterator[Chain]:
    with new_chain(plane, prefect_server) as found:
        found.apply("silent", ends=[Outcome.INCOMPLETE, SILENT], backoffLimit=1)
        found.apply("long", activeDeadlineSeconds=60)
        found.apply("dear", pricing=PRICES, budget={"maxCost": LEAST_BUDGET, "onExceeded": "Suspend"})
        found.apply("cancelled")
        yield found


def test_someone_cancels_a_flow_in_prefect(chain: Chain) -> None:
    chain.reaches("cancelled", State.RUNNING)
    (run,) = chain.flow_runs("cancelled")
    body = {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True}
    chain.prefect.ask("POST", f"/flow_runs/{run['id']}/set_state", body)
    chain.reaches("cancelled", State.FAILED, "CancelledInPrefect", seconds=150)
    assert not chain.made("cancelled", "rayclusters,networkpolicies")


def test_a_budget_that_buys_nothing_makes_nothing(chain: Chain) -> None:
    chain.apply("poor", pricing=PRICES, budget={"maxCost": "10"})
    chain.reaches("poor", State.FAILED, "BudgetExceeded")
    assert not chain.made("poor")
    assert chain.flow_runs("poor") == []


def test_without_a_finished_block_the_cluster_goes_and_another_attempt_is_made(chain: Chain) -> None:
    cluster = {"workers": {"min": 1, "max": 1, "cpu": "1", "memory": "1Gi"}, "idleTimeoutSeconds": 10}
    chain.apply("idle", cluster=cluster, execution={"mode": "ray", "blockTimeoutSeconds": 10}, backoffLimit=1)
    chain.reaches("idle", State.RUNNING, attempt=1)
    chain.reaches("idle", State.FAILED, "BackoffLimitExceeded", attempt=2)
    assert "no block has finished for 10 s" in chain.failure("idle")
    assert chain.states_in_prefect("idle") == ["CANCELLED", "CANCELLED"]


def test_a_flow_that_ends_without_a_message_is_lost_though_its_job_is_complete(chain: Chain) -> None:
    chain.reaches("silent", State.FAILED, "BackoffLimitExceeded", attempt=2, seconds=150)
    assert "is Complete without a report" in chain.failure("silent")
    assert "manifest" not in chain.status("silent")
    assert chain.states_in_prefect("silent") == ["FAILED", "CANCELLED"]


def test_past_its_deadline_a_sweep_fails_and_its_cluster_goes(chain: Chain) -> None:
    chain.reaches("long", State.FAILED, "DeadlineExceeded", seconds=150)
    assert {each["kind"] for each in chain.made("long")} <= {"Job", "Pod"}
    assert chain.states_in_prefect("long") == ["CANCELLED"]


def test_a_budget_is_not_passed_and_raising_it_goes_on(chain: Chain) -> None:
    chain.reaches("dear", State.SUSPENDED, "BudgetExceeded", seconds=150)
    assert 0 < Decimal(chain.status("dear")["cost"]["amount"]) < Decimal(LEAST_BUDGET)
    assert not chain.made("dear")
    chain.apply("dear", ends=[SILENT, Outcome.SUCCEEDED], pricing=PRICES, budget={"maxCost": "100000"})
    chain.reaches("dear", State.SUCCEEDED, attempt=2)
