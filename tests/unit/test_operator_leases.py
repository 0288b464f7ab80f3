"""The lease: one holder at a time whatever is lost on the way, and nobody writes who may not hold it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backsweep_operator.errors import LeaseLostError, UnavailableError, WriteConflictError
from backsweep_operator.leases import LeaseFence, LeaseKeeper, Place, call_seconds

SECONDS = 30.0


@dataclass
class Machine:
    """Time, and the one Lease of an API server that may be away or lose its answers."""

    time: float = 1_000.0
    lease: dict[str, Any] | None = None
    version: int = 0
    away: bool = False
    lose_answers: bool = False

    def now(self) -> float:
        return self.time

    async def read_lease(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        if self.away:
            raise UnavailableError("no answer")
        return self.lease

    async def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.away:
            raise UnavailableError("no answer")
        known = None if self.lease is None else self.lease["metadata"]["resourceVersion"]
        if lease["metadata"].get("resourceVersion") != known:
            raise WriteConflictError("409")
        self.version += 1
        self.lease = {**lease, "metadata": {**lease["metadata"], "uid": "u", "resourceVersion": str(self.version)}}
        if self.lose_answers:
            raise UnavailableError("no answer, though it was written")
        return self.lease


@dataclass
class Member:
    """One process that wants to lead."""

    machine: Machine
    identity: str
    fence: LeaseFence = field(init=False)
    keeper: LeaseKeeper = field(init=False)

    def __post_init__(self) -> None:
        self.fence = LeaseFence(SECONDS, self.machine.now)
        place = Place("backsweep", "operator", self.identity, SECONDS)
        self.keeper = LeaseKeeper(self.machine, place, self.fence, self.machine, self.machine.now)

    def look(self) -> bool:
        try:
            return asyncio.run(self.keeper._try())
        except UnavailableError:
            return False

    def renew(self) -> None:
        try:
            asyncio.run(self.keeper._renew())
        except WriteConflictError:
            asyncio.run(self.keeper._look_who())
        except UnavailableError:
            pass


def test_a_lease_that_is_renewed_stays_and_one_that_is_not_goes_over_after_its_time() -> None:
    machine = Machine()
    first, second = Member(machine, "one"), Member(machine, "two")
    assert (first.look(), second.look()) == (True, False)
    for _ in range(10):
        machine.time += 5
        first.renew()
        assert not second.look()
    machine.time += SECONDS - 1
    assert not second.look()
    machine.time += 2
    assert second.look()
    assert machine.lease is not None
    assert machine.lease["spec"]["leaseTransitions"] == 2
    with pytest.raises(LeaseLostError):
        first.fence.check()
    with pytest.raises(LeaseLostError, match="held by two"):
        first.renew()


def test_the_clock_of_another_machine_is_not_believed() -> None:
    machine = Machine()
    Member(machine, "one").look()
    assert machine.lease is not None
    machine.lease["spec"]["renewTime"] = "1999-01-01T00:00:00.000000Z"
    second = Member(machine, "two")
    assert not second.look()
    machine.time += SECONDS - 1
    assert not second.look()
    machine.time += 2
    assert second.look()


def test_of_one_identity_the_next_process_takes_over_at_once() -> None:
    machine = Machine()
    assert Member(machine, "pod-uid").look()
    assert Member(machine, "pod-uid").look()


def test_a_renewal_whose_answer_was_lost_is_not_a_lost_lease() -> None:
    machine = Machine()
    member = Member(machine, "one")
    assert member.look()
    machine.lose_answers = True
    member.renew()
    machine.lose_answers = False
    member.renew()
    machine.time += 10
    member.renew()
    member.fence.check()


def test_given_back_it_is_free_at_once_and_the_giver_writes_no_more() -> None:
    machine = Machine()
    first, second = Member(machine, "one"), Member(machine, "two")
    assert first.look()
    asyncio.run(first.keeper.release())
    with pytest.raises(LeaseLostError):
        first.fence.check()
    assert second.look()


def test_a_call_that_began_under_the_lease_has_ended_before_another_leads() -> None:
    for seconds in (3.0, 15.0, 30.0, 300.0):
        fence = LeaseFence(seconds, lambda: 0.0)
        assert 0 < fence.hold_seconds < seconds - call_seconds(seconds)


def test_without_renewal_in_time_keeping_ends() -> None:
    machine = Machine()
    member = Member(machine, "one")
    assert member.look()
    machine.away = True

    async def keep() -> None:
        machine.time += SECONDS
        async with asyncio.timeout(5):
            await member.keeper.keep()

    member.keeper._place = Place("backsweep", "operator", "one", 0.01)
    with pytest.raises(LeaseLostError):
        asyncio.run(keep())


STEPS = st.tuples(st.integers(0, 1), st.sampled_from(["look", "renew"]), st.sampled_from([0, 5, 16, 31]), st.booleans())


@given(st.lists(STEPS, min_size=3, max_size=12))
def test_two_never_hold_it_at_the_same_time(steps: list[tuple[int, str, int, bool]]) -> None:
    machine = Machine()
    members = [Member(machine, "one"), Member(machine, "two")]
    for who, what, seconds, lost in steps:
        machine.time += seconds
        machine.lose_answers = lost
        member = members[who]
        if what == "renew" and member.fence.held:
            try:
                member.renew()
            except LeaseLostError:
                assert not member.fence.held
        elif not member.fence.held:
            member.look()
        assert [each.fence.held for each in members] != [True, True]
