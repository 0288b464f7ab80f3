"""What happens to a running sweep, and what has to be back before it counts as borne: one function each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.cluster.clusters import RefusedError, wait_until
from tests.cluster.node.node import Node

from backsweep_api.conditions import State
from backsweep_operator.model import PodRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.clusters import Object
    from tests.e2e.running import RunningSweep

SECONDS_TO_CLEAN = 30.0
OUTAGE_SECONDS = 30.0
FILL_MEMORY = "held = [bytearray(64 << 20) for _ in range(64)]"  # twice what a worker may have


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


def worker_flow_and_operator_killed(sweep: RunningSweep) -> None:
    """Kill at once what computes, what hands out the blocks, and what would look after both."""
    kill(sweep, PodRole.WORKER, PodRole.FLOW, parts=["operator"])


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


def storage_away(sweep: RunningSweep) -> None:
    """Hold the store for half a minute: connections stay, nothing is answered."""
    store = node_of(sweep).components["minio"]
    store.pause()
    time.sleep(OUTAGE_SECONDS)  # the length of the outage is what is tested
    store.resume()


def kubelet_restarted(sweep: RunningSweep) -> None:
    node = node_of(sweep)
    node.restart("kubelet")
    wait_until(node.is_ready, "the node to be ready again")


def worker_out_of_memory(sweep: RunningSweep) -> None:
    """Fill a worker's memory from inside, until the kernel or Ray kills for it."""
    worker = sweep.pods(PodRole.WORKER)[0]["metadata"]["name"]
    with pytest.raises(RefusedError, match="137"):
        sweep.release.cluster.kubectl(
            "exec", worker, f"--namespace={sweep.release.team}", "--", "python", "-c", FILL_MEMORY
        )


def node_of(sweep: RunningSweep) -> Node:
    """Return the node, whose programs are ours to stop."""
    assert isinstance(sweep.release.cluster, Node), "this stops programs of the cluster: it needs a node of our own"
    return sweep.release.cluster
