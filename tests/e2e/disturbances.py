"""What happens to a running sweep, and what has to be back before it counts as borne: one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.clusters import wait_until

from backsweep_api.conditions import State
from backsweep_operator.model import PodRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.clusters import Cluster, Object
    from tests.e2e.running import RunningSweep

SECONDS_TO_CLEAN = 30.0


def kill(cluster: Cluster, pods: Sequence[Object]) -> None:
    """Kill pods with no time to say anything."""
    for each in pods:
        at = each["metadata"]
        where = f"--namespace={at['namespace']}"
        cluster.kubectl("delete", "pod", at["name"], where, "--grace-period=0", "--force", "--wait=false")


def kill_one(sweep: RunningSweep, role: PodRole) -> None:
    """Kill one pod of the sweep, and wait until another is ready in its place."""
    before = sweep.pods(role)
    kill(sweep.release.cluster, before[:1])
    killed = before[0]["metadata"]["uid"]

    def replaced() -> bool:
        now = {each["metadata"]["uid"] for each in sweep.pods(role)}
        return killed not in now and len(now) == len(before)

    sweep.until(replaced, f"another {role} in place of the killed one")


def kill_part(sweep: RunningSweep, *parts: str) -> None:
    """Kill the pods of parts of the release, and wait until others are ready."""
    release = sweep.release
    for part in parts:
        kill(release.cluster, release.pods(part))
    release.await_parts()


def worker_killed(sweep: RunningSweep) -> None:
    kill_one(sweep, PodRole.WORKER)


def head_killed(sweep: RunningSweep) -> None:
    kill_one(sweep, PodRole.HEAD)


def flow_killed(sweep: RunningSweep) -> None:
    kill_one(sweep, PodRole.FLOW)


def operator_killed(sweep: RunningSweep) -> None:
    kill_part(sweep, "operator")


def prefect_killed(sweep: RunningSweep) -> None:
    """Kill the server and its worker at once."""
    kill_part(sweep, "prefect", "worker")


def suspended_and_resumed(sweep: RunningSweep) -> None:
    """Suspend the sweep, see that nothing of it is left, and let it go on."""
    sweep.change(suspend=True)
    sweep.await_state(State.SUSPENDED)
    wait_until(lambda: sweep.release.leftovers(sweep.name) == [], "nothing of it to be left", SECONDS_TO_CLEAN)
    sweep.change(suspend=False)
    sweep.await_state(State.RUNNING)
