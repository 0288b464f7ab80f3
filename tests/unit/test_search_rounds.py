"""A round of a search is determined by the seed and the rounds before it, repeats nothing, and gets better."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep.errors import UserError, VerificationError
from backsweep.search.coordinates import Coordinates
from backsweep.search.optimiser import optimiser_version, propose
from backsweep.search.rounds import Known, _told, next_round, proposals_bytes, proposed_points
from backsweep_api.canonical import canonical_json, digest
from backsweep_api.documents import document_from_tree
from backsweep_api.rounds import SearchSpace, Values

AXES = {
    "profile": ["min_variance", "equal_weight", {"name": "hrp", "linkage": "ward"}, "hrp"],
    "covariance": ["sample", "ledoit_wolf", "oas", "ewma"],
    "lookback": {"low": 21, "high": 504, "log": True},
    "linkage": ["single", "average"],
    "constraints": [None, {"maxWeight": 0.2}],
    "rebalance": ["window", "daily"],
}
PLANTED = {"low": 0, "high": 1}
NO_SCORE = float("-inf")

Score = Callable[[Values], float]


def space(
    axes: dict[str, Any] = AXES, *, count: int = 8, rounds: int = 6, seed: int = 1, **sections: Any
) -> SearchSpace:
    spec = {"data": {"name": "x"}, "axes": axes, **sections}
    spec["sampling"] = {"method": "search", "count": count, "rounds": rounds, "seed": seed}
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    return SearchSpace(document_from_tree({**head, "spec": spec}))


def strategy(**parameters: Any) -> dict[str, Any]:
    return {"entrypoint": "a:b", "parameters": parameters}


def search(searched: SearchSpace, score: Score) -> list[Known]:
    """Return all points with their scores."""
    known: list[Known] = []
    for number in range(1, searched.rounds + 1):
        known += [(values, score(values)) for values in next_round(searched, known, number)]
    return known


def named(score: Score) -> str:
    """Return a digest of all that a search of AXES proposes."""
    return digest([dict(values) for values, _ in search(space(), score)])


def tree_is_worth(values: Values) -> float:
    """Score a point: hrp, by its lookback's distance from 100 rows."""
    distance: float = abs(values.get("lookback", 504) - 100) / 504
    return float(values["profile"] == "hrp") - distance


def test_the_same_seed_proposes_the_same_in_any_process() -> None:
    code = "import test_search_rounds as t; print(t.named(t.tree_is_worth))"
    folder = __file__.rpartition("/")[0]
    environment = {"PYTHONPATH": folder, "PYTHONHASHSEED": "3", "PATH": ""}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == named(tree_is_worth)


def test_another_seed_proposes_other_points() -> None:
    assert search(space(seed=1), tree_is_worth) != search(space(seed=2), tree_is_worth)


def test_more_rounds_begin_with_the_same_ones() -> None:
    long = search(space(rounds=6), tree_is_worth)
    assert search(space(rounds=3), tree_is_worth) == long[:24]


def test_a_round_depends_on_what_the_rounds_before_found_and_not_on_what_it_finds_itself() -> None:
    known = [(values, tree_is_worth(values)) for values in next_round(space(), [], 1)]
    other = [(values, -score) for values, score in known]
    assert next_round(space(), known, 2) == next_round(space(), known, 2)
    assert next_round(space(), known, 2) != next_round(space(), other, 2)


def test_only_the_order_of_scores_counts() -> None:
    known = [(values, tree_is_worth(values)) for values in next_round(space(), [], 1)]
    assert next_round(space(), known, 2) == next_round(space(), [(each, 1e6 * score) for each, score in known], 2)


def test_no_point_comes_twice_and_only_live_axes_are_named() -> None:
    found = [canonical_json(values) for values, _ in search(space(count=20), tree_is_worth)]
    assert len(found) == len(set(found)) == 120
    for values, _ in search(space(), tree_is_worth):
        assert ("linkage" in values) == (values["profile"] == "hrp")
        assert set(values) >= {"profile", "universe", "rebalance"}
        assert ("covariance" in values) == (values["profile"] != "equal_weight")


def test_what_is_excluded_is_never_proposed() -> None:
    searched = space({**AXES, "exclude": [{"profile": "hrp", "covariance": "sample"}]})
    found = [values for values, _ in search(searched, lambda values: float(values.get("covariance") == "sample"))]
    assert len(found) == 48
    assert not [values for values in found if values["profile"] == "hrp" and values["covariance"] == "sample"]


