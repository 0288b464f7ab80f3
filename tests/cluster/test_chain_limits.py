"""What ends a sweep that goes on too long or costs too much. All begin at once: what they do is mostly to wait."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.cluster.chains import Chain
from tests.cluster.prefect_worker import SILENT

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome

# Its pods ask for 2.5 cores: at this price they cost 1 a second. 300 s are kept for taking them away, and what buys
# less than 60 s is not begun.
PRICES = {"cpuHour": "1440"}
LEAST_BUDGET = "362"


@pytest.fixture(scope="module")
def limited(chain: Chain) -> Chain:
    cluster = {"workers": {"min": 1, "max": 1, "cpu": "1", "memory": "1Gi"}, "idleTimeoutSeconds": 10}
    chain.apply("silent", ends=[Outcome.INCOMPLETE, SILENT], backoffLimit=1)
    chain.apply("long", activeDeadlineSeconds=60)
    chain.apply("dear", pricing=PRICES, budget={"maxCost": LEAST_BUDGET, "onExceeded": "Suspend"})
    chain.apply("idle", cluster=cluster, execution={"mode": "ray", "blockTimeoutSeconds": 10}, backoffLimit=1)
    chain.apply("cancelled")
    return chain


def test_someone_cancels_a_flow_in_prefect(limited: Chain) -> None:
    limited.reaches("cancelled", State.RUNNING)
    (run,) = limited.flow_runs("cancelled")
    body = {"state": {"type": "CANCELLED", "name": "Cancelled"}, "force": True}
    limited.prefect.ask("POST", f"/flow_runs/{run['id']}/set_state", body)
    limited.reaches("cancelled", State.FAILED, "CancelledInPrefect", seconds=150)
    assert not limited.made("cancelled", "rayclusters,networkpolicies")


def test_a_budget_that_buys_nothing_makes_nothing(limited: Chain) -> None:
    limited.apply("poor", pricing=PRICES, budget={"maxCost": "10"})
    limited.reaches("poor", State.FAILED, "BudgetExceeded")
    assert not limited.made("poor")
    assert limited.flow_runs("poor") == []


def test_without_a_finished_block_the_cluster_goes_and_another_attempt_is_made(limited: Chain) -> None:
    limited.reaches("idle", State.FAILED, "BackoffLimitExceeded", attempt=2)
    assert "no block has finished for 10 s" in limited.failure("idle")
    assert limited.states_in_prefect("idle") == ["CANCELLED", "CANCELLED"]


def test_a_flow_that_ends_without_a_message_is_lost_though_its_job_is_complete(limited: Chain) -> None:
    limited.reaches("silent", State.FAILED, "BackoffLimitExceeded", attempt=2, seconds=150)
    assert "is Complete without a report" in limited.failure("silent")
    assert "manifest" not in limited.status("silent")
    assert limited.states_in_prefect("silent") == ["FAILED", "CANCELLED"]


def test_past_its_deadline_a_sweep_fails_and_its_cluster_goes(limited: Chain) -> None:
    limited.reaches("long", State.FAILED, "DeadlineExceeded", seconds=150)
    assert {each["kind"] for each in limited.made("long")} <= {"Job", "Pod"}
    assert limited.states_in_prefect("long") == ["CANCELLED"]


def test_a_budget_is_not_passed_and_raising_it_goes_on(limited: Chain) -> None:
    limited.reaches("dear", State.SUSPENDED, "BudgetExceeded", seconds=150)
    assert 0 < Decimal(limited.status("dear")["cost"]["amount"]) < Decimal(LEAST_BUDGET)
    assert not limited.made("dear")
    limited.apply("dear", ends=[SILENT, Outcome.SUCCEEDED], pricing=PRICES, budget={"maxCost": "100000"})
    limited.reaches("dear", State.SUCCEEDED, attempt=2)
