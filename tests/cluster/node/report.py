"""What is up, in a few lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.clusters import RefusedError
from tests.cluster.node.enclosure import Enclosure
from tests.cluster.node.images import loaded_images
from tests.cluster.node.node import Node, open_node
from tests.cluster.node.storage import BUCKET, ENDPOINT
from tests.cluster.processes import NotReadyError

if TYPE_CHECKING:
    from pathlib import Path


def describe(folder: Path) -> tuple[list[str], bool]:
    """Say of each program whether it serves, then what the node is like; and whether all is well."""
    if Enclosure(folder).pid is None:
        return ["the node is not up"], False
    node = open_node(folder)
    states = {name: state_of(node, name) for name in node.components}
    lines = [f"{name:24} {state}" for name, state in states.items()]
    try:
        ready = node.is_ready()
        phases = node.kubectl("get", "pods", "--all-namespaces", "--output=jsonpath={.items[*].status.phase}").split()
        running = f"{phases.count('Running')} pods of {len(phases)} run"
        lines.append(f"{'node':24} {'ready' if ready else 'not ready'}, {running}")
        lines.append(f"{'images':24} {', '.join(loaded_images(node.enclosure))}")
    except (NotReadyError, RefusedError) as error:
        ready = False
        lines.append(f"{'node':24} not known: {error}")
    lines.append(f"{'storage':24} s3://{BUCKET} at {ENDPOINT}, keys in {folder / 'storage.json'}")
    lines.append(f"{'logs':24} {folder}/*.log")
    return lines, ready and set(states.values()) <= {"serves", "runs"}


def state_of(node: Node, name: str) -> str:
    if not node.components[name].alive():
        return "has ended"
    if name not in node.probes:
        return "runs"
    return "serves" if node.serves(node.probes[name]) else "runs but does not answer"
