"""What happens to a running sweep, and what has to be back before it counts as borne: one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.clusters import wait_until

from backsweep_api.conditions import State
from backsweep_operator.model import PodRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.clusters import Object
    from tests.e2e.running import RunningSweep

SECONDS_TO_CLEAN = 30.0


def kill(sweep: RunningSweep, *roles: PodRole, parts: Sequence[str] = ()) -> None:
    """Kill, at once, a pod of each role and the pods of parts of the release; wait until others are ready instead."""
    release = sweep.release
    before = {role: sweep.pods(role) for role in roles}
    killed = [pods[0] for pods in before.values()] + [pod for part in parts for pod in release.pods(part)]
    for each in killed:
        at = each["metadata"]
        where = (at["name"], f"--namespace={at['namespace']}")
        release.cluster.kubectl("delete", "pod", *where, "--grace-period=0", "--force", "--wait=false")

    def replaced(_: Object) -> bool:
        return all(is_replaced(sweep, role, pods) for role, pods in before.items())

    sweep.until(replaced, "others are in place of the killed pods")
    release.await_parts()


def is_replaced(sweep: RunningSweep, role: PodRole, before: Sequence[Object]) -> bool:
    """Say whether the first of some pods is gone, and there are as many again."""
    now = {each["metadata"]["uid"] for each in sweep.pods(role)}
    return before[0]["metadata"]["uid"] not in now and len(now) == len(before)


def worker_and_operator_killed(sweep: RunningSweep) -> None:
    kill(sweep, PodRole.WORKER, parts=["operator"])


def head_killed(sweep: RunningSweep) -> None:
    kill(sweep, PodRole.HEAD)


def flow_killed(sweep: RunningSweep) -> None:
    kill(sweep, PodRole.FLOW)


def prefect_killed(sweep: RunningSweep) -> None:
    """Kill the server and its worker."""
    kill(sweep, parts=["prefect", "worker"])


def suspended_and_resumed(sweep: RunningSweep) -> None:
    """Suspend the sweep, see that nothing of it is left, and let it go on."""
    sweep.change(suspend=True)
    sweep.await_state(State.SUSPENDED)
    wait_until(lambda: sweep.release.leftovers(sweep.name) == [], "nothing of it to be left", SECONDS_TO_CLEAN)
    sweep.change(suspend=False)
    sweep.await_state(State.RUNNING)
