"""One schedule, run: the operator over the modelled cluster, with faults, until everything is at rest."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.simulation.actors import Cluster
from tests.simulation.clockwork import START, Clockwork
from tests.simulation.documents import NAMESPACE, SPECS, changed, manifest, refused, touched
from tests.simulation.faults import KILLS, LATE_SECONDS, Fault
from tests.simulation.flows import Flows
from tests.simulation.invariants import Invariants
from tests.simulation.operator_process import (
    Call,
    Deciding,
    Lease,
    ModelledKube,
    ModelledPrefect,
    OperatorProcess,
)
from tests.simulation.prefect_model import PrefectModel
from tests.simulation.schedules import Deed, Schedule
from tests.simulation.world import World

from backsweep_api.conditions import State
from backsweep_api.errors import TransientError
from backsweep_api.status import SweepStatus
from backsweep_operator.decide import decide
from backsweep_operator.errors import CallRefusedError, UnavailableError
from backsweep_operator.model import Deadlines, Kind, Release

RELEASE = Release(
    image="backsweep:1",
    poll_seconds=20,
    retry_seconds=5,
    ttl_seconds=45,
    deadlines=Deadlines(start=300, stop=240, run=3_600, queue=1_800, report=30, lost=60, cancel=30, overrun=120),
)
LONGEST_SECONDS = 7_200.0
LOOK_SECONDS = 20.0
REST = (State.SUCCEEDED, State.FAILED, State.SUSPENDED, State.NOT_ACCEPTED)


class Simulation:
    """A cluster, its users, and one operator process after another."""

    def __init__(self, schedule: Schedule, deciding: Deciding = decide, release: Release = RELEASE) -> None:
        self.schedule, self.deciding, self.release = schedule, deciding, release
        self.clockwork = Clockwork(schedule.seed)
        self.world = World(self.clockwork)
        self.prefect = PrefectModel(self.clockwork)
        self.flows = Flows(self.clockwork, self.world, self.prefect, list(schedule.fates))
        self.kube = ModelledKube(self.world)
        self.modelled_prefect = ModelledPrefect(self.prefect)
        self.lease = Lease()
        self.faults = dict(schedule.faults)
        self.calls = 0
        self.log: list[str] = []
        self.statuses: dict[str, SweepStatus] = {}
        self.invariants = Invariants(self)
        self.kubernetes_down = False
        self.operator: OperatorProcess | None = None
        self.downtime = 0.0
        Cluster(self.clockwork, self.world, self.prefect, self.flows).start()

    def run(self) -> None:
        """Run until all is at rest, checking every invariant after every step.

        Raises
        ------
        AssertionError
            If an invariant breaks, or if nothing comes to rest once nothing goes wrong any more.
        """
        for name, kind in self.schedule.sweeps:
            self.world.apply(manifest(name, SPECS[kind]))
        for second, name, deed in self.schedule.deeds:
            self.clockwork.after(second, partial(self.do, name, deed))
        for begin, end, api in self.schedule.outages:
            self.clockwork.after(begin, partial(self.set_down, api, True))
            self.clockwork.after(end, partial(self.set_down, api, False))
        self.start_operator(0)
        ends = [end for _, end, _ in self.schedule.outages]
        quiet = START + max([60, *ends, *(second for second, _, _ in self.schedule.deeds)])
        look = quiet
        while True:
            self.clockwork.step()
            self.invariants.check()
            if self.clockwork.time >= look:
                look = self.clockwork.time + LOOK_SECONDS
                if self.at_rest():
                    break
                unsettled = self.invariants.unsettled()
                assert self.clockwork.time < quiet + LONGEST_SECONDS, f"does not come to rest: {unsettled}"
        self.invariants.check_rest()

    def at_rest(self) -> bool:
        """Whether nothing is left to happen but the passing of time."""
        return self.operator is not None and self.operator.alive and not self.invariants.unsettled()

    def start_operator(self, lag: int) -> None:
        self.lease.holder += 1
        self.operator = OperatorProcess(self.lease.holder, self.lease, self, self.deciding, self.release)
        self.operator.start(lag)

    def place(self, process: OperatorProcess, call: Call, answered: Callable[[object], None]) -> None:
        """Send a call on its way, with the fault that the schedule has for it."""
        self.calls += 1
        number, time = self.calls, self.clockwork
        fault = self.faults.get(number)
        self.note(f"call {number} of process {process.number}: {call.name}{f' ({fault})' if fault else ''}")
        delay = time.between(0.01, 0.5, "latency")
        lost = UnavailableError("no answer")
        if fault in KILLS:
            self._kill(process, call, fault, delay)
        elif fault is Fault.LOST_BEFORE:
            time.after(10.0, lambda: answered(lost))
        elif fault is Fault.THROTTLED:
            time.after(delay, lambda: answered(UnavailableError("429")))
        elif fault is Fault.REFUSED:
            time.after(delay, lambda: answered(CallRefusedError("422")))
        elif fault is Fault.LATE:
            time.after(10.0, lambda: answered(lost))
            time.after(time.between(10.0, LATE_SECONDS, "late"), lambda: self._effect(call))
        elif fault is Fault.LOST_AFTER:
            time.after(delay, lambda: self._effect(call))
            time.after(10.0, lambda: answered(lost))
        else:
            if fault is Fault.HOSTILE:
                self._write_hostile()
            elif fault is Fault.WATCH_LOST:
                process.lose_watches()
            elif fault is Fault.TAKEOVER and self.operator is process:
                self.start_operator(0)
                delay = time.between(1.0, LATE_SECONDS, "late")
            time.after(delay, lambda: self._arrive(call, answered))

    def note(self, line: str) -> None:
        self.log.append(f"{self.clockwork.time - START:8.1f}  {line}")

    def do(self, name: str, deed: Deed) -> None:
        """What a user does."""
        self.note(f"user: {deed} {name}")
        raw = self.world.get(Kind.SWEEP, NAMESPACE, name)
        if deed is Deed.APPLY:
            kind = dict(self.schedule.sweeps)[name]
            if raw is None:
                self.world.apply(manifest(name, SPECS[kind]))
            return
        if raw is None:
            return
        spec = raw["spec"]
        changes: dict[Deed, Callable[[dict[str, Any]], dict[str, Any]]] = {
            Deed.SUSPEND: lambda before: {**before, "suspend": True},
            Deed.RESUME: lambda before: {**before, "suspend": False},
            Deed.CHANGE: changed,
            Deed.TOUCH: touched,
            Deed.BREAK: refused,
            Deed.MEND: lambda before: {**before, "storage": SPECS["small"]["storage"]},
        }
        if deed in changes:
            self.world.set_spec(NAMESPACE, name, changes[deed](spec))
        elif deed is Deed.DELETE:
            self.world.remove(raw)
        elif deed is Deed.CANCEL:
            for attempt, run in sorted(self.prefect.runs.items()):
                if attempt.uid == raw["metadata"]["uid"]:
                    self.prefect.cancel(run.id)
        else:
            kind_of_child = Kind.CLUSTER if deed is Deed.DELETE_CLUSTER else Kind.JOB
            for child in self.world.of(kind_of_child):
                meta = child["metadata"]
                if meta["ownerReferences"][0]["uid"] == raw["metadata"]["uid"]:
                    self.world.delete(kind_of_child, NAMESPACE, meta["name"], meta["uid"], None)

    def set_down(self, api: str, down: bool) -> None:
        self.note(f"{api} {'does not answer' if down else 'answers again'}")
        if api == "Prefect":
            self.prefect.down = down
        else:
            self.kubernetes_down = down

    def status_of(self, raw: dict[str, Any]) -> SweepStatus:
        version = raw["metadata"]["resourceVersion"]
        if version not in self.statuses:
            self.statuses[version] = SweepStatus.model_validate(raw.get("status") or {})
        return self.statuses[version]

    def _arrive(self, call: Call, answered: Callable[[object], None]) -> None:
        """Do what the call asks for, and answer."""
        try:
            answer = self._effect(call, raising=True)
        except TransientError as error:
            answer = error
        self.clockwork.after(self.clockwork.between(0.01, 0.2, "latency"), lambda: answered(answer))

    def _effect(self, call: Call, raising: bool = False) -> object:
        """Do what the call asks for, if the API is up."""
        try:
            if self.prefect.down if call.prefect else self.kubernetes_down:
                raise UnavailableError("503")
            self.invariants.before(call.name)
            return call.effect()
        except TransientError as error:
            self.note(f"  {call.name} failed: {error}")
            if raising:
                raise
            return None

    def _kill(self, process: OperatorProcess, call: Call, fault: Fault, delay: float) -> None:
        """Kill the process at this call; another one starts after a while."""
        process.die()
        if fault is Fault.CRASH_AFTER:
            self.clockwork.after(delay, lambda: self._effect(call))
        elif fault is Fault.CRASH_LATE:
            late = self.clockwork.between(1.0, LATE_SECONDS, "late")
            self.clockwork.after(late, lambda: self._effect(call))
        if self.operator is not process:
            return
        lag = 1 + int(self.clockwork.draw("lag") * 12) if fault is Fault.STALE_RESTART else 0
        away = self.clockwork.between(1.0, 90.0, "downtime")
        self.downtime += away
        self.clockwork.after(away, lambda: self.start_operator(lag))

    def _write_hostile(self) -> None:
        """Someone else annotates every sweep, so that its version changes."""
        for raw in self.world.of(Kind.SWEEP):
            count = str(self.world.version)
            self.world.annotate(Kind.SWEEP, NAMESPACE, raw["metadata"]["name"], {"example.org/seen": count})
