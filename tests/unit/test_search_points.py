"""The points a search may propose: its first round, those by chance, those that are read back, and how many at most."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep_api.canonical import canonical_json
from backsweep_api.documents import document_from_tree
from backsweep_api.errors import SpecError
from backsweep_api.rounds import SearchSpace
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.spec.ranges import Range
from backsweep_api.trials import count_trials, distinct_trials, trials_at

AXES = {
    "profile": ["min_variance", {"name": "hrp", "linkage": "ward"}, "equal_weight"],
    "covariance": ["sample", "ledoit_wolf"],
    "lookback": {"low": 21, "high": 504},
    "linkage": ["single", "average"],
    "rebalance": ["window", "daily"],
}


def document(axes: dict[str, Any], sampling: dict[str, Any], **sections: Any) -> BacktestSweep:
    spec = {"data": {"name": "x"}, "axes": axes, "sampling": {"method": "search", **sampling}, **sections}
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    return document_from_tree({**head, "spec": spec})


def test_the_first_round_depends_on_the_seed_alone() -> None:
    first = [trial.id for trial in distinct_trials(document(AXES, {"count": 16, "seed": 1}))]
    assert first == [trial.id for trial in distinct_trials(document(AXES, {"count": 16, "seed": 1, "rounds": 3}))]
    assert len(first) == len(set(first)) == 16
    assert first != [trial.id for trial in distinct_trials(document(AXES, {"count": 16, "seed": 2}))]


def test_rounds_are_ten_unless_given() -> None:
    given = document(AXES, {"count": 4, "rounds": 10, "seed": 0})
    assert document(AXES, {"count": 4}).normalised() == given.normalised()


def test_a_first_round_that_sobol_leaves_short_is_filled_by_chance() -> None:
    axes = {
        "profile": ["hrp", "min_variance"],
        "covariance": ["sample", "oas", "ewma"],
        "rebalance": ["window", "daily"],
    }
    found = SearchSpace(document(axes, {"count": 12})).first_round()
    assert len({canonical_json(values) for values in found}) == 12  # all there are


def test_the_points_by_chance_are_all_that_are_not_excluded_each_once() -> None:
    axes = {**AXES, "lookback": {"low": 100, "high": 120, "step": 10}, "exclude": [{"profile": "min_variance"}]}
    space = SearchSpace(document(axes, {"count": 4}))
    found = [canonical_json(values) for values in space.by_chance(2)]
    assert len(found) == len(set(found)) == 2 * 3 * 2 + 1 * 2  # hrp: covariance, lookback, rebalance; equal weight
    assert found != [canonical_json(values) for values in space.by_chance(3)]
    assert sorted(found) == sorted(canonical_json(values) for values in space.by_chance(3))


def test_points_of_ranges_without_a_step_come_by_chance_too() -> None:
    strategy = {"entrypoint": "a:b", "parameters": {"w": {"low": 1, "high": 100, "log": True}, "n": [1, 2]}}
    space = SearchSpace(document({}, {"count": 4}, strategy=strategy))
    found = [values["parameters.w"] for values in islice(space.by_chance(2), 400)]
    assert len(set(found)) == 400
    assert sum(value < 10 for value in found) == pytest.approx(200, abs=40)  # even in the logarithm


def test_values_make_the_trials_they_came_from() -> None:
    searched = document({**AXES, "costs": [{"slippageBps": 5}, {"slippageBps": 9}]}, {"count": 16})
    space = SearchSpace(searched)
    assert list(trials_at(searched, space.first_round())) == list(distinct_trials(searched))
    assert all(trial.values["linkage"] == "ward" for trial in distinct_trials(searched) if "linkage" in trial.values)


@pytest.mark.parametrize(
    "change",
    [{"lookback": 20}, {"lookback": 21.5}, {"lookback": True}, {"rebalance": "hourly"}, {"linkage": "ward"}],
)
def test_what_is_no_point_of_the_axes_is_refused(change: dict[str, Any]) -> None:
    searched = document(AXES, {"count": 16})
    (values, *_) = [each for each in SearchSpace(searched).first_round() if each["profile"] == "min_variance"]
    with pytest.raises(SpecError, match="is no point of these axes"):
        list(trials_at(searched, [{**values, **change}]))


def test_the_count_is_the_most_there_can_be() -> None:
    assert count_trials(document(AXES, {"count": 8, "rounds": 5})) == 40
    costs = [{"slippageBps": 5}, {"slippageBps": 9}]
    assert count_trials(document({**AXES, "costs": costs}, {"count": 8, "rounds": 5})) == 80
    few = {"profile": ["hrp", "min_variance"], "rebalance": ["window", "daily"]}
    assert count_trials(document(few, {"count": 8, "rounds": 5})) == 4
    stepped = {"profile": ["hrp"], "lookback": {"low": 100, "high": 130, "step": 15}}
    assert count_trials(document(stepped, {"count": 8, "rounds": 5})) == 3


def test_a_search_needs_an_objective_of_each_trial_and_at_most_a_million_trials() -> None:
    with pytest.raises(SpecError, match=r"spec\.objective\.metric: found dsr, .* write psr"):
        document(AXES, {"count": 4}, objective={"metric": "dsr"})
    with pytest.raises(SpecError, match=r"spec\.sampling\.count: found 2,000,000 trials"):
        document(AXES, {"count": 200_000, "rounds": 10})


@settings(deadline=None, max_examples=200)
@given(
    st.floats(0.001, 1e4),
    st.floats(0.1, 1e6),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 40)),
    st.floats(0, 1, exclude_max=True),
)
def test_a_value_that_is_drawn_is_held_and_stands_where_it_was_drawn(
    low: float, width: float, log: bool, steps: int | None, fraction: float
) -> None:
    written = {"low": low, "high": low + width, "log": log}
    span = Range.model_validate(written if steps is None else {**written, "step": width / steps})
    value = span.at(fraction)
    assert span.holds(value)
    assert 0 <= span.fraction(value) <= 1
    if steps is None:
        assert span.fraction(value) == pytest.approx(fraction, abs=1e-5)
    else:
        assert span.count in (steps, steps + 1)
