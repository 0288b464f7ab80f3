"""Schedules: which sweeps, what their users do, what goes wrong; drawn from a seed, written in full, shrinkable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from tests.simulation.documents import SPECS
from tests.simulation.faults import Fault
from tests.simulation.flows import Fate

LAST_SCRIPTED_SECOND = 240


class Deed(StrEnum):
    """What users do, or others with rights on the cluster."""

    SUSPEND = "suspend"
    RESUME = "resume"
    CHANGE = "change the question"
    TOUCH = "change a limit"
    BREAK = "make the spec one that is refused"
    MEND = "make it right again"
    DELETE = "delete"
    APPLY = "apply again"
    CANCEL = "cancel in Prefect"
    DELETE_CLUSTER = "delete the RayCluster by hand"
    DELETE_JOB = "delete the Job by hand"


UNDONE_BY = {Deed.SUSPEND: Deed.RESUME, Deed.BREAK: Deed.MEND, Deed.DELETE: Deed.APPLY, Deed.CHANGE: Deed.CHANGE}
FAULTS = (*Fault, Fault.LATE, Fault.CRASH_LATE, Fault.WATCH_LOST, Fault.STALE_RESTART)  # some twice as often


@dataclass(frozen=True, slots=True)
class Schedule:
    """One life of a cluster.

    Parameters
    ----------
    sweeps : name and kind of each sweep, applied at the start.
    deeds : when (seconds), of which sweep, what.
    faults : at which call of any operator process, what.
    outages : from when to when which API does not answer.
    fates : how flows end, one after another; after these they all end well.
    """

    seed: int
    sweeps: tuple[tuple[str, str], ...]
    deeds: tuple[tuple[int, str, Deed], ...] = ()
    faults: tuple[tuple[int, Fault], ...] = ()
    outages: tuple[tuple[int, int, str], ...] = ()
    fates: tuple[Fate, ...] = ()

    def __str__(self) -> str:
        lines = [f"schedule of seed {self.seed}"]
        lines += [f"  at 0 s: apply sweep {name} ({kind})" for name, kind in self.sweeps]
        lines += [f"  at {second} s: {deed} (sweep {name})" for second, name, deed in self.deeds]
        lines += [f"  at call {number}: {fault}" for number, fault in self.faults]
        lines += [f"  from {begin} to {end} s: {api} does not answer" for begin, end, api in self.outages]
        lines += [
            f"  flow {number}: {fate}" for number, fate in enumerate(self.fates, start=1) if fate is not Fate.FINE
        ]
        return "\n".join(lines)


def draw_schedule(seed: int) -> Schedule:
    """Return the schedule of a seed: often quiet, sometimes wild, and often with much at once."""
    chance = Random(seed)
    sweeps = tuple((name, chance.choice(sorted(SPECS))) for name in ("one", "two")[: 1 + (chance.random() < 0.15)])
    span = chance.choice((30, 90, LAST_SCRIPTED_SECOND))
    deeds = []
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 4))):
        second, name = chance.randrange(1, span), chance.choice(sweeps)[0]
        deed = chance.choice(list(Deed))
        deeds.append((second, name, deed))
        if deed in UNDONE_BY and chance.random() < 0.7:
            deeds.append((second + chance.randrange(1, 60), name, UNDONE_BY[deed]))
    within = chance.choice((15, 40, 120))
    calls = sorted({chance.randrange(1, within) for _ in range(chance.choice((0, 1, 2, 3, 6)))})
    faults = tuple((call, chance.choice(FAULTS)) for call in calls)
    outages = []
    if chance.random() < 0.15:
        begin = chance.randrange(0, 150)
        outages.append((begin, begin + chance.randrange(20, 100), chance.choice(("Kubernetes", "Prefect"))))
    fates = tuple(Fate.FINE if chance.random() < 0.7 else chance.choice(list(Fate)) for _ in range(4))
    return Schedule(seed, sweeps, tuple(sorted(deeds)), faults, tuple(outages), fates)


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Return a schedule that still fails and from which nothing can be left out."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(schedule):
            if fails(candidate):
                schedule, smaller = candidate, True
                break
    return schedule


def _smaller(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule with one thing less."""
    for index, (name, _) in enumerate(schedule.sweeps):
        if len(schedule.sweeps) > 1:
            rest = schedule.sweeps[:index] + schedule.sweeps[index + 1 :]
            deeds = tuple(deed for deed in schedule.deeds if deed[1] != name)
            yield replace(schedule, sweeps=rest, deeds=deeds)
    for index in range(len(schedule.faults)):
        yield replace(schedule, faults=schedule.faults[:index] + schedule.faults[index + 1 :])
    for index in range(len(schedule.deeds)):
        yield replace(schedule, deeds=schedule.deeds[:index] + schedule.deeds[index + 1 :])
    for index in range(len(schedule.outages)):
        yield replace(schedule, outages=schedule.outages[:index] + schedule.outages[index + 1 :])
    for index, fate in enumerate(schedule.fates):
        if fate is not Fate.FINE:
            yield replace(schedule, fates=(*schedule.fates[:index], Fate.FINE, *schedule.fates[index + 1 :]))
