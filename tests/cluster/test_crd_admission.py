"""A real API server refuses bad documents with the sentences of `backsweep validate`, and takes the good ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.control_plane import ControlPlane, RefusedError, wait_until

from backsweep_api.documents import document_from_tree
from backsweep_api.identity import spec_digest
from backsweep_api.tree import read_tree

ROOT = Path(__file__).parents[2]
TABLE: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/unit/api_refusals.yaml").read_text("utf-8"))
SENT = [row for row in TABLE if row["cluster"] != "client"]
STORAGE = {"uri": "s3://bucket/prefix"}
EXAMPLES = [
    path for path in sorted((ROOT / "examples").glob("*.yaml")) if "uri: file://" not in path.read_text("utf-8")
]


@pytest.fixture(scope="module")
def served(plane: ControlPlane) -> ControlPlane:
    """Install the definition and the policy, and wait until both are in force."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    bad = document({"data": {"uri": "file://p.csv"}})
    wait_until(lambda: "denied request" in answer(plane, bad), "the admission policy", 30)
    return plane


def document(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a document of a name, a profile and a store with `spec` over it."""
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    whole = {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"]}, "storage": STORAGE}
    return {**head, "spec": {**whole, **spec}}


def answer(plane: ControlPlane, tree: dict[str, Any]) -> str:
    """Return what kubectl says of a document that the server is asked to take, which is kept nowhere."""
    try:
        return plane.kubectl("create", "--dry-run=server", "--validate=ignore", "-f", "-", stdin=json.dumps(tree))
    except RefusedError as refused:
        return str(refused)


def says(text: str, sentence: str, who: str) -> bool:
    """Whether kubectl's answer has our sentence, whose path the API server writes by itself."""
    path, _, rest = sentence.partition(": ")
    if who == "crd":
        return bool(re.search(rf"{re.escape(path)}: Invalid value: .*: {re.escape(rest)}", text)) or sentence in text
    return sentence in text


@pytest.mark.parametrize("row", SENT, ids=[row["case"] for row in SENT])
def test_the_api_server_refuses_what_validate_refuses(served: ControlPlane, row: dict[str, Any]) -> None:
    (tree,) = read_tree(row["text"])
    if isinstance(tree.get("spec"), dict):
        tree["spec"].setdefault("storage", STORAGE)
    said = answer(served, tree)
    if row["cluster"] == "operator":
        assert "created" in said
        return
    assert "created" not in said
    for sentence in row.get("says", row["problems"]):
        assert says(said, sentence, row["cluster"]), said


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_a_good_document_keeps_its_identity_through_the_api_server(served: ControlPlane, path: Path) -> None:
    (tree,) = read_tree(path.read_text("utf-8"))
    tree["spec"]["storage"] = STORAGE
    stored = served.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(tree))
    assert spec_digest(document_from_tree(json.loads(stored))) == spec_digest(document_from_tree(tree))


def test_a_field_nobody_knows_is_refused_at_every_depth(served: ControlPlane) -> None:
    pod = {"env": [{"name": "A", "value": "b", "valueFrom": {}}]}
    said = answer(served, document({"cluster": {"workers": {"podTemplate": pod}}, "walk_forward": {}}))
    assert "spec.walk_forward: is not a field; write walkForward" in said
    assert "spec.cluster.workers.podTemplate.env[0].valueFrom: is not a field here; write name, value" in said


def test_a_stored_sweep_that_newer_rules_refuse_can_still_be_labelled_and_deleted(
    served: ControlPlane, namespace: str
) -> None:
    policy = "validatingadmissionpolicybinding/backtestsweeps.backsweep.dev"
    served.kubectl("delete", policy)
    tree = document({"data": {"uri": "file://p.csv"}}) | {"metadata": {"name": "old", "namespace": namespace}}
    wait_until(lambda: "created" in answer(served, tree), "the policy to be out of force", 30)
    served.apply(tree)
    served.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    wait_until(lambda: "denied request" in answer(served, tree), "the policy", 30)
    served.kubectl("label", "bts", "old", "team=a", f"--namespace={namespace}")
    with pytest.raises(RefusedError, match="is a file of one machine"):
        served.kubectl(
            "patch", "bts", "old", "--type=merge", '-p={"spec":{"suspend":true}}', f"--namespace={namespace}"
        )
    served.kubectl("delete", "bts", "old", f"--namespace={namespace}")


def test_a_sweep_at_every_bound_is_judged_within_the_cost_of_the_policy(served: ControlPlane) -> None:
    axes = {
        "profile": [{"name": "barbell", "sleeve": n + 1} for n in range(200)],
        "constraints": [{"maxWeight": 0.1 + n / 1_000} for n in range(100)],
        "costs": [{"slippageBps": n} for n in range(100)],
        "lookback": list(range(60, 1_060)),
        "universe": [{"name": f"u{n}", "symbols": [f"S{m}" for m in range(20)] + [f"N{n}"]} for n in range(100)],
    }
    assert "created" in answer(served, document({"axes": axes}))


def test_the_columns_show_the_state(served: ControlPlane, namespace: str) -> None:
    served.apply(document({}) | {"metadata": {"name": "shown", "namespace": namespace}})
    heads = served.kubectl("get", "bts", f"--namespace={namespace}").splitlines()[0].split()
    assert heads == ["NAME", "STATE", "DONE", "TRIALS", "FAILED", "COST", "BEST", "AGE"]
