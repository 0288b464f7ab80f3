"""Which trials an engine makes: what a peer cannot solve is not made, is said, and counts the same everywhere."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from backsweep_api.documents import read_document
from backsweep_api.engines import ABILITIES, engine_gaps
from backsweep_api.trials import count_trials, distinct_trials, engines_without
from backsweep_api.validation import validate

ALL = [
    "equal_weight",
    "inverse_volatility",
    "min_variance",
    "max_sharpe",
    "max_diversification",
    "risk_parity",
    "hrp",
    "herc",
    "nco",
    "min_cvar",
    "barbell",
    "benchmark",
]


def text(**axes: Any) -> str:
    """Return a document with these axes."""
    return yaml.safe_dump(
        {
            "apiVersion": "backsweep.dev/v1alpha1",
            "kind": "BacktestSweep",
            "metadata": {"name": "t"},
            "spec": {"data": {"name": "sp500-20"}, "axes": axes},
        }
    )


def made(**axes: Any) -> dict[str, set[str]]:
    """Return engine -> profiles of the trials that are made, having counted them both ways."""
    document = read_document(text(**axes))
    trials = list(distinct_trials(document))
    assert count_trials(document) == len(trials) == len({trial.id for trial in trials})
    found: dict[str, set[str]] = {}
    for trial in trials:
        profile = trial.values["profile"]
        found.setdefault(trial.values["engine"], set()).add(profile if isinstance(profile, str) else str(profile))
    return found


def test_each_engine_solves_what_its_table_says_and_native_everything() -> None:
    found = made(profile=ALL, engine=["native", "skfolio", "pyportfolioopt"])
    assert found["native"] == set(ALL)
    for engine, ability in ABILITIES.items():
        assert found[engine] == ability.profiles


def test_a_peer_changes_nothing_of_the_native_trials() -> None:
    axes = {"profile": ALL, "covariance": ["sample", "denoised"], "lookback": [126, 252]}
    alone = list(distinct_trials(read_document(text(**axes))))
    beside = list(distinct_trials(read_document(text(**axes, engine=["native", "skfolio", "pyportfolioopt"]))))
    assert [trial for trial in beside if trial.values["engine"] == "native"] == alone
    assert all(trial.base for trial in alone)
    assert not any(trial.base for trial in beside if trial.values["engine"] != "native")
    assert {trial.solve for trial in alone}.isdisjoint(t.solve for t in beside if t.values["engine"] != "native")


@pytest.mark.parametrize(
    ("engine", "axes", "said"),
    [
        ("pyportfolioopt", {"profile": ["hrp", "nco"]}, ["pyportfolioopt has no nco; those trials are not made"]),
        (
            "pyportfolioopt",
            {"profile": ["hrp", "max_sharpe"], "covariance": ["oas", "gerber"], "expectedReturns": ["bayes_stein"]},
            [
                "pyportfolioopt has no covariance gerber or expectedReturns bayes_stein; those trials are not made",
            ],
        ),
        (
            "pyportfolioopt",
            {"profile": ["hrp", {"name": "hrp", "risk": "std"}], "leafOrder": [False, True]},
            ["pyportfolioopt has no optimal leaf order or hrp with risk std; those trials are not made"],
        ),
        (
            "skfolio",
            {"profile": ["hrp"], "leafOrder": [False, True]},
            ["skfolio always takes the optimal leaf order; those trials are not made"],
        ),
        (
            "skfolio",
            {"profile": ["min_variance"], "constraints": [None, {"maxWeight": 0.2}]},
            ["skfolio is not asked for constraints, which every library reads its way; those trials are not made"],
        ),
        ("skfolio", {"profile": ALL[:10]}, []),
    ],
)
def test_what_is_not_made_is_said_once(engine: str, axes: dict[str, Any], said: list[str]) -> None:
    document = read_document(text(**axes, engine=["native", engine]))
    assert engines_without(document) == said
    refused = [dict(gap.values) for gap in engine_gaps(document.spec.axes, None)]
    for trial in distinct_trials(document):
        if trial.values["engine"] == engine:
            assert not any(all(trial.values.get(axis) == value for axis, value in gap.items()) for gap in refused)
    native = sum(trial.values["engine"] == "native" for trial in distinct_trials(document))
    assert native == count_trials(read_document(text(**axes)))


def test_a_covariance_a_peer_lacks_takes_nothing_from_profiles_that_read_none() -> None:
    axes = {"profile": ["min_cvar", "hrp"], "covariance": ["gerber"], "engine": ["native", "pyportfolioopt"]}
    assert made(**axes) == {"native": {"min_cvar", "hrp"}, "pyportfolioopt": {"min_cvar"}}


def test_the_base_engine_must_solve_every_choice() -> None:
    assert validate(text(profile=["hrp", "nco"], engine=["pyportfolioopt", "native"])) == [
        "spec.axes.engine[0]: pyportfolioopt has no nco, and by the first engine all choices are ranked; write native "
        "first, or leave that choice out"
    ]
    assert validate(text(profile=["hrp", "min_variance"], engine=["pyportfolioopt"])) == []


def test_an_engine_without_any_of_the_profiles_is_a_mistake() -> None:
    assert validate(text(profile=["nco", "herc"], engine=["native", "pyportfolioopt"])) == [
        "spec.axes.engine[1]: found pyportfolioopt, which has none of the profiles; leave it out"
    ]
