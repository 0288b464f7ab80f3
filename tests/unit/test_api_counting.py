"""Whatever a document asks for, it is read and counted at once: each of these took seconds to years, or crashed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backsweep_api.documents import document_from_tree
from backsweep_api.trials import count_trials, distinct_trials, most_trials
from backsweep_api.validation import validate
from backsweep_operator.projections import sweep_view

PROFILES = [{"name": "barbell", "sleeve": number} for number in range(1, 201)]
LOOKBACKS = list(range(60, 1_060))


def tree(**spec: Any) -> dict[str, Any]:
    meta = {"name": "t", "namespace": "n", "uid": "u", "resourceVersion": "1"}
    whole = {"data": {"name": "sp500-20"}, "storage": {"uri": "s3://bucket/prefix"}, **spec}
    return {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": meta, "spec": whole}


def test_a_range_beside_an_exclusion_is_refused_and_not_gone_through() -> None:
    strategy = {"entrypoint": "a:b", "parameters": {"decay": {"low": 0, "high": 1e12, "step": 0.3}}}
    axes = {"profile": ["strategy", "hrp"], "exclude": [{"profile": "hrp"}]}
    assert validate(json.dumps(tree(strategy=strategy, axes=axes, cluster={"image": "a"})), "cluster") == [
        "spec.strategy.parameters.decay: found a range, which grid cannot list; write a list, or sampling.method sobol "
        "or search"
    ]


def test_exclusions_are_looked_up_and_not_compared_with_each_value_of_each_profile() -> None:
    exclude = [{"lookback": 60, "profile": profile} for profile in PROFILES]
    axes = {"profile": PROFILES, "lookback": LOOKBACKS, "rebalance": ["daily", "window"], "exclude": exclude}
    view = sweep_view(tree(axes=axes))
    assert view.problems == ()
    assert view.trials == 200 * 999 * 2
    unknown = [{"lookback": 7, "profile": profile} for profile in PROFILES]
    assert len(validate(json.dumps(tree(axes={**axes, "exclude": unknown})), "cluster")) == 200


def test_points_that_are_drawn_are_not_drawn_to_be_counted() -> None:
    axes = {"profile": ["hrp", "min_variance"], "lookback": {"low": 1, "high": 100_000}}
    view = sweep_view(tree(axes=axes, sampling={"method": "sobol", "count": 1_000_000}))
    assert view.trials == 200_000


def test_a_sample_that_exclusions_leave_nothing_of_is_no_crash() -> None:
    axes = {"profile": PROFILES, "lookback": LOOKBACKS, "exclude": [{"lookback": rows} for rows in LOOKBACKS[:200]]}
    view = sweep_view(tree(axes=axes, sampling={"method": "random", "count": 200_000}))
    assert (view.problems, view.trials) == ((), 200_000)


@pytest.mark.parametrize("method", ["grid", "random"])
def test_the_most_there_can_be_is_all_of_a_grid_and_no_fewer_than_are_drawn(method: str) -> None:
    axes = {
        "profile": ["hrp", {"name": "hrp", "linkage": "ward"}, {"name": "hrp", "risk": "std"}, "max_sharpe"],
        "linkage": ["single", "ward"],
        "lookback": [126, 252],
        "costs": [{}, {"slippageBps": 9}],
        "engine": ["native", "pyportfolioopt"],
        "exclude": [{"linkage": "ward", "lookback": 126}, {"costs": {"slippageBps": 9}, "profile": "max_sharpe"}],
    }
    sampling = {"method": method} if method == "grid" else {"method": method, "count": 5}
    document = document_from_tree(tree(axes=axes, sampling=sampling))
    made = len(list(distinct_trials(document)))
    assert count_trials(document) == made
    assert most_trials(document) == made if method == "grid" else most_trials(document) >= made


@pytest.mark.parametrize("levels", [41, 900, 5_000])
@pytest.mark.parametrize("place", ["data", "x"])
def test_what_is_nested_too_deep_for_any_reader_is_not_accepted_and_no_crash(place: str, levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    view = sweep_view(tree(**{"axes": {"profile": ["hrp"]}, place: value}))
    assert view.problems == ("the document: is nested more than 40 levels deep; write fewer levels",)
