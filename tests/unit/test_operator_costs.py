"""Cost by pods' requests and prices, settled at checkpoints of which none may lose or double anything."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from backsweep_api.names import AttemptName
from backsweep_api.pricing import Prices
from backsweep_api.status import Cost
from backsweep_operator.decide.costs import Budget, affordable_until, settle
from backsweep_operator.model import PodRole, PodView

PRICES = Prices("USD", Decimal("0.36"), Decimal("0.036"), "test")
ATTEMPT = AttemptName("n", "s", "u", "d", 1)
T = 1_800_000_000


def pod(start: int | None, end: int | None = None, cpu: str = "2", name: str = "p") -> PodView:
    times = [None if time is None else float(T + time) for time in (start, end)]
    return PodView(name, ATTEMPT, PodRole.WORKER, Decimal(cpu), Decimal(4), times[0], times[1])


def test_two_cores_and_four_gib_for_an_hour() -> None:
    cost = settle(None, [pod(0, 3_600)], T + 5_000, PRICES)
    assert Decimal(cost.amount) == 2 * Decimal("0.36") + 4 * Decimal("0.036")
    assert (cost.currency, cost.simulated, cost.checkpoint, cost.open_pods) == ("USD", True, T + 5_000, ())


def test_a_pod_that_waits_for_a_node_costs_nothing() -> None:
    assert settle(None, [pod(None)], T + 5_000, PRICES).amount == "0"


def test_pods_that_vanished_unseen_are_charged_until_they_are_missed() -> None:
    before = settle(None, [pod(0), pod(0, name="q")], T + 100, PRICES)
    assert [(kind.cpu, kind.memory_gib, kind.pods) for kind in before.open_pods] == [("2", "4", 2)]
    after = settle(before, [pod(0)], T + 300, PRICES)
    assert Decimal(after.amount) == Decimal(settle(None, [pod(0), pod(0, name="q")], T + 300, PRICES).amount)
    later = settle(after, [pod(0)], T + 400, PRICES)
    grown = Decimal(later.amount) - Decimal(after.amount)
    assert grown == Decimal(settle(None, [pod(300)], T + 400, PRICES).amount)


LIVES = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500), st.sampled_from(["1", "2"])), max_size=6)


@given(LIVES, st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_however_often_it_is_settled_it_comes_to_the_same(lives: list[tuple[int, int, str]], steps: list[int]) -> None:
    cost: Cost | None = None
    now = 0
    for step in [*steps, 2_000]:
        now += step
        seen = [
            pod(start, start + length if start + length <= now else None, cpu, f"p{index}")
            for index, (start, length, cpu) in enumerate(lives)
            if start <= now
        ]
        cost = settle(cost, seen, T + now, PRICES)
    whole = [pod(start, start + length, cpu, f"p{i}") for i, (start, length, cpu) in enumerate(lives)]
    assert cost is not None
    assert abs(Decimal(cost.amount) - Decimal(settle(None, whole, T + now, PRICES).amount)) < Decimal("1e-7")


def test_a_budget_lasts_until_there_is_just_enough_left_to_take_everything_away() -> None:
    budget = Budget(limit=Decimal(2), spent=Decimal(1), hourly=Decimal(4))
    assert affordable_until(budget, T, 300) == T + 900 - 300
    assert affordable_until(Budget(Decimal(1), Decimal(2), Decimal(4)), T, 300) == T - 900 - 300
    assert affordable_until(Budget(Decimal(1), Decimal(0), Decimal(0)), T, 300) is None
