"""--set path=value: the document with one field changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backsweep_api.documents import document_from_tree
from backsweep_api.errors import SpecError
from backsweep_api.overrides import apply_set
from backsweep_api.validation import validate


def tree() -> dict[str, Any]:
    """Return a document's tree."""
    return {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "t"},
        "spec": {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"]}},
    }


GOOD = [
    ("axes.lookback=126,252", ("axes", "lookback"), [126, 252]),
    ("axes.lookback=126", ("axes", "lookback"), [126]),
    ("axes.lookback=[126, 252]", ("axes", "lookback"), [126, 252]),
    ("spec.axes.profile=hrp,nco", ("axes", "profile"), ["hrp", "nco"]),
    ("axes.profile={name: hrp, linkage: ward},nco", ("axes", "profile"), [{"name": "hrp", "linkage": "ward"}, "nco"]),
    ("axes.profile={name: hrp, linkage: ward}", ("axes", "profile"), [{"name": "hrp", "linkage": "ward"}]),
    ("axes.costs={slippageBps: 0}", ("axes", "costs"), [{"slippageBps": 0}]),
    ("axes.costs={slippageBps: 0},{slippageBps: 1}", ("axes", "costs"), [{"slippageBps": 0}, {"slippageBps": 1}]),
    ("axes.lookback={low: 21, high: 504}", ("axes", "lookback"), {"low": 21, "high": 504}),
    ("axes.constraints=null,{maxWeight: 0.1}", ("axes", "constraints"), [None, {"maxWeight": 0.1}]),
    ("axes.lookback=null", ("axes", "lookback"), None),
    ("walkForward.test=10", ("walkForward", "test"), 10),
    ("walkForward.anchored=yes", ("walkForward", "anchored"), True),
    ("data.start=2000-01-01", ("data", "start"), "2000-01-01"),
    ("data.name=other=1", ("data", "name"), "other=1"),
    ("objective.metric=cagr", ("objective", "metric"), "cagr"),
    ("strategy.parameters.window=10,20", ("strategy", "parameters", "window"), [10, 20]),
]


@pytest.mark.parametrize(("assignment", "path", "value"), GOOD, ids=[row[0] for row in GOOD])
def test_a_value_stands_where_the_path_says(assignment: str, path: tuple[str, ...], value: Any) -> None:
    before = tree()
    node = apply_set(before, assignment)["spec"]
    for name in path:
        node = node[name]
    assert node == value
    assert before == tree()


BAD = [
    ("axes.lokback=1", "--set axes.lokback=1: lokback is not a field of axes; did you mean lookback?"),
    ("axis.lookback=1", "--set axis.lookback=1: axis is not a field of spec; did you mean axes?"),
    ("walkforward.test=1", "--set walkforward.test=1: walkforward is not a field of spec; did you mean walkForward?"),
    ("objective.zzz=1", "--set objective.zzz=1: zzz is not a field of objective; objective has metric or goal"),
    ("suspend.now=1", "--set suspend.now=1: now is not a field of suspend; suspend has no fields"),
    ("axes.lookback", "--set axes.lookback: write path=value, such as axes.lookback=126,252"),
    ("=1", "--set =1: write path=value, such as axes.lookback=126,252"),
    ("data.0.name=x", "--set data.0.name=x: 0 is a place in a list, but the document has none there"),
    (
        "axes.profile.1=nco",
        "--set axes.profile.1=nco: 1 stands where the document has a list of 1; write a place from 0 to 0",
    ),
]


@pytest.mark.parametrize(("assignment", "problem"), BAD, ids=[row[0] for row in BAD])
def test_a_wrong_path_is_refused_with_the_nearest(assignment: str, problem: str) -> None:
    with pytest.raises(SpecError) as refused:
        apply_set(tree(), assignment)
    assert str(refused.value) == problem


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^--set axes\.lookback=\[1: the value is not YAML \("):
        apply_set(tree(), "axes.lookback=[1")


def test_a_place_in_a_list_is_a_number() -> None:
    listed = tree()
    listed["spec"]["data"] = [{"name": "a"}, {"name": "b"}]
    assert apply_set(listed, "data.1.start=2000-01-01")["spec"]["data"] == [
        {"name": "a"},
        {"name": "b", "start": "2000-01-01"},
    ]
    changed = apply_set(tree(), "axes.profile.0=nco")
    assert document_from_tree(changed).normalised()["spec"]["axes"]["profile"] == ["nco"]


def test_validate_says_what_is_wrong_with_what_was_set() -> None:
    text = json.dumps(tree())
    assert validate(text, "local", ["walkForward.test=10"]) == []
    suspended = tree()
    suspended["spec"]["suspend"] = True
    refused = validate(json.dumps(suspended), "local")
    assert len(refused) == 1
    assert validate(text, "local", ["suspend=true"]) == refused
    (told,) = validate(text, "cluster", ["walkForward.trian=1"])
    assert told.startswith("--set walkForward.trian=1: trian is not a field of walkForward; did you mean train?")