def test_a_small_space_is_tried_to_its_last_point_and_then_there_is_none() -> None:
    axes = {**AXES, "lookback": [63, 126], "constraints": [None]}
    known = search(space(axes, count=9, rounds=8), tree_is_worth)
    assert len(known) == 4 * 2 * 2 + 2 + 4 * 2 * 2 + 4 * 2 * 2 * 2  # a profile a summand
    assert len({canonical_json(values) for values, _ in known}) == len(known)
    assert next_round(space(axes, count=9), known, 9) == []


def test_where_nothing_has_a_score_the_search_goes_on() -> None:
    assert len(search(space(), lambda values: NO_SCORE)) == 48


def test_what_fails_is_left_alone() -> None:
    searched = space({}, count=10, rounds=6, strategy=strategy(x=PLANTED))
    known = search(searched, lambda values: NO_SCORE if values["parameters.x"] < 0.5 else values["parameters.x"])
    assert sum(score == NO_SCORE for _, score in known[:10]) >= 3
    assert sum(score == NO_SCORE for _, score in known[30:]) <= 3


def planted(values: Values) -> float:
    """Return the score of a point: best at x = 0.37, y = 30 (in the logarithm), n = 7 and mode b."""
    x, y, n = values["parameters.x"], values["parameters.y"], values["parameters.n"]
    return -float(
        (x - 0.37) ** 2 + np.log10(y / 30) ** 2 / 4 + ((n - 7) / 20) ** 2 + 0.1 * (values["parameters.mode"] != "b")
    )


def planted_space(seed: int) -> SearchSpace:
    parameters = strategy(x=PLANTED, y={"low": 1, "high": 1000, "log": True}, n=list(range(20)), mode=["a", "b", "c"])
    return space({}, count=12, rounds=8, seed=seed, strategy=parameters)


def test_a_planted_optimum_is_found_with_far_fewer_trials_than_a_grid_needs() -> None:
    best = max(search(planted_space(3), planted), key=lambda each: each[1])[0]
    assert best["parameters.x"] == pytest.approx(0.37, abs=0.1)  # a grid as fine: 5 * 8 * 7 * 3 points
    assert np.log10(best["parameters.y"]) == pytest.approx(np.log10(30), abs=0.25)
    assert abs(best["parameters.n"] - 7) <= 2
    assert best["parameters.mode"] == "b"


def test_a_search_does_better_than_chance_with_as_many_trials() -> None:
    found, chance = [], []
    for seed in range(7):
        found.append(max(score for _, score in search(planted_space(seed), planted)))
        drawn = planted_space(seed).by_chance(2)
        chance.append(max(planted(next(drawn)) for _ in range(96)))
    assert median(found) > 0.5 * median(chance)  # scores are negative: less than half as far from the optimum


def test_of_many_points_the_best_and_the_latest_are_told() -> None:
    known: list[Known] = [({"profile": str(place)}, float(-abs(place - 40))) for place in range(2_000)]
    told = [int(values["profile"]) for values, _ in _told(known)]
    assert told == [*range(90), *range(90, 100), *range(1_100, 2_000)]
    assert _told(known[:900]) == known[:900]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 1000))
def test_a_point_has_coordinates_that_lead_back_to_it(seed: int, place: int) -> None:
    searched = space({**AXES, "lookback": {"low": 21, "high": 504, "step": 7}}, seed=seed)
    values = searched.first_round()[place % 8]
    translate = Coordinates(searched)
    coordinates = translate.coordinates(values)
    assert set(coordinates) == {axis.name for axis in translate.axes}  # on dead axes, too
    assert translate.values(coordinates) == values


def test_without_optuna_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    sentence = r"search needs Optuna, which is not installed: pip install 'backsweep\[search\]', or write sobol"
    with pytest.raises(UserError, match=sentence):
        optimiser_version()
    with pytest.raises(UserError, match=sentence):
        next(propose((), [], 0))


def test_proposals_are_read_back_and_nothing_else_is() -> None:
    rounds = [space().first_round(), space(seed=2).first_round()]
    assert proposed_points(proposals_bytes(rounds)) == [*rounds[0], *rounds[1]]
    for data in (b"\xff", b"[]", b'{"rounds": []}'):
        with pytest.raises(VerificationError, match="is no list of rounds"):
            proposed_points(data)
