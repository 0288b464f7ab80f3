"""What the environment may say to the operator."""

from __future__ import annotations

import json
import logging

import pytest

from backsweep_operator.json_logs import JsonFormatter, about
from backsweep_operator.model import PodSize, Release
from backsweep_operator.settings import SettingsError, read_settings

GIVEN = {
    "BACKSWEEP_NAMESPACE": "backsweep",
    "BACKSWEEP_WATCH_NAMESPACES": "team, other,team",
    "BACKSWEEP_IMAGE": "registry/backsweep:1",
    "PREFECT_API_URL": "http://prefect:4200/api/",
}


def test_what_must_be_given_is_enough_and_the_rest_has_the_models_defaults() -> None:
    found = read_settings(GIVEN, "host_1")
    assert found.watch_namespaces == ("team", "other")
    assert (found.identity, found.prefect_api_url) == ("host_1", "http://prefect:4200/api")
    assert found.release == Release("registry/backsweep:1")


def test_each_variable_reaches_its_setting() -> None:
    more = {
        "BACKSWEEP_IDENTITY": "pod-uid",
        "BACKSWEEP_FLOW_CPU": "2",
        "BACKSWEEP_FLOW_MEMORY": "3Gi",
        "BACKSWEEP_COPIED_LABELS": "team,owner",
        "BACKSWEEP_MAX_CONCURRENT_SWEEPS": "7",
        "BACKSWEEP_LISTEN": "[::]:9000",
        "PREFECT_API_AUTH_STRING": "user:secret",
    }
    found = read_settings({**GIVEN, **more}, "host_1")
    assert (found.identity, found.listen_host, found.listen_port) == ("pod-uid", "::", 9000)
    assert (found.release.flow_pod, found.release.copied_labels) == (PodSize("2", "3Gi"), ("team", "owner"))
    assert (found.release.max_concurrent_sweeps, found.prefect_auth) == (7, "user:secret")


STORE = {
    "BACKSWEEP_STORAGE_URI": "s3://results/team",
    "BACKSWEEP_STORAGE_ENDPOINT_URL": "http://minio:9000",
    "BACKSWEEP_STORAGE_SECRET": "keys",
}


def test_the_store_of_the_release_is_read_by_the_rules_of_a_sweeps_own() -> None:
    found = read_settings({**GIVEN, **STORE}, "host_1").release.storage
    assert found is not None
    assert found.model_dump(exclude_none=True) == {
        "uri": "s3://results/team",
        "endpointUrl": "http://minio:9000",
        "secretRef": {"name": "keys"},
    }
    wrong = {"BACKSWEEP_STORAGE_ENDPOINT_URL": "minio:9000", "BACKSWEEP_STORAGE_SECRET": "Keys!"}
    with pytest.raises(SettingsError, match=r"(?s)BACKSWEEP_STORAGE, endpointUrl: found .*secretRef\.name: found"):
        read_settings({**GIVEN, **STORE, **wrong}, "host_1")
    with pytest.raises(SettingsError, match=r"secretRef: is given beside serviceAccountName; write one of them"):
        read_settings({**GIVEN, **STORE, "BACKSWEEP_STORAGE_SERVICE_ACCOUNT": "runner"}, "host_1")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("BACKSWEEP_NAMESPACE", "", "BACKSWEEP_NAMESPACE is not set; it must be given"),
        ("BACKSWEEP_NAMESPACE", "Team!", "BACKSWEEP_NAMESPACE is 'Team!'; it must be a Kubernetes name"),
        ("BACKSWEEP_WATCH_NAMESPACES", " ,", "BACKSWEEP_WATCH_NAMESPACES is not set; list the namespaces"),
        ("BACKSWEEP_WATCH_NAMESPACES", "a,b*", "names 'b*'; list namespaces by their names"),
        ("PREFECT_API_URL", "prefect:4200", "PREFECT_API_URL is 'prefect:4200'; it must be an address such as"),
        ("BACKSWEEP_LEASE_SECONDS", "1", "BACKSWEEP_LEASE_SECONDS is '1'; it must be a number from 3 to 300"),
        ("BACKSWEEP_LEASE_SECONDS", "nan", "it must be a number from 3 to 300"),
        ("BACKSWEEP_MAX_CONCURRENT_SWEEPS", "0", "it must be a whole number from 1 to 100000"),
        ("BACKSWEEP_LISTEN", "8080", "BACKSWEEP_LISTEN is '8080'; it must be an address and a port"),
        ("BACKSWEEP_IMAGE_PULL_POLICY", "Often", "it must be one of Always, IfNotPresent, Never"),
        (
            "BACKSWEEP_STORAGE_URI",
            "file://runs",
            "BACKSWEEP_STORAGE_URI is 'file://runs'; it must be s3://bucket/prefix",
        ),
        ("BACKSWEEP_STORAGE_REGION", "eu-central-1", "BACKSWEEP_STORAGE_URI is ''; it must be s3://bucket/prefix"),
        ("BACKSWEEP_FLOW_MEMORY", "much", "it must be a quantity such as 500m or 1Gi"),
    ],
)
def test_a_wrong_value_is_a_sentence_that_names_it(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({**GIVEN, name: value}, "host_1")
    (problem,) = refused.value.problems
    assert sentence in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({}, "host_1")
    assert len(refused.value.problems) == 4


def test_a_log_line_is_json_with_the_sweep_and_the_attempt_it_is_about() -> None:
    record = logging.LogRecord("backsweep", logging.WARNING, "f.py", 1, "found %d\nlines", (2,), None)
    with about("team/one", 3):
        line = json.loads(JsonFormatter().format(record))
    assert {key: line[key] for key in ("level", "message", "sweep", "attempt")} == {
        "level": "warning",
        "message": "found 2\nlines",
        "sweep": "team/one",
        "attempt": 3,
    }
    assert "sweep" not in json.loads(JsonFormatter().format(record))
