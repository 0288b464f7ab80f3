"""What a good document means: defaults, its normal form and its digest."""

from __future__ import annotations

from typing import Any

import pytest

from backsweep_api.documents import document_from_tree, read_document
from backsweep_api.errors import SpecError
from backsweep_api.identity import result_fields, spec_digest
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.trials import distinct_trials

HEAD = "apiVersion: backsweep.dev/v1alpha1\nkind: BacktestSweep\nmetadata: {name: t}\nspec:\n"


def read(spec: str) -> BacktestSweep:
    """Read a document by its spec in flow style, one section a line."""
    return read_document(HEAD + "".join(f"  {line}\n" for line in spec.splitlines()))


SMALL = "data: {name: sp500-20}\naxes: {profile: [hrp]}"
NORMAL: dict[str, Any] = {
    "data": [
        {
            "name": "sp500-20",
            "kind": "prices",
            "benchmark": [],
            "missing": "error",
            "delistingReturn": 0,
            "riskFree": 0,
            "features": [],
        }
    ],
    "walkForward": {"test": 20, "step": 20, "purge": 0, "anchored": False, "partial": "drop"},
    "validation": {},
    "axes": {
        "profile": ["hrp"],
        "covariance": ["sample"],
        "expectedReturns": ["mean"],
        "lookback": [252],
        "rebalance": ["window"],
        "constraints": [None],
        "universe": ["all"],
        "costs": [{"slippageBps": 5, "commissionBps": 1, "borrowRate": "0"}],
        "engine": ["native"],
        "exclude": [],
    },
    "sampling": {"method": "grid"},
    "objective": {"metric": "sharpe", "goal": "maximize"},
    "execution": {
        "mode": "auto",
        "offloadThreshold": 800,
        "blockTimeoutSeconds": 600,
        "retries": 2,
        "maxFailedTrialsPercent": 0,
        "onSolveFailure": "fail",
    },
    "suspend": False,
    "backoffLimit": 3,
}


def test_an_integer_the_api_server_makes_a_float_of_is_the_same_either_way() -> None:
    spec = "data: {name: sp500-20}\nstrategy: {entrypoint: 'a:b', parameters: {held: [%s]}}"
    assert spec_digest(read(spec % 10**30)) == spec_digest(read(spec % "1e+30"))
    assert spec_digest(read(spec % 2**62)) != spec_digest(read(spec % (2**62 + 1)))


def test_the_smallest_document_has_every_default_in_its_normal_form() -> None:
    assert read(SMALL).normalised() == {
        "apiVersion": "backsweep.dev/v1alpha1",
        "kind": "BacktestSweep",
        "metadata": {"name": "t"},
        "spec": NORMAL,
    }


def test_the_digest_of_the_smallest_document_is_what_it_was_in_the_first_release() -> None:
    assert spec_digest(read(SMALL)) == "a8dceb0a7888ffe702fe665bed08e609d9f45b1817adf0d7dc051ef63139cf3e"


EQUAL = [
    ("a list of one data set", "data: [{name: sp500-20}]\naxes: {profile: [hrp]}"),
    ("the default of a parameter", "data: {name: sp500-20}\naxes: {profile: [{name: hrp, risk: variance}]}"),
    ("train as lookback", "data: {name: sp500-20}\naxes: {profile: [hrp]}\nwalkForward: {train: 252}"),
    ("lookback in another spelling", "data: {name: sp500-20}\naxes: {profile: [hrp], lookback: [2.52e2]}"),
    ("step as test", "data: {name: sp500-20}\naxes: {profile: [hrp]}\nwalkForward: {step: 20}"),
    ("money in another spelling", "data: {name: sp500-20}\naxes: {profile: [hrp], costs: [{borrowRate: '0.00'}]}"),
    ("empty constraints", "data: {name: sp500-20}\naxes: {profile: [hrp], constraints: [{minWeight: 0, net: 1.0}]}"),
    ("nulls", "data: {name: sp500-20, start: null}\naxes: {profile: [hrp], linkage: ~}\nobjective:\nvalidation: null"),
    ("a British goal", "data: {name: sp500-20}\naxes: {profile: [hrp]}\nobjective: {goal: maximise}"),
    ("suspension", SMALL + "\nsuspend: true"),
    ("a budget", SMALL + "\npricing: {cpuHour: '0.05'}\nbudget: {maxCost: '5'}"),
    ("a time to live", SMALL + "\nttlSecondsAfterFinished: 60\nactiveDeadlineSeconds: 600\nbackoffLimit: 5"),
    ("a mode", SMALL + "\nexecution: {mode: local, parallelism: 2, retries: 0, maxFailedTrialsPercent: 10}"),
    ("a store", SMALL + "\nstorage: {uri: 's3://b/p'}"),
    ("a cluster", SMALL + "\ncluster: {workers: {max: 8}}\nprefect: {workPool: p}\nnodePool: {cloud: aws}"),
]
DIFFERENT = [
    ("data", "data: {name: sp500-20, start: 2000-01-01}\naxes: {profile: [hrp]}"),
    ("walkForward", SMALL + "\nwalkForward: {purge: 1}"),
    ("validation", SMALL + "\nvalidation: {holdout: 2020-01-01}"),
    ("axes", "data: {name: sp500-20}\naxes: {profile: [hrp, nco]}"),
    ("linkage given", "data: {name: sp500-20}\naxes: {profile: [hrp], linkage: [ward]}"),
    ("exclude", "data: {name: sp500-20}\naxes: {profile: [hrp], lookback: [252, 126], exclude: [{lookback: 126}]}"),
    ("sampling", SMALL + "\nsampling: {method: random, count: 1}"),
    ("objective", SMALL + "\nobjective: {metric: cagr}"),
    ("strategy", "data: {name: sp500-20}\naxes: {}\nstrategy: {entrypoint: 'a:b'}"),
    ("onSolveFailure", SMALL + "\nexecution: {onSolveFailure: hold}"),
]


