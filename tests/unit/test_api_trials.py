"""From axes to distinct trials: counts by hand, dead axes, exclusions, sampling, names."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from backsweep.sweep.table import TrialTable
from backsweep_api.canonical import short_digest
from backsweep_api.documents import document_from_tree
from backsweep_api.options import covariance_options, expected_returns_options, profile_options
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.trials import (
    Trial,
    count_trials,
    dead_axes,
    distinct_trials,
    longest_lookback,
    solve_axes,
)


def document(axes: dict[str, Any], **sections: Any) -> BacktestSweep:
    """Return a document of the given axes."""
    spec = {"data": {"name": "x", "benchmark": ["SPY"]}, "axes": axes, **sections}
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    return document_from_tree({**head, "spec": spec})


def trials(axes: dict[str, Any], **sections: Any) -> list[Trial]:
    """Return its trials."""
    return list(distinct_trials(document(axes, **sections)))


TOURNAMENT: dict[str, Any] = {
    "profile": [
        "inverse_volatility",
        "min_variance",
        "max_sharpe",
        "max_diversification",
        "risk_parity",
        "hrp",
        "herc",
        "nco",
        "barbell",
        {"name": "hrp", "risk": "std"},
    ],
    "covariance": ["sample", "ledoit_wolf", "oas", "ewma", "gerber"],
    "lookback": [63, 126, 252, 504],
    "rebalance": ["window"],
    "costs": [{"slippageBps": bps} for bps in (5, 0, 10, 20, 50)],
}


def test_ten_profiles_five_covariances_four_lookbacks_and_five_costs_are_a_thousand_trials() -> None:
    found = trials(TOURNAMENT)
    assert len(found) == len({trial.id for trial in found}) == count_trials(document(TOURNAMENT)) == 1000
    assert len({trial.solve for trial in found}) == len({trial.point for trial in found}) == 200
    assert sum(trial.base for trial in found) == 200


# values: 3 covariances, 2 expected returns, 2 lookbacks, 2 linkages, 2 leaf orders, 2 universes, 2 constraints,
# 2 rebalancing rules; counted by the axes each profile reads
FULL: dict[str, Any] = {
    "covariance": ["sample", "oas", "gerber"],
    "expectedReturns": ["mean", "bayes_stein"],
    "lookback": [126, 252],
    "linkage": ["single", "ward"],
    "leafOrder": [False, True],
    "universe": ["all", {"name": "two", "symbols": ["A", "B"]}],
    "constraints": [None, {"maxWeight": 0.2}],
    "rebalance": ["window", "daily"],
}
COUNTS: list[tuple[Any, int]] = [
    ("equal_weight", 2 * 2 * 2),
    ("market", 2),
    ("benchmark", 2 * 2),
    ("inverse_volatility", 3 * 2 * 2 * 2 * 2),
    ("min_variance", 3 * 2 * 2 * 2 * 2),
    ("max_sharpe", 3 * 2 * 2 * 2 * 2 * 2),
    ("max_diversification", 3 * 2 * 2 * 2 * 2),
    ("risk_parity", 3 * 2 * 2 * 2 * 2),
    ("min_cvar", 2 * 2 * 2 * 2),
    ("hrp", 3 * 2 * 2 * 2 * 2 * 2 * 2),
    ("herc", 3 * 2 * 2 * 2 * 2 * 2),
    ("nco", 3 * 2 * 2 * 2 * 2 * 2),
    ("barbell", 3 * 2 * 2 * 2 * 2),
    ({"name": "barbell", "core": "min_cvar"}, 2 * 2 * 2 * 2),
    ({"name": "barbell", "core": "hrp"}, 3 * 2 * 2 * 2 * 2 * 2 * 2),
    ({"name": "hrp", "linkage": "average"}, 3 * 2 * 2 * 2 * 2 * 2),
    ({"name": "hrp", "linkage": "average", "leafOrder": True}, 3 * 2 * 2 * 2 * 2),
]


@pytest.mark.parametrize(("profile", "count"), COUNTS, ids=[str(profile) for profile, _ in COUNTS])
def test_a_profile_runs_once_for_each_value_of_the_axes_it_reads(profile: Any, count: int) -> None:
    found = trials({"profile": [profile], **FULL})
    assert len(found) == len({trial.id for trial in found}) == count


def test_profiles_together_are_the_sum_of_each_less_what_two_spellings_of_hrp_share() -> None:
    axes = {"profile": [profile for profile, _ in COUNTS], **FULL}
    assert len(trials(axes)) == sum(count for _, count in COUNTS) - COUNTS[-1][1]


@pytest.mark.parametrize(("kind", "count"), [("profile", 2 * 2 * 2 * 3), ("backtest", 2 * 2 * 3)])
def test_a_strategy_reads_lookback_universe_and_its_own_parameters(kind: str, count: int) -> None:
    strategy = {"entrypoint": "a:b", "kind": kind, "parameters": {"window": [5, 10, 20]}}
    found = trials({**FULL}, strategy=strategy)
    assert len(found) == count
    assert found[0].values["profile"] == "strategy"
    assert found[0].values["parameters.window"] == 5
    assert ("rebalance" in found[0].values) is (kind == "profile")


def test_values_hold_live_axes_in_order_and_scenarios_run_fastest() -> None:
    found = trials({"profile": ["hrp", "market"], "lookback": [126, 252], "costs": [{}, {"slippageBps": 1}]})
    costs = {"slippageBps": 5, "commissionBps": 1, "borrowRate": "0"}
    assert list(found[0].values.items()) == [
        ("profile", "hrp"),
        ("covariance", "sample"),
        ("lookback", 126),
        ("linkage", "single"),
        ("leafOrder", False),
        ("constraints", None),
        ("universe", "all"),
        ("rebalance", "window"),
        ("data", "x"),
        ("engine", "native"),
        ("costs", costs),
    ]
    assert [trial.values.get("lookback") for trial in found] == [126, 126, 252, 252, None, None]
    assert [trial.base for trial in found] == [True, False] * 3
    assert list(found[4].values) == ["profile", "rebalance", "data", "engine", "costs"]


def test_ids_are_digests_of_the_live_values_alone() -> None:
    found = trials({"profile": [profile for profile, _ in COUNTS], **FULL, "costs": [{}, {"slippageBps": 0}]})
    scenarios = ("data", "engine", "costs")
    for trial in found:
        choices = {axis: value for axis, value in trial.values.items() if axis not in scenarios}
        assert trial.id == short_digest(trial.values)
        assert trial.solve == short_digest({axis: trial.values[axis] for axis in solve_axes(trial.values)})
        assert trial.point == short_digest(choices)


def test_a_trial_keeps_its_id_when_other_values_and_dead_axes_come_and_go() -> None:
    alone = trials({"profile": ["hrp"]})[0]
    among = trials({"profile": ["nco", {"name": "hrp", "risk": "variance"}], "linkage": ["ward", "single"]})
    assert alone.id in {trial.id for trial in among}
    assert alone.id == "843379b0332e3f22"


def test_a_linkage_in_the_profile_is_the_trial_that_the_axis_gives() -> None:
    by_axis = trials({"profile": ["hrp"], "linkage": ["ward"]})
    assert trials({"profile": [{"name": "hrp", "linkage": "ward"}]}) == by_axis
    both = trials({"profile": ["hrp", {"name": "hrp", "linkage": "ward"}], "linkage": ["single", "ward"]})
    assert [trial.values["linkage"] for trial in both] == ["single", "ward"]


def test_each_profile_has_its_own_default_linkage() -> None:
    found = trials({"profile": ["hrp", "herc", "nco", {"name": "barbell", "core": "nco"}]})
    assert [trial.values["linkage"] for trial in found] == ["single", "ward", "ward", "ward"]


def test_dead_axes_are_told_where_they_would_have_multiplied() -> None:
    axes = {"profile": ["max_sharpe", "nco", {"name": "hrp", "linkage": "ward"}], "linkage": ["single", "ward"]}
    assert [(dead.profile, dead.axis, dead.reason) for dead in dead_axes(document(axes))] == [
        ("max_sharpe", "linkage", "linkage changes nothing for max_sharpe: it builds no tree"),
        (
            "{name: hrp, linkage: ward}",
            "linkage",
            "linkage changes nothing for {name: hrp, linkage: ward}: it is fixed in the profile's own mapping",
        ),
    ]
    assert dead_axes(document({"profile": ["max_sharpe", "hrp"], "linkage": ["single"]})) == []
    assert [dead.axis for dead in dead_axes(document({"profile": ["max_sharpe"], "linkage": ["single"]}))] == [
        "linkage"
    ]


def test_excluded_points_are_not_run() -> None:
    axes = {"profile": ["hrp", "nco"], "lookback": [126, 252], "costs": [{}, {"slippageBps": 50}]}
    exclude = [{"profile": "nco", "lookback": 126}, {"lookback": 252, "costs": {"slippageBps": 50.0}}]
    found = trials({**axes, "exclude": exclude})
    names = [(t.values["profile"], t.values["lookback"], t.values["costs"]["slippageBps"]) for t in found]
    assert names == [("hrp", 126, 5), ("hrp", 126, 50), ("hrp", 252, 5), ("nco", 252, 5)]
    assert count_trials(document({**axes, "exclude": exclude})) == 4


def test_an_excluded_value_matches_only_where_its_axis_is_live() -> None:
    axes = {"profile": ["hrp", "max_sharpe"], "linkage": ["single", "ward"], "exclude": [{"linkage": "ward"}]}
    assert [trial.values.get("linkage") for trial in trials(axes)] == ["single", None]


def test_exclusions_name_universes_null_constraints_parameters_and_profiles_with_parameters() -> None:
    fixed = {"name": "hrp", "linkage": "ward"}
    axes = {
        "profile": ["strategy", fixed],
        "universe": ["all", {"name": "u", "symbols": ["A"]}],
        "constraints": [{"maxWeight": 0.5}, None],
        "exclude": [
            {"universe": "u"},
            {"profile": fixed, "constraints": None},
            {"parameters": {"window": 2}},
        ],
    }
    found = trials(axes, strategy={"entrypoint": "a:b", "parameters": {"window": [1, 2]}})
    seen = [(t.values["profile"], t.values["universe"], t.values.get("constraints")) for t in found]
    assert seen == [("strategy", "all", None), ("hrp", "all", {"maxWeight": 0.5})]


def test_an_excluded_profile_with_a_linkage_of_its_own_leaves_the_others() -> None:
    fixed = {"name": "hrp", "linkage": "average"}
    axes = {"profile": ["hrp", fixed], "linkage": ["single", "ward"], "exclude": [{"profile": fixed}]}
    assert [trial.values["linkage"] for trial in trials(axes)] == ["single", "ward"]
    ward = {"name": "hrp", "linkage": "ward"}
    axes = {"profile": [ward, "hrp"], "linkage": ["single", "ward"], "exclude": [{"profile": ward}]}
    assert [trial.values["linkage"] for trial in trials(axes)] == ["single"]


def test_random_draws_distinct_points_with_all_their_scenarios() -> None:
    sampling = {"method": "random", "count": 30, "seed": 7}
    found = trials({**TOURNAMENT, **FULL, "costs": TOURNAMENT["costs"]}, sampling=sampling)
    assert len({trial.point for trial in found}) == 30
    assert len(found) == len({trial.id for trial in found}) == 150
    whole = {trial.id for trial in distinct_trials(document({**TOURNAMENT, **FULL, "costs": TOURNAMENT["costs"]}))}
    assert {trial.id for trial in found} < whole
    assert found == trials({**TOURNAMENT, **FULL, "costs": TOURNAMENT["costs"]}, sampling=sampling)


def test_random_draws_are_the_same_on_every_machine_and_other_for_another_seed() -> None:
    def drawn(seed: int) -> list[str]:
        return [
            t.id for t in trials({"profile": ["hrp"], **FULL}, sampling={"method": "random", "count": 2, "seed": seed})
        ]

    assert drawn(0) == ["3462d30a1e147fca", "0c259fdd2b5869df"]
    assert drawn(1) != drawn(0)


def test_random_of_everything_is_the_grid_in_another_order() -> None:
    axes = {"profile": ["hrp", "market"], **FULL}
    everything = count_trials(document(axes))
    found = trials(axes, sampling={"method": "random", "count": everything})
    assert {trial.id for trial in found} == {trial.id for trial in trials(axes)}
    assert [trial.id for trial in found] != [trial.id for trial in trials(axes)]


def test_random_passes_over_excluded_points() -> None:
    axes = {"profile": ["hrp", "nco"], "lookback": [63, 126, 252], "exclude": [{"profile": "nco"}]}
    found = trials(axes, sampling={"method": "random", "count": 3})
    assert sorted(trial.values["lookback"] for trial in found) == [63, 126, 252]


def test_sobol_spreads_over_ranges_and_lists() -> None:
    axes = {"profile": ["hrp", "min_variance"], "lookback": {"low": 21, "high": 504, "log": True}}
    sampled = document(axes, sampling={"method": "sobol", "count": 64})
    found = list(distinct_trials(sampled))
    lookbacks = [trial.values["lookback"] for trial in found]
    assert sum(trial.values["profile"] == "hrp" for trial in found) in range(28, 33)
    assert all(isinstance(rows, int) and 21 <= rows <= 504 for rows in lookbacks)
    assert sum(rows < 103 for rows in lookbacks) in range(26, 34)  # half of them below the geometric middle
    assert longest_lookback(sampled) == 504
    assert found == list(distinct_trials(sampled))
    assert all(trial.id == short_digest(trial.values) for trial in found)


def test_sobol_draws_parameters_by_their_step() -> None:
    parameters = {"x": {"low": 0.1, "high": 0.5, "step": 0.1}, "n": {"low": 2, "high": 9, "step": 1}, "w": ["a", "b"]}
    found = trials(
        {}, strategy={"entrypoint": "a:b", "parameters": parameters}, sampling={"method": "sobol", "count": 512}
    )
    assert {trial.values["parameters.x"] for trial in found} == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert {trial.values["parameters.n"] for trial in found} == set(range(2, 10))
    assert {trial.values["parameters.w"] for trial in found} == {"a", "b"}
    assert len(found) == 5 * 8 * 2


def test_several_data_sets_are_scenarios_by_their_labels() -> None:
    data = [{"name": "a"}, {"uri": "file://b.csv"}, {"name": "a", "label": "recent", "start": "2010-01-01"}]
    found = trials({"profile": ["hrp"]}, data=data)
    assert [trial.values["data"] for trial in found] == ["a", "file://b.csv", "recent"]
    assert [trial.base for trial in found] == [True, False, False]
    assert len({trial.solve for trial in found}) == 3
    assert len({trial.point for trial in found}) == 1


def test_the_columns_of_the_trials_table_are_the_axes_live_for_any_trial() -> None:
    strategy = {"entrypoint": "a:b", "parameters": {"z": [1], "a": [2]}}
    columns = list(TrialTable(trials({"profile": ["strategy", "max_sharpe"]}, strategy=strategy)).columns())
    assert columns[: columns.index("status")] == [
        *("trial", "solve", "profile", "covariance", "expectedReturns", "lookback", "constraints", "universe"),
        *("rebalance", "data", "engine", "costs", "parameters.a", "parameters.z"),
    ]


def test_options_fill_in_what_the_values_leave_to_defaults() -> None:
    found = trials({"profile": ["hrp", {"name": "barbell", "core": "hrp", "sleeve": 5}, "min_cvar", "market"]})
    assert [profile_options(trial.values) for trial in found] == [
        ("hrp", {"leafOrder": False, "linkage": "single", "risk": "variance"}),
        (
            "barbell",
            {
                **{"core": "hrp", "coreWeight": 0.8, "sleeve": 5, "score": "momentum"},
                **{"leafOrder": False, "linkage": "single", "risk": "variance"},
            },
        ),
        ("min_cvar", {"confidence": 0.95}),
        ("market", {}),
    ]
    own = trials({}, strategy={"entrypoint": "a:b", "parameters": {"x": [1]}})[0]
    assert profile_options(own.values) == ("strategy", {"x": 1})
    assert covariance_options("ewma") == ("ewma", {"halfLife": 40})
    assert covariance_options({"name": "gerber", "threshold": 0.7}) == ("gerber", {"threshold": 0.7})
    assert expected_returns_options("mean") == ("mean", {})


def test_a_hundred_thousand_trials_are_named_and_a_vast_grid_is_only_drawn_from() -> None:
    large = {**TOURNAMENT, "lookback": list(range(21, 421)), "costs": TOURNAMENT["costs"]}
    assert len({trial.id for trial in distinct_trials(document(large))}) == 100_000
    parameters = {f"p{number}": list(range(100)) for number in range(10)}  # 10^20 points
    strategy = {"entrypoint": "a:b", "parameters": parameters}
    drawn = document({}, strategy=strategy, sampling={"method": "random", "count": 1000})
    assert len({trial.id for trial in distinct_trials(drawn)}) == 1000
    first = list(islice(distinct_trials(document({**large, "rebalance": ["window", "daily"]})), 3))
    assert [trial.values["costs"]["slippageBps"] for trial in first] == [5, 0, 10]
