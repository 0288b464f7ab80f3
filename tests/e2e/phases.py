"""`python -m tests.e2e.phases FILE`: apply a sweep to the node's release and say where the time goes until it is over.

FILE is applied in the namespace `quant`, or in that which TEAM names. What happens inside the flow is read in its log.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from tests.cluster.binaries import say
from tests.cluster.clusters import wait_until
from tests.cluster.node.node import open_node
from tests.cluster.node.places import node_folder
from tests.e2e.releases import condition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.cluster.clusters import Object

FLOW, HEAD, WORKER = "flow", "head", "worker"
LINE = re.compile(r"^(\S+) .*(?:Task run '([a-z ]+)' - Finished|(Beginning flow run))", re.MULTILINE)
SECONDS_TO_END = 1800.0
# Phase: from when until when.
PHASES = {
    "accepted, and its cluster asked for": ("applied", "cluster made"),
    "flow run taken by the worker: Job made": ("cluster made", "job made"),
    "flow up: pod begun, imports": ("job made", "Beginning flow run"),
    "data and plan": ("Beginning flow run", "plan"),
    "cluster ready, beside flow up": ("cluster made", "cluster ready"),
    "waiting for the cluster, then compute": ("plan", "solve and simulate"),
    "aggregation: compare, baseline, tables, names": ("solve and simulate", "name units"),
    "commit": ("name units", "commit"),
    "report and run folder": ("commit", "run folder"),
    "pod ended, seen by the operator": ("run folder", "stopping"),
    "cluster deleted: Complete": ("stopping", "complete"),
    "all from apply to Complete": ("applied", "complete"),
    "last pod of the cluster gone, after Complete": ("complete", "pods gone"),
}


def role(each: Object) -> str:
    found: str = each["metadata"].get("labels", {}).get("backsweep.dev/role", "")
    return found


def facts(found: Sequence[Object]) -> dict[str, bool]:
    """Return what is so at this moment."""
    kinds = {kind: [each for each in found if each["kind"] == kind] for kind in {each["kind"] for each in found}}
    clusters, jobs, pods = (kinds.get(kind, []) for kind in ("RayCluster", "Job", "Pod"))
    (sweep,) = kinds["BacktestSweep"]
    complete = condition(sweep, "Complete")
    ended = complete.get("status") == "True" or condition(sweep, "Failed").get("status") == "True"
    return {
        "cluster made": bool(clusters),
        "job made": bool(jobs),
        "cluster ready": any(each.get("status", {}).get("state") == "ready" for each in clusters),
        "stopping": ended or complete.get("reason") == "Stopping",
        "complete": ended,
        "pods gone": ended and not clusters and not any(role(each) in (HEAD, WORKER) for each in pods),
    }


def watch(look: Callable[[], list[Object]]) -> dict[str, float]:
    """Look again and again until all is over; return when each fact was first seen."""
    seen: dict[str, float] = {}

    def over() -> bool:
        for name, holds in facts(look()).items():
            if holds:
                seen.setdefault(name, time.time())
        return "pods gone" in seen

    wait_until(over, "the sweep to end and its pods to go", SECONDS_TO_END)
    return seen


def flow_times(log: str) -> dict[str, float]:
    """Read when the flow began and when its stages ended; of what was tried again, the last."""
    return {stage or begun: datetime.fromisoformat(at).timestamp() for at, stage, begun in LINE.findall(log)}


def main(arguments: Sequence[str]) -> int:
    node, team = open_node(node_folder()), os.environ.get("TEAM", "quant")
    document = yaml.safe_load(Path(arguments[0]).read_text(encoding="utf-8"))
    selector = f"backsweep.dev/sweep={document['metadata']['name']}"

    def look() -> list[Object]:
        sweep = node.get("backtestsweep", document["metadata"]["name"], team)
        said = node.kubectl("get", "rayclusters,jobs,pods", f"--namespace={team}", f"-l{selector}", "--output=json")
        found: list[Object] = json.loads(said)["items"]
        return [sweep, *found]

    applied = time.time()
    node.kubectl("apply", f"--namespace={team}", "-f", arguments[0])
    times = {"applied": applied, **watch(look)}
    log = node.kubectl(
        "logs", f"-l{selector},backsweep.dev/role={FLOW}", f"--namespace={team}", "--timestamps", "--tail=-1"
    )
    times |= flow_times(log)
    say("| phase | s |\n|---|---|")
    for name, (begin, end) in PHASES.items():
        if begin in times and end in times:
            say(f"| {name} | {times[end] - times[begin]:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
