"""The operator over a modelled cluster, through thousands of drawn lives; BACKSWEEP_SCHEDULES=100000 for more."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from tests.simulation.documents import NAMESPACE
from tests.simulation.faults import Fault
from tests.simulation.flows import Fate
from tests.simulation.mutants import MUTANTS
from tests.simulation.operator_process import Deciding
from tests.simulation.schedules import Deed, Schedule, draw_schedule, shrink
from tests.simulation.simulation import RELEASE, Simulation

from backsweep_api.conditions import State
from backsweep_operator import act
from backsweep_operator.act import Hands
from backsweep_operator.decide import decide
from backsweep_operator.model import Guard, Kind

BLOCKS = 8
SCHEDULES = int(os.environ.get("BACKSWEEP_SCHEDULES", "2000"))
SEEDS_FOR_A_BUG = 600
SEEDS_OF_STALE_READS = range(300, 350)  # in them, such a read meets a moment in which it matters
QUIET = Schedule(0, (("one", "ray"),))


def complaint(schedule: Schedule, deciding: Deciding = decide) -> str:
    """Return what breaks, or nothing."""
    try:
        Simulation(schedule, deciding).run()
    except Exception as error:  # an operator that crashes breaks as much as one that leaks
        return f"{type(error).__name__}: {error}"
    return ""


def story(schedule: Schedule, deciding: Deciding = decide) -> str:
    """Return a minimal schedule that breaks something, what that is, and how it came to it."""
    smallest = shrink(schedule, lambda candidate: bool(complaint(candidate, deciding)))
    simulation = Simulation(smallest, deciding)
    try:
        simulation.run()
    except Exception as error:
        return "\n".join([f"{type(error).__name__}: {error}", str(smallest), *simulation.log[-40:]])
    return "the failure does not repeat"


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_schedule_breaks_an_invariant(block: int) -> None:
    size = -(-SCHEDULES // BLOCKS)
    for seed in range(block * size, (block + 1) * size):
        schedule = draw_schedule(seed)
        if complaint(schedule):
            pytest.fail(story(schedule))


def test_sweeps_that_compete_for_one_place_take_turns() -> None:
    one_place = replace(RELEASE, max_concurrent_sweeps=1)
    for seed in range(60):
        schedule = replace(draw_schedule(seed), sweeps=(("one", "ray"), ("two", "small")))
        Simulation(schedule, release=one_place).run()


def test_the_same_seed_lives_the_same_life() -> None:
    logs = []
    for _ in range(2):
        simulation = Simulation(draw_schedule(7))
        simulation.run()
        logs.append(simulation.log)
    assert logs[0] == logs[1]


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_LATE])
def test_a_kill_at_any_single_call_ends_as_if_there_had_been_none(fault: Fault) -> None:
    whole = Simulation(QUIET)
    whole.run()
    assert whole.calls > 40
    for call in range(1, whole.calls + 1):
        simulation = Simulation(Schedule(0, QUIET.sweeps, faults=((call, fault),)))
        simulation.run()
        raw = simulation.world.get(Kind.SWEEP, NAMESPACE, "one")
        assert raw is not None
        status = simulation.status_of(raw)
        assert (call, status.state) == (call, State.SUCCEEDED)
        assert status.run is not None
        assert (call, status.run.attempt, len(simulation.prefect.runs)) == (call, 1, 1)


@pytest.mark.parametrize("name", MUTANTS)
def test_planted_bugs_are_found_and_told_by_a_minimal_schedule(name: str) -> None:
    for seed in range(SEEDS_FOR_A_BUG):
        schedule = draw_schedule(seed)
        if complaint(schedule, MUTANTS[name]):
            told = story(schedule, MUTANTS[name])
            assert told.startswith("AssertionError")
            assert "schedule of seed" in told
            return
    pytest.fail(f"{SEEDS_FOR_A_BUG} schedules do not find: {name}")


def test_acting_without_the_live_read_before_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_away(guard: Guard, hands: Hands) -> None:
        """What was seen some time ago will do."""

    monkeypatch.setattr(act, "_hold", look_away)
    told = [story(schedule) for schedule in map(draw_schedule, SEEDS_OF_STALE_READS) if complaint(schedule)]
    assert told
    assert all("lists from a lagging reader" in each for each in told)


def test_a_schedule_is_shrunk_to_what_matters() -> None:
    schedule = Schedule(
        seed=1,
        sweeps=(("one", "ray"), ("two", "small")),
        deeds=((5, "one", Deed.SUSPEND), (9, "two", Deed.DELETE)),
        faults=((3, Fault.LATE), (7, Fault.REFUSED)),
        outages=((0, 9, "Prefect"),),
        fates=(Fate.STUCK, Fate.KILLED),
    )
    smallest = shrink(schedule, lambda each: (7, Fault.REFUSED) in each.faults and Fate.KILLED in each.fates)
    assert str(smallest).splitlines()[1:] == [
        "  at 0 s: apply sweep two (small)",
        "  at call 7: 422",
        "  flow 2: killed",
    ]
