"""What only a cluster acts on is no mistake on a laptop: each such field is told in one sentence."""

from __future__ import annotations

import pytest

from backsweep_api.cluster_only import cluster_only_notes
from backsweep_api.documents import read_document
from backsweep_api.validation import validate

HEAD = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: t}
spec:
  data: {name: sp500-20}
  axes: {profile: [hrp]}
"""
KEYS = "not used on this machine: keys are taken from the environment as boto3 finds them"
TOLD = [
    ("cluster: {}", ["spec.cluster: not used on this machine: it says how a cluster is made, and none is"]),
    (
        "cluster: {workers: {max: 8}}\n  pricing: {instanceType: m5.large}",
        [
            "spec.cluster: not used on this machine, but for what pricing counts of its head and workers: it says how "
            "a cluster is made, and none is"
        ],
    ),
    ("storage: {uri: 's3://b/p', secretRef: {name: keys}}", [f"spec.storage.secretRef: {KEYS}"]),
    ("storage: {uri: 's3://b/p', serviceAccountName: reader}", [f"spec.storage.serviceAccountName: {KEYS}"]),
    (
        "prefect: {workPool: p}",
        ["spec.prefect: not used on this machine: a sweep's flow runs where it is started, and in no work pool"],
    ),
    (
        "backoffLimit: 5",
        ["spec.backoffLimit: not used on this machine: a run that is lost goes on when it is started again"],
    ),
    (
        "activeDeadlineSeconds: 600",
        ["spec.activeDeadlineSeconds: not used on this machine: a run has no deadline; Ctrl-C stops it"],
    ),
    (
        "ttlSecondsAfterFinished: 0",
        ["spec.ttlSecondsAfterFinished: not used on this machine: what a run leaves stays until it is deleted"],
    ),
]
SILENT = [
    "backoffLimit: 3",
    "storage: {uri: 's3://b/p', endpointUrl: 'http://127.0.0.1:9000', region: us-east-1}",
    "cluster: {existing: {address: 'https://ray:8265', tokenSecretRef: {name: ray, key: auth_token}}}",
    "execution: {mode: ray}",
]


@pytest.mark.parametrize(("section", "notes"), TOLD, ids=[section for section, _ in TOLD])
def test_a_field_that_only_a_cluster_acts_on_is_told_and_is_no_mistake(section: str, notes: list[str]) -> None:
    document = f"{HEAD}  {section}\n"
    assert validate(document, "local") == []
    assert list(cluster_only_notes(read_document(document))) == notes


@pytest.mark.parametrize("section", SILENT)
def test_what_works_here_or_is_left_as_it_is_by_default_is_not_told(section: str) -> None:
    assert list(cluster_only_notes(read_document(f"{HEAD}  {section}\n"))) == []


def test_the_normal_form_of_a_plain_document_has_nothing_to_tell() -> None:
    normal = str(read_document(HEAD).normalised()).replace("None", "null")
    assert list(cluster_only_notes(read_document(normal))) == []
