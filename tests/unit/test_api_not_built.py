"""What this release does not do is refused with a sentence, field by field; what a cluster cannot reach is named."""

from __future__ import annotations

import pytest

from backsweep_api.documents import read_document
from backsweep_api.errors import NotBuiltError
from backsweep_api.not_built import refuse_unbuilt
from backsweep_api.validation import validate

HEAD = "apiVersion: backsweep.dev/v1alpha1\nkind: BacktestSweep\nmetadata: {name: t}\nspec:\n"
DATA = "data: {name: sp500-20}"
AXES = "axes: {profile: [hrp]}"


def text(*sections: str) -> str:
    """Return a document of the sections, data and axes filled in where they are not given."""
    given = "".join(f"  {section}\n" for section in sections)
    for section in (DATA, AXES):
        if f"  {section.partition(':')[0]}:" not in given:
            given += f"  {section}\n"
    return HEAD + given


BUILT = [
    "execution: {mode: auto}",
    "execution: {mode: ray}",
    "execution: {mode: local, parallelism: 2, offloadThreshold: 100, retries: 3, onSolveFailure: hold}",
    "cluster: {existing: {address: 'https://ray:8265', tokenSecretRef: {name: ray, key: auth_token}}}",
    "storage: {uri: 'file://store'}",
    "suspend: false",
    "backoffLimit: 3",
    "data: {uri: 'file://prices.csv', universe: 'file://members.csv'}",
    "data: [{uri: 's3://bucket/prices.parquet'}, {uri: 'store://prices@0123abcd', universe: 'store://members'}]",
    "axes: {profile: [hrp], engine: [native, skfolio, pyportfolioopt]}",
    "sampling: {method: random, count: 1}",
    "sampling: {method: search, count: 8}",
    "validation: {holdout: 252}",
    "pricing: {cpuHour: '0.05', memoryGiBHour: '0.005', currency: EUR}",
    "pricing: {instanceType: c5.large, spot: true}",
    "pricing: {instanceType: m5.large}\n  budget: {maxCost: '5', onExceeded: Suspend}",
]
LEAVE = "is not built in this release: no machines are bought for a sweep; leave it out"
TABLES = "is not built in this release: no table is downloaded; copy it, and write a file:// or s3:// URI"
UNBUILT = [
    ("nodePool: {}", [f"spec.nodePool: {LEAVE}"]),
    (
        "suspend: true",
        [
            "spec.suspend: is not built in this release: a run on this machine is stopped by Ctrl-C and goes on when "
            "it is started again; write false"
        ],
    ),
    (
        "axes: {profile: [hrp], engine: [native, riskfolio]}",
        ["spec.axes.engine[1]: riskfolio is not built in this release; write native, skfolio or pyportfolioopt"],
    ),
    (
        "data: [{name: sp500-20}, {uri: 'https://x/p.csv', features: [{name: f, uri: 'https://x/f.csv'}]}]",
        [f"spec.data[1].uri: https://x/p.csv {TABLES}", f"spec.data[1].features[0].uri: https://x/f.csv {TABLES}"],
    ),
]


@pytest.mark.parametrize("section", BUILT)
def test_what_is_built_is_taken(section: str) -> None:
    refuse_unbuilt(read_document(text(section)))
    assert validate(text(section)) == []


@pytest.mark.parametrize(("section", "problems"), UNBUILT, ids=[section for section, _ in UNBUILT])
def test_what_is_not_built_is_refused_by_name(section: str, problems: list[str]) -> None:
    document = text(section)
    with pytest.raises(NotBuiltError) as refused:
        refuse_unbuilt(read_document(document))
    assert list(refused.value.problems) == problems
    assert validate(document, "local") == problems


def test_a_document_that_is_suspended_is_refused_on_a_laptop_alone() -> None:
    refuse_unbuilt(read_document(text("suspend: true")), "cluster")


def test_what_nobody_does_is_refused_on_a_cluster_too() -> None:
    with pytest.raises(NotBuiltError, match=r"spec\.nodePool: is not built in this release: no machines are bought"):
        refuse_unbuilt(read_document(text("nodePool: {}")), "cluster")


def test_a_normal_form_asks_for_nothing_that_is_not_built() -> None:
    refuse_unbuilt(read_document(str(read_document(text()).normalised()).replace("None", "null")))


def test_a_cluster_is_told_what_only_a_laptop_can_do() -> None:
    assert validate(text("storage: {uri: 's3://b/p'}", "cluster: {}", "execution: {mode: ray}"), "cluster") == []
    assert validate(text("data: {uri: 'file://p.csv'}"), "cluster") == [
        "spec.data.uri: file://p.csv is a file of one machine; a cluster needs an s3:// URI",
    ]
    assert validate(text("storage: {uri: 'file://runs'}"), "cluster") == [
        "spec.storage.uri: file://runs is a folder of one machine; a cluster needs an s3:// URI"
    ]
