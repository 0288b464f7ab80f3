"""What must hold after every step, and once everything is at rest."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulation.actors import attempt_of
from tests.simulation.documents import NAMESPACE
from tests.simulation.world import Change

from backsweep_api.conditions import ConditionType, Phase, State
from backsweep_api.quantities import read_quantity
from backsweep_api.status import instant_of
from backsweep_operator.model import FlowState, Kind

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

CHILDREN = (Kind.CLUSTER, Kind.JOB, Kind.POLICY)
REST = (State.SUCCEEDED, State.FAILED, State.SUSPENDED, State.NOT_ACCEPTED)
MOST_PASSES = 3_000
WRITES_BESIDE_PROGRESS = 60


class Invariants:
    """Watches a simulation."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.attempts: dict[str, int] = {}
        self.known_uids: set[str] = set()
        self.spent: dict[str, Decimal] = {}
        self.limits: dict[str, Decimal] = {}
        self.changes: list[Change] = []
        self.at_work: set[str] = set()
        self.flow_runs = 0
        self.effect = ""
        sim.world.watchers.insert(0, self.changes.append)

    def before(self, call: str) -> None:
        """Note which call is about to have its effect."""
        self.effect = call

    def check(self) -> None:
        """Check what the last step changed."""
        changes = list(self.changes)
        self.changes.clear()
        for change in changes:
            if change.kind is Kind.SWEEP:
                self._check_sweep(change)
            elif change.kind in CHILDREN and not change.gone:
                self._check_child(change.raw)
            elif change.kind is Kind.POD:
                self._charge(change)
        self._check_flows()
        operator = self.sim.operator
        if operator is not None:
            assert operator.passes < MOST_PASSES, f"{operator.passes} passes: the operator runs hot"

    def unsettled(self) -> list[str]:
        """Name what is not at rest."""
        world, found = self.sim.world, []
        for raw in world.of(Kind.SWEEP):
            status = self.sim.status_of(raw)
            name = raw["metadata"]["name"]
            if status.state not in REST or status.observed_generation != raw["metadata"]["generation"]:
                found.append(f"sweep {name} is {status.state}")
            elif status.state is State.SUSPENDED and not raw["spec"].get("suspend"):
                found.append(f"sweep {name} is suspended, and nobody asked for that")
        for kind in (*CHILDREN, Kind.POD):
            for raw in world.of(kind):
                found.append(f"{kind} {raw['metadata']['name']}")
        for attempt, run in sorted(self.sim.prefect.runs.items()):
            if not run.state.terminal:
                found.append(f"flow run {attempt.idempotency_key} is {run.state}")
        return found

    def check_rest(self) -> None:
        """Check the ends: a success that is one, a failure that says why, few writes."""
        for raw in self.sim.world.of(Kind.SWEEP):
            status = self.sim.status_of(raw)
            uid, name = raw["metadata"]["uid"], raw["metadata"]["name"]
            assert status.run is None or status.run.attempt == self.attempts.get(uid), f"{name}: attempt went back"
            if status.state is State.FAILED:
                failed = status.condition(ConditionType.FAILED)
                assert failed is not None, f"{name} has no condition Failed"
                assert failed.message, f"{name} failed without a reason"
            if raw["spec"].get("suspend") and status.state not in (State.SUCCEEDED, State.NOT_ACCEPTED):
                assert status.state is State.SUSPENDED, f"{name} should be suspended and is {status.state}"
            seconds = self.sim.clockwork.time - instant_of(raw["metadata"]["creationTimestamp"])
            most = WRITES_BESIDE_PROGRESS + seconds / 15
            assert self.sim.world.status_writes.get(uid, 0) <= most, f"{name}: too many writes of status"

    def _check_sweep(self, change: Change) -> None:
        """The attempt's number only grows, a success has its manifest."""
        raw, uid = change.raw, change.raw["metadata"]["uid"]
        self.known_uids.add(uid)
        budget = raw["spec"].get("budget")
        if budget is not None:
            self.limits[uid] = Decimal(budget["maxCost"])
        status = self.sim.status_of(raw)
        at_work = status.run is not None and status.run.phase is not Phase.STOPPED
        self.at_work.add(uid) if at_work and not change.gone else self.at_work.discard(uid)
        places = self.sim.release.max_concurrent_sweeps
        assert len(self.at_work) <= places, f"{len(self.at_work)} sweeps have an attempt, there are {places} places"
        if status.run is None:
            return
        before = self.attempts.get(uid, 0)
        assert status.run.attempt >= before, f"attempt {status.run.attempt} after {before}"
        self.attempts[uid] = status.run.attempt
        if status.state is State.SUCCEEDED:
            work = (uid, status.run.spec_digest[:16])
            assert work in self.sim.flows.committed, "Succeeded, but there is no manifest"

    def _check_child(self, raw: dict[str, Any]) -> None:
        """A child has an owner, is of an attempt that is persisted, and goes in the right order."""
        meta, attempt = raw["metadata"], attempt_of(raw)
        name = f"{raw['kind']} {meta['name']}"
        assert meta["ownerReferences"][0]["uid"] in self.known_uids, f"{name} has no owner"
        persisted = self.attempts.get(attempt.uid, 0)
        assert attempt.attempt <= persisted, f"{name} is of attempt {attempt.attempt}, {persisted} is persisted"
        if raw["kind"] == Kind.CLUSTER and "deletionTimestamp" in meta and self._by_operator():
            self._check_cluster_deletion(name, attempt)

    def _check_cluster_deletion(self, name: str, attempt: Any) -> None:
        """No cluster is taken from under a flow that runs, unless its cancellation has failed for long."""
        run = self.sim.prefect.runs.get(attempt)
        runs = run is not None and run.state is FlowState.RUNNING and attempt in self.sim.flows.alive.values()
        raw = self.sim.world.get(Kind.SWEEP, NAMESPACE, attempt.sweep)
        if not runs or raw is None or raw["metadata"]["uid"] != attempt.uid:
            return
        state = self.sim.status_of(raw).run
        stop = None if state is None else state.stop
        assert stop is not None, f"{name} is deleted, but its attempt is not stopped"
        waited = self.sim.clockwork.time - stop.time
        assert waited >= 30, f"{name} is deleted before its flow is cancelled"

    def _by_operator(self) -> bool:
        return self.effect == f"delete {Kind.CLUSTER}"

    def _check_flows(self) -> None:
        """At most one attempt runs, and at most one flow run is open; each is of an attempt that is persisted."""
        effect, self.effect = self.effect, ""
        alive, runs = self.sim.flows.alive, self.sim.prefect.runs
        if len(alive) > 1:
            running = Counter(attempt.uid for attempt in alive.values())
            assert max(running.values()) == 1, f"two flows run at once, after {effect!r}"
        opened = [attempt.uid for attempt, run in runs.items() if not run.state.terminal]
        assert len(opened) == len(set(opened)), f"two flow runs are open at once, after {effect!r}"
        if len(runs) != self.flow_runs:
            self.flow_runs = len(runs)
            for attempt in runs:
                persisted = self.attempts.get(attempt.uid, 0)
                assert attempt.attempt <= persisted, f"flow run of attempt {attempt.attempt}, {persisted} is persisted"

    def _charge(self, change: Change) -> None:
        """A pod went: what it cost is spent, and within the budget."""
        raw = change.raw
        if not change.gone:
            return
        uid = raw["metadata"]["labels"]["backsweep.dev/uid"]
        ended = [each["state"]["terminated"] for each in raw["status"].get("containerStatuses", ())]
        end = instant_of(ended[0]["finishedAt"]) if ended else self.sim.clockwork.time
        seconds = Decimal(int(end - instant_of(raw["status"]["startTime"])))
        requests = [each["resources"]["requests"]["cpu"] for each in raw["spec"]["containers"]]
        cores = sum((read_quantity(cpu) for cpu in requests), Decimal(0))
        self.spent[uid] = self.spent.get(uid, Decimal(0)) + cores * seconds / 3600
        limit = self.limits.get(uid)
        if limit is not None:
            assert self.spent[uid] <= limit, f"spent {self.spent[uid]:.4f}, the budget is {limit}"
