"""Fuzzed manifests that are really there, with an operator running: each ends in a RayCluster or in a sentence.

First those the API server accepts, with definition and policy; then all, past both, as an older release could have
stored them. The operator stays alive, finds no bug in itself, and looks at none of them without end.
BACKSWEEP_FUZZ_CREATED says how many of each kind: KubeRay makes all their pods, four clusters a second.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator

import pytest
from tests.cluster.api_calls import ApiCalls, sweeps_of
from tests.cluster.control_plane import ControlPlane, Object, wait_until
from tests.cluster.fuzz import ROOT, Tree, document_of, manifest
from tests.cluster.operators import Operator, install_definition, start, sweep_definition
from tests.cluster.processes import Ports
from tests.cluster.stand_ins import operators, stand_in

from backsweep_api.errors import InvariantError
from backsweep_api.validation import validate

SEED = int(os.environ.get("BACKSWEEP_FUZZ_SEED", "1"))
CREATED = int(os.environ.get("BACKSWEEP_FUZZ_CREATED", "40"))
# One for each thing a sweep makes and each word of it that comes back; far below what a loop would need.
MOST_PASSES = 40
ADMISSION = ROOT / "crds" / "backsweep.dev_admission.yaml"
SHORTEST_SENTENCE = 15
LEVELS = (45, 900, 5_000)


@pytest.fixture
def serving(plane: ControlPlane, namespace: str, ports: Ports) -> Iterator[Operator]:
    # Its lease outlives a busy machine: who ends for its lease is another test's matter.
    settings = {"BACKSWEEP_MAX_CONCURRENT_SWEEPS": str(2 * CREATED), "BACKSWEEP_LEASE_SECONDS": "300"}
    with (
        stand_in(plane, ports) as prefect,
        operators(plane, namespace, ports, prefect, settings) as (found,),
    ):
        start(found)
        wait_until(found.leads, "the operator leads")
        yield found


@pytest.fixture
def deep() -> Iterator[None]:
    """Let json here, too, write and read what the API server takes."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(25_000)
    yield
    sys.setrecursionlimit(before)


def make(calls: ApiCalls, namespace: str, trees: Iterable[Tree]) -> Iterator[str]:
    """Store what the API server takes, under names of their own, and yield these."""
    for number, tree in enumerate(trees):
        name = f"fuzz-{number}"
        if calls.send("POST", sweeps_of(namespace), {**tree, "metadata": {"name": name}}).accepted:
            yield name


def ended(calls: ApiCalls, namespace: str) -> dict[str, str]:
    """Return of each sweep that has come to something what that is: its RayCluster or a sentence, or that it begins."""
    found = {}
    clusters = calls.send("GET", f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters").body["items"]
    owners = {owner["name"] for each in clusters for owner in each["metadata"]["ownerReferences"]}
    for item in calls.send("GET", sweeps_of(namespace)).body["items"]:
        name, status = item["metadata"]["name"], item.get("status", {})
        told = {each["type"]: each for each in status.get("conditions", ())}
        if name in owners:
            found[name] = "RayCluster"
        elif "Accepted" in told and told["Accepted"]["status"] == "False":
            found[name] = told["Accepted"]["message"]
        elif "Complete" in told and (not status["run"]["workers"] if "run" in status else told["Complete"]["message"]):
            found[name] = told["Complete"]["message"]
    return found


def look(calls: ApiCalls, namespace: str, serving: Operator, made: list[str]) -> dict[str, str]:
    """Wait until each sweep has come to something, and see that the operator bore it."""
    wait_until(lambda: set(made) <= ended(calls, namespace).keys(), "each sweep to come to something", 400)
    assert serving.process.alive()
    assert serving.ask("/healthz") == (200, "ok\n")
    assert f'backsweep_passes_total{{end="{InvariantError.reason}"}}' not in serving.ask("/metrics")[1]
    wait_until(lambda: serving.count("backsweep_queue_depth") <= len(made), "no more than one wait for each")
    assert serving.count("backsweep_passes_total") < MOST_PASSES * len(made)
    return ended(calls, namespace)


def test_what_the_api_server_accepts_runs_or_is_told_in_a_sentence(
    plane: ControlPlane, namespace: str, serving: Operator, calls: ApiCalls
) -> None:
    plane.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ADMISSION}")
    nothing = document_of({"data": {}, "storage": {"uri": "s3://bucket/prefix"}})
    dry = f"{sweeps_of(namespace)}?dryRun=All"
    wait_until(lambda: "denied request" in calls.send("POST", dry, nothing).message, "the admission policy", 30)
    good = (tree for tree in (manifest(SEED, number).tree for number in range(20 * CREATED)) if right(tree))
    made = list(itertools.islice(make(calls, namespace, good), CREATED))
    assert len(made) == CREATED
    found = look(calls, namespace, serving, made)
    assert sum(what == "RayCluster" for what in found.values()) > CREATED // 10
    assert all(len(what) >= SHORTEST_SENTENCE for what in found.values() if what != "RayCluster"), found
    plane.kubectl("delete", "backtestsweeps", "--all", f"--namespace={namespace}", "--wait=false")


def right(tree: Tree) -> bool:
    """Whether nothing is wrong with a document that can be known without a namespace, and it is to run."""
    return not validate(json.dumps(tree), "cluster")


@pytest.fixture
def unchecked(plane: ControlPlane, serving: Operator) -> Iterator[None]:
    """Take definition and policy out of force, and bring the definition back however the test ends."""
    plane.kubectl("delete", "--ignore-not-found", f"--filename={ADMISSION}")
    force = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    plane.kubectl(*force, stdin=json.dumps(sweep_definition()))
    yield
    install_definition(plane)


@pytest.mark.usefixtures("deep", "unchecked")
def test_what_nothing_has_checked_is_not_accepted_and_no_crash(
    plane: ControlPlane, namespace: str, serving: Operator, calls: ApiCalls
) -> None:
    trees = [manifest(SEED, number).tree for number in range(3 * CREATED)]
    trees += [document_of({**trees[0]["spec"], "x": nested(levels)}) for levels in LEVELS]
    dry = f"{sweeps_of(namespace)}?dryRun=All"
    wait_until(lambda: calls.send("POST", dry, document_of({"data": 1})).accepted, "everything to be taken", 30)
    made = list(make(calls, namespace, trees))
    assert len(made) > 2 * CREATED
    found = look(calls, namespace, serving, made)
    for name in made:
        problems = validate(json.dumps(trees[int(name.removeprefix("fuzz-"))]), "cluster")
        assert not problems or found[name] != "RayCluster", f"{name} runs, but {problems}"
    plane.kubectl("delete", "backtestsweeps", "--all", f"--namespace={namespace}", "--wait=false")


def nested(levels: int) -> Object:
    """Return a mapping of so many mappings."""
    found: Object = {}
    for _ in range(levels):
        found = {"a": found}
    return found
