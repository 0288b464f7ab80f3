"""Fuzzed manifests: each is refused with a sentence or runs, the cluster says what validate says, nothing crashes.

As many as BACKSWEEP_FUZZ says are read here, and every tenth is sent to the API server; BACKSWEEP_FUZZ=10000 and
BACKSWEEP_FUZZ_SENT=1 are for a night. BACKSWEEP_FUZZ_SEED chooses others. A failure prints the seed, the number and
the smallest document that fails the same way.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.cluster.api_calls import Answer, ApiCalls, sweeps_of
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.fuzz import GOOD, ROOT, Manifest, Tree, document_of, manifest, smallest
from tests.cluster.fuzz_agreement import disagreement, judge
from tests.cluster.fuzz_children import children_of
from tests.cluster.fuzz_grammar import SCHEMA
from tests.cluster.fuzz_text import mangled_text

from backsweep_api.documents import document_from_tree
from backsweep_api.identity import spec_digest
from backsweep_api.validation import validate

SEED = int(os.environ.get("BACKSWEEP_FUZZ_SEED", "1"))
COUNT = int(os.environ.get("BACKSWEEP_FUZZ", "5000"))
EVERY = int(os.environ.get("BACKSWEEP_FUZZ_SENT", "10"))
PARTS = range(10)  # so that no test takes longer than one may, on a machine that is busy
LONGEST_SENTENCE = 2_000
SWEEPS = sweeps_of("default")
# As Helm and controllers send it: without what kubectl alone would notice.
DRY = "?dryRun=All&fieldValidation=Ignore"


@pytest.fixture(scope="module")
def ask(plane: ControlPlane) -> Iterator[Callable[[Tree], Answer]]:
    """Install definition and policy, and give what asks the API server to take a document and keeps it nowhere."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    local = threading.local()
    opened: list[ApiCalls] = []

    def send(tree: Tree) -> Answer:
        if not hasattr(local, "calls"):
            local.calls = ApiCalls(plane)
            opened.append(local.calls)
        answer: Answer = local.calls.send("POST", SWEEPS + DRY, tree)
        return answer

    nothing = document_of({"data": {}, "storage": {"uri": "s3://bucket/prefix"}})
    wait_until(lambda: "denied request" in send(nothing).message, "the admission policy", 30)
    yield send
    for calls in opened:
        calls.close()


def failed(found: Manifest, told: str, still: Callable[[Tree], bool]) -> str:
    """Return what is printed of a manifest that fails."""
    least = json.dumps(smallest(found.tree, still), ensure_ascii=True)
    return f"{found}: {told}\nthe smallest that fails as well: {least}"


def crashes(tree: Tree) -> bool:
    """Whether reading a document or deciding on it raises anything."""
    try:
        told = validate(json.dumps(tree), "cluster")
        if not told:
            children_of(tree)
    except Exception:
        return True
    return not all(map(is_sentence, told))


def is_sentence(text: str) -> bool:
    """Whether a problem names a place and says something of it."""
    return re.match(r".+: \S|the (text|document) ", text) is not None and len(text) > 15


def test_between_the_good_documents_every_field_is_given() -> None:
    given = {name for spec in GOOD for name in names_in(spec)}
    known = {name for model in SCHEMA["$defs"].values() for name in model.get("properties", {})}
    metadata = set(SCHEMA["$defs"]["Metadata"]["properties"])
    of_a_node_pool = set(SCHEMA["$defs"]["NodePool"]["properties"]) | {"nodePool"}  # no release does that yet
    assert known - metadata - of_a_node_pool - given == set()
    for spec in GOOD:
        assert [
            each for each in validate(json.dumps(document_of(spec)), "cluster") if "of one machine" not in each
        ] == []


def names_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from names_in(below)


def test_the_same_seed_gives_the_same_manifests_and_most_are_wrong() -> None:
    assert [manifest(7, number) for number in range(50)] == [manifest(7, number) for number in range(50)]
    accepted = [not validate(manifest(SEED, number).text, "cluster") for number in range(500)]
    assert 0.15 < sum(accepted) / len(accepted) < 0.6


@pytest.mark.parametrize("part", PARTS)
def test_each_is_refused_with_a_sentence_or_has_children_that_can_be_made(part: int) -> None:
    for number in range(part, COUNT, len(PARTS)):
        found = manifest(SEED, number)
        if crashes(found.tree):
            pytest.fail(failed(found, "is neither refused with a sentence nor decided on", crashes))


def test_text_that_is_hardly_yaml_is_refused_with_a_sentence() -> None:
    for number in range(COUNT // 10):
        text = mangled_text(SEED, number)
        assert all(map(is_sentence, validate(text, "cluster"))), f"seed {SEED}, text {number}: {text!a}"


@pytest.mark.parametrize("part", PARTS)
def test_the_api_server_and_validate_say_the_same(ask: Callable[[Tree], Answer], part: int) -> None:
    def disagrees(tree: Tree) -> bool:
        return disagreement(judge(json.dumps(tree)), ask(tree)) is not None

    def look(number: int) -> str | None:
        found = manifest(SEED, number)
        answer, verdict = ask(found.tree), judge(found.text)
        told = disagreement(verdict, answer)
        if told is not None:
            return failed(found, told[:LONGEST_SENTENCE], disagrees)
        if answer.accepted and not verdict.problems:
            assert spec_digest(document_from_tree(answer.body)) == spec_digest(document_from_tree(found.tree)), str(
                found
            )
        return None

    with ThreadPoolExecutor(4) as asking:
        wrong = [told for told in asking.map(look, range(part, COUNT, EVERY * len(PARTS))) if told]
    assert wrong == []


def test_children_of_what_is_accepted_are_taken_by_the_api_server(plane: ControlPlane, namespace: str) -> None:
    calls = ApiCalls(plane)
    sent = 0
    for number in range(0, COUNT, EVERY):
        found = manifest(SEED, number)
        for path, child in children_of(on_ray(found.tree), namespace):
            answer = calls.send("POST", f"{path}?dryRun=All&fieldValidation=Strict", child)
            sent += 1
            assert answer.accepted, f"{found}: {child['kind']} is refused: {answer.message}"
    assert sent > COUNT // EVERY // 4
    calls.close()


def on_ray(tree: Tree) -> Tree:
    """Return a document that wants a cluster, however few its trials are; one that is wrong there stays as it is."""
    spec = tree.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("execution", {}), dict):
        return tree
    return {**tree, "spec": {**spec, "execution": {**spec.get("execution", {}), "mode": "ray"}}}