@pytest.mark.parametrize("spec", [spec for _, spec in EQUAL], ids=[name for name, _ in EQUAL])
def test_what_changes_no_result_changes_no_digest(spec: str) -> None:
    assert spec_digest(read(spec)) == spec_digest(read(SMALL))


@pytest.mark.parametrize("spec", [spec for _, spec in DIFFERENT], ids=[name for name, _ in DIFFERENT])
def test_what_changes_a_result_changes_the_digest(spec: str) -> None:
    assert spec_digest(read(spec)) != spec_digest(read(SMALL))


def test_training_rows_are_the_lookback_wherever_they_are_written() -> None:
    train = read(SMALL + "\nwalkForward: {train: 126}")
    lookback = read("data: {name: sp500-20}\naxes: {profile: [hrp], lookback: [126]}")
    assert train.normalised() == lookback.normalised()
    assert list(distinct_trials(train)) == list(distinct_trials(lookback))


def test_no_two_changes_share_a_digest() -> None:
    assert len({spec_digest(read(spec)) for _, spec in DIFFERENT}) == len(DIFFERENT)


def test_the_digest_does_not_know_the_name_but_the_base_scenario() -> None:
    tree = read(SMALL).normalised()
    renamed = {**tree, "metadata": {"name": "other", "namespace": "team", "labels": {"a": "b"}}}
    assert spec_digest(document_from_tree(renamed)) == spec_digest(document_from_tree(tree))
    costs = "data: {name: sp500-20}\naxes: {profile: [hrp], costs: [{slippageBps: %d}, {slippageBps: %d}]}"
    assert spec_digest(read(costs % (1, 2))) != spec_digest(read(costs % (2, 1)))


def test_sets_are_sorted_and_axes_are_not() -> None:
    document = read(
        "data: {name: sp500-20, benchmark: [B, A]}\n"
        "axes: {profile: [nco, hrp], universe: [{name: u, symbols: [Z, X]}], "
        "constraints: [{groupCaps: [{name: b, assets: [Q, P], max: 1}, {name: a, assets: [R], max: 0.5}]}]}"
    )
    fields = result_fields(document)
    assert fields["data"][0]["benchmark"] == ["A", "B"]
    assert fields["axes"]["profile"] == ["nco", "hrp"]
    assert fields["axes"]["universe"] == [{"name": "u", "symbols": ["X", "Z"]}]
    groups = fields["axes"]["constraints"][0]["groupCaps"]
    assert groups == [{"name": "a", "assets": ["R"], "max": 0.5}, {"name": "b", "assets": ["P", "Q"], "max": 1}]


def test_the_result_fields_are_those_of_the_manifest() -> None:
    document = read(SMALL + "\nstorage: {uri: 'file://runs'}\nsuspend: true")
    sections = {"data", "walkForward", "validation", "axes", "sampling", "objective", "execution"}
    assert set(result_fields(document)) == sections
    assert result_fields(document)["execution"] == {"onSolveFailure": "fail"}


def test_a_document_from_a_cluster_is_read_with_what_the_api_server_added() -> None:
    tree = read(SMALL).normalised()
    tree["metadata"] |= {"uid": "1-2", "resourceVersion": "7", "generation": 2, "managedFields": [{"a": {}}]}
    tree["status"] = {"conditions": []}
    assert document_from_tree(tree).normalised() == read(SMALL).normalised()


def test_a_document_cannot_be_changed_once_read() -> None:
    document = read(SMALL)
    with pytest.raises(ValueError, match="frozen"):
        document.spec.suspend = True  # type: ignore[misc]  # that is the point


def test_erc_is_risk_parity() -> None:
    axes = read("data: {name: x}\naxes: {profile: [erc, {name: barbell, core: erc}]}").normalised()["spec"]["axes"]
    assert axes["profile"] == ["risk_parity", {"name": "barbell", "core": "risk_parity"}]


def test_a_name_of_the_authors_own_without_a_value_is_not_given_as_the_api_server_reads_it() -> None:
    spec = {"strategy": {"entrypoint": "a:b", "parameters": {"held": None, "skip": [1]}}, "data": {"name": "sp500-20"}}
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    strategy = document_from_tree({**head, "spec": spec}).spec.strategy
    assert strategy is not None
    assert list(strategy.parameters) == ["skip"]


def test_a_name_of_two_lines_is_told_on_one() -> None:
    head = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    with pytest.raises(
        SpecError, match=r"spec\.objective\.a\\nb: is not a field here; write metric or goal"
    ) as refused:
        document_from_tree({**head, "spec": {"data": {"name": "x"}, "objective": {"a\nb": 1}}})
    assert all("\n" not in problem for problem in refused.value.problems)


def test_text_with_half_a_character_is_refused() -> None:
    with pytest.raises(SpecError, match="the text holds half a character"):
        read_document("kind: \ud800")
