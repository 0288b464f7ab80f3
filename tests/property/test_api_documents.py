"""Properties of documents and trials, on documents made at random."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep_api.canonical import canonical_json, short_digest
from backsweep_api.documents import document_from_tree, read_document
from backsweep_api.errors import SpecError
from backsweep_api.identity import result_fields, spec_digest
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.trials import count_trials, distinct_trials, solve_axes

few = settings(max_examples=50)  # each example reads several documents

SIMPLE = ["equal_weight", "benchmark", "max_sharpe", "min_cvar", "hrp", "herc", "nco", "risk_parity"]
OWN = [
    {"name": "hrp", "linkage": "ward"},
    {"name": "hrp", "leafOrder": True},
    {"name": "barbell", "core": "min_cvar"},
    {"name": "barbell", "core": "nco", "sleeve": 2},
    {"name": "min_cvar", "confidence": 0.9},
]
COVARIANCES = ["sample", "oas", "ewma", {"name": "ewma", "halfLife": 20}, {"name": "gerber", "threshold": 0.25}]
CONSTRAINTS = [None, {"maxWeight": 0.5}, {"minWeight": -1, "net": 0, "gross": 2}, {"turnoverLimit": 1}]
COSTS = [{}, {"slippageBps": 0}, {"commissionBps": 2.5}, {"borrowRate": "0.020"}]


def some(values: list[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    """Return a strategy for a few distinct of `values`."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique_by=lambda value: canonical_json(value))


AXES = st.fixed_dictionaries(
    {"profile": some([*SIMPLE, *OWN], 5)},
    optional={
        "covariance": some(COVARIANCES),
        "expectedReturns": some(["mean", "ewma", "bayes_stein"]),
        "lookback": some([63, 126, 252]),
        "linkage": some(["single", "average", "complete", "ward"]),
        "leafOrder": some([False, True]),
        "rebalance": some(["window", "daily"]),
        "constraints": some(CONSTRAINTS),
        "costs": some(COSTS),
    },
)
EXCLUDED = st.lists(
    st.fixed_dictionaries(
        {}, optional={"profile": st.sampled_from([*SIMPLE, *OWN]), "lookback": st.sampled_from([63, 126, 252])}
    ),
    max_size=2,
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """Return the tree of a good document."""
    axes = draw(AXES)
    spec: dict[str, Any] = {"data": draw(st.sampled_from([{"name": "a"}, [{"name": "a"}, {"name": "b"}]]))}
    spec["axes"] = axes | {"exclude": draw(EXCLUDED)}
    spec["walkForward"] = draw(st.sampled_from([{}, {"test": 10}, {"test": 10, "step": 5}, {"purge": 3.0}]))
    spec["validation"] = draw(st.sampled_from([{}, {"holdout": 252}, {"holdout": "2020-01-01"}]))
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    tree: dict[str, Any] = {**head, "spec": spec}
    if _problems(tree):
        spec["axes"] = axes  # what was to be excluded is not there
    return tree


def _problems(tree: dict[str, Any]) -> tuple[str, ...]:
    try:
        document_from_tree(tree)
    except SpecError as refused:
        return refused.problems
    return ()


def respelled(value: Any, draw: Callable[..., Any]) -> Any:
    """Return the same document with keys in another order, integers as floats and nulls in between."""
    if isinstance(value, dict):
        items = draw(st.permutations(list(value.items())))
        return {key: respelled(item, draw) for key, item in items}
    if isinstance(value, list):
        return [respelled(item, draw) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return draw(st.sampled_from([value, float(value)]))
    return value


@few
@given(trees())
def test_the_normal_form_is_a_document_whose_normal_form_it_is(tree: dict[str, Any]) -> None:
    document = document_from_tree(tree)
    normal = document.normalised()
    again = document_from_tree(normal)
    assert again.normalised() == normal
    assert spec_digest(again) == spec_digest(document)
    assert json.loads(canonical_json(normal)) == normal


@few
@given(trees(), st.data())
def test_key_order_and_the_spelling_of_numbers_change_nothing(tree: dict[str, Any], data: st.DataObject) -> None:
    document = document_from_tree(tree)
    other = document_from_tree(respelled(tree, data.draw))
    assert canonical_json(other.normalised()) == canonical_json(document.normalised())
    assert spec_digest(other) == spec_digest(document)
    assert list(distinct_trials(other)) == list(distinct_trials(document))


@few
@given(trees())
def test_yaml_and_json_carry_the_same_document(tree: dict[str, Any]) -> None:
    document = document_from_tree(tree)
    assert read_document(yaml.safe_dump(tree)) == document
    assert read_document(json.dumps(tree, indent=1)) == document


def live_values(point: dict[str, Any]) -> dict[str, Any]:
    """Return what a profile reads of a point of the whole grid: the definition, written out again."""
    profile = point["profile"] if isinstance(point["profile"], dict) else {"name": point["profile"]}
    solved = profile.get("core", "min_variance") if profile["name"] == "barbell" else profile["name"]
    live = {"universe": "all", "rebalance": point["rebalance"]}
    if solved != "benchmark":
        live["constraints"] = point["constraints"]
    if solved not in ("benchmark", "equal_weight"):
        live["lookback"] = point["lookback"]
        if solved != "min_cvar":
            live["covariance"] = point["covariance"]
    if solved == "max_sharpe":
        live["expectedReturns"] = point["expectedReturns"]
    if solved in ("hrp", "herc", "nco"):
        live["linkage"] = profile.get("linkage") or point["linkage"] or ("single" if solved == "hrp" else "ward")
    if solved == "hrp":
        live["leafOrder"] = profile.get("leafOrder", point["leafOrder"]) or False
    rest = {key: value for key, value in profile.items() if key not in ("linkage", "leafOrder")}
    live["profile"] = rest if len(rest) > 1 else rest["name"]
    return live | {axis: point[axis] for axis in ("data", "engine", "costs")}


def whole_grid(document: BacktestSweep) -> list[dict[str, Any]]:
    """Return the live values of every point of the grid, dead axes multiplied in."""
    fields = result_fields(document)
    axes = {"linkage": [None], "leafOrder": [None], **fields["axes"]}
    axes.pop("exclude")
    axes["data"] = [entry["name"] for entry in fields["data"]]
    return [live_values(dict(zip(axes, point, strict=True))) for point in itertools.product(*axes.values())]


@few
@given(trees())
def test_trials_are_the_distinct_points_of_the_whole_grid_and_exclusions_apart(tree: dict[str, Any]) -> None:
    document = document_from_tree(tree)
    excluded = []
    for named in tree["spec"]["axes"].get("exclude", []):
        point = {
            "rebalance": "",
            "constraints": "",
            "lookback": 0,
            "covariance": "",
            "expectedReturns": "",
            "linkage": "",
        }
        point |= {"leafOrder": None, "data": "", "engine": "", "costs": "", "profile": named.get("profile", "hrp")}
        profile = live_values(point)["profile"]
        own = named.get("profile") if isinstance(named.get("profile"), dict) else {}
        fixed = {axis: own[axis] for axis in ("linkage", "leafOrder") if own and axis in own}
        excluded.append({**named, **({"profile": profile} if "profile" in named else {}), **fixed})
    expected = {
        short_digest(values)
        for values in whole_grid(document)
        if not any(all(axis in values and values[axis] == rule[axis] for axis in rule) for rule in excluded)
    }
    found = list(distinct_trials(document))
    assert {trial.id for trial in found} == expected
    assert len(found) == len(expected) == count_trials(document)


@few
@given(trees())
def test_names_are_digests_and_bases_stand_first_in_each_point(tree: dict[str, Any]) -> None:
    document = document_from_tree(tree)
    seen: set[str] = set()
    for trial in distinct_trials(document):
        assert trial.id == short_digest(trial.values)
        assert trial.solve == short_digest({axis: trial.values[axis] for axis in solve_axes(trial.values)})
        assert trial.base == (trial.point not in seen)
        seen.add(trial.point)


@few
@given(trees(), st.integers(0, 5), st.integers(1, 10))
def test_a_random_sample_is_distinct_seeded_and_of_the_grid(tree: dict[str, Any], seed: int, count: int) -> None:
    grid = {trial.id: trial for trial in distinct_trials(document_from_tree(tree))}
    points = len({trial.point for trial in grid.values()})
    sampling = {"method": "random", "count": min(count, points), "seed": seed}
    sampled = document_from_tree({**tree, "spec": {**tree["spec"], "sampling": sampling}})
    found = list(distinct_trials(sampled))
    assert found == list(distinct_trials(sampled))
    assert len({trial.point for trial in found}) == min(count, points)
    assert all(grid[trial.id] == trial for trial in found)


SCRAPS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    ("data",), ("axes",), ("axes", "profile"), ("axes", "lookback"), ("axes", "costs"), ("axes", "exclude"),
    ("axes", "universe"), ("axes", "constraints"), ("walkForward",), ("walkForward", "test"), ("sampling",),
    ("strategy",), ("strategy", "parameters"), ("cluster",), ("storage",), ("validation", "holdout"), ("budget",),
]  # fmt: skip


@few
@given(trees(), st.sampled_from(PLACES), SCRAPS)
def test_whatever_stands_in_a_field_is_read_or_told_in_sentences(
    tree: dict[str, Any], place: tuple[str, ...], scrap: Any
) -> None:
    node = tree["spec"]
    for name in place[:-1]:
        node = node.setdefault(name, {})
    node[place[-1]] = scrap
    problems = _problems(tree)
    for problem in problems:
        assert problem.startswith(("spec", "metadata", "the document"))
        assert ": " in problem
    if not problems:
        document = document_from_tree(tree)
        assert document_from_tree(document.normalised()).normalised() == document.normalised()
