"""What is built for Kubernetes and Prefect: the same each time, restricted, and with nothing of ours overridden."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from backsweep_api.documents import document_from_tree
from backsweep_api.names import AttemptName
from backsweep_api.spec.document import BacktestSweep
from backsweep_operator.build import base_job_template, flow_run_request, network_policy, ray_cluster, violations
from backsweep_operator.decide.acceptance import problems_of
from backsweep_operator.decide.pool import pool_size
from backsweep_operator.model import Release, Snapshot
from backsweep_operator.projections import sweep_view

RELEASE = Release(image="backsweep:1")
ATTEMPT = AttemptName.of(("team", "tournament", "0f3c-uid"), "ab" * 32, 3)
TEMPLATE = {
    "labels": {"team": "quant"},
    "nodeSelector": {"pool": "spot"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "priorityClassName": "batch",
    "imagePullSecrets": ["registry"],
    "env": [{"name": "MODE", "value": "1"}, {"name": "KEY", "secretKeyRef": {"name": "s", "key": "k"}}],
}
SPEC: dict[str, Any] = {
    "data": {"name": "sp500-20"},
    "axes": {"profile": ["hrp", "nco"], "lookback": [126, 252]},
    "storage": {"uri": "s3://bucket/prefix", "secretRef": {"name": "keys"}},
    "cluster": {
        "workers": {"min": 2, "max": 8, "cpu": "2", "memory": "4Gi", "podTemplate": TEMPLATE},
        "queueName": "quant",
    },
}


def raw_of(spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "tournament", "namespace": "team", "uid": "0f3c-uid", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": meta, "spec": spec}


def document_of(spec: dict[str, Any]) -> BacktestSweep:
    raw = raw_of(spec)
    return document_from_tree({**raw, "metadata": {"name": "tournament"}})


def built(spec: dict[str, Any] = SPEC) -> dict[str, Any]:
    return ray_cluster(ATTEMPT, document_of(spec).spec, RELEASE, 4, 1_800_000_000, {"team": "quant"})


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_a_cluster_is_a_fixed_pool_with_a_token_an_owner_an_end_and_its_queue() -> None:
    cluster = built()
    spec, meta = cluster["spec"], cluster["metadata"]
    (group,) = spec["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (4, 4, 4)
    assert (spec["enableInTreeAutoscaling"], spec["authOptions"]) == (False, {"mode": "token"})
    assert meta["ownerReferences"][0]["uid"] == "0f3c-uid"
    assert meta["annotations"] == {"backsweep.dev/delete-after": "2027-01-15T08:00:00Z"}
    assert meta["labels"]["kueue.x-k8s.io/queue-name"] == "quant"
    assert meta["labels"]["team"] == "quant"
    for each in (spec["headGroupSpec"], group):
        assert "kueue.x-k8s.io/queue-name" not in each["template"]["metadata"]["labels"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_pods_are_restricted_hold_no_token_and_are_held_to_their_memory_alone() -> None:
    for pod in pods(built()):
        assert violations(pod) == []
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        asked, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert asked["cpu"]
        assert limits == {"memory": asked["memory"]}
        assert not any(variable["name"].startswith("PREFECT") for variable in container["env"])
    worker = pods(built())[1]
    assert worker["priorityClassName"] == "batch"
    assert worker["nodeSelector"] == {"pool": "spot"}
    secrets = [v["valueFrom"]["secretKeyRef"]["name"] for v in worker["containers"][0]["env"] if "valueFrom" in v]
    assert secrets == ["s", "keys", "keys", "keys"]


def test_building_twice_gives_the_same_bytes_and_changes_nothing_given() -> None:
    assert json.dumps(built()) == json.dumps(built())
    first = flow_run_request(ATTEMPT, document_of(SPEC), RELEASE, 4, None)
    assert first == flow_run_request(ATTEMPT, document_of(SPEC), RELEASE, 4, None)


BROKEN: dict[str, tuple[list[str | int], Any]] = {
    "hostNetwork is set": (["hostNetwork"], True),
    "volume tmp is a hostPath": (["volumes", 0], {"name": "tmp", "hostPath": {"path": "/"}}),
    "the pod runs as root": (["securityContext", "runAsUser"], 0),
    "container ray-head is privileged": (["containers", 0, "securityContext", "privileged"], True),
    "container ray-head does not forbid privilege escalation": (
        ["containers", 0, "securityContext", "allowPrivilegeEscalation"],
        None,
    ),
    "container ray-head does not drop ALL capabilities": (["containers", 0, "securityContext", "capabilities"], {}),
    "container ray-head adds capabilities": (
        ["containers", 0, "securityContext", "capabilities"],
        {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
    ),
    "container ray-head may run as root": (["containers", 0, "securityContext", "runAsNonRoot"], False),
    "container ray-head runs as root": (["containers", 0, "securityContext", "runAsUser"], 0),
    "container ray-head has no seccomp profile": (["securityContext", "seccompProfile"], {}),
    "container ray-head has a hostPort": (["containers", 0, "ports"], [{"hostPort": 80}]),
    "container ray-head sets procMount": (["containers", 0, "securityContext", "procMount"], "Unmasked"),
    "the pod sets sysctls": (["securityContext", "sysctls"], [{"name": "x"}]),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_the_check_notices_that(sentence: str) -> None:
    pod = copy.deepcopy(pods(built())[0])
    path, value = BROKEN[sentence]
    inner: Any = pod
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert violations(pod) == [sentence]


def test_the_policy_lets_only_pods_of_the_attempt_reach_its_pods() -> None:
    policy = network_policy(ATTEMPT)
    same = {"backsweep.dev/uid": "0f3c-uid", "backsweep.dev/attempt": "3"}
    assert policy["spec"]["podSelector"] == {"matchLabels": same}
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": {"matchLabels": same}}]}]
    labels = built()["spec"]["headGroupSpec"]["template"]["metadata"]["labels"]
    assert same.items() <= labels.items()
    variables = flow_run_request(ATTEMPT, document_of(SPEC), RELEASE, 4, None).job_variables
    assert same.items() <= variables["labels"].items()


def test_every_variable_of_the_job_template_is_declared_and_the_flow_run_gives_no_other() -> None:
    template = base_job_template(RELEASE)
    declared = set(template["variables"]["properties"])
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used <= declared
    given = flow_run_request(ATTEMPT, document_of(SPEC), RELEASE, 4, None).job_variables
    assert set(given) <= declared
    optional = {name for name, schema in template["variables"]["properties"].items() if "default" in schema}
    assert used - optional - {"command"} <= set(given)
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    assert violations(pod) == []
    assert given["backoff_limit"] >= 1  # with 0 Prefect's worker runs a flow twice


def test_a_flow_waits_for_the_token_of_its_own_cluster_and_takes_the_one_of_another() -> None:
    own = flow_run_request(ATTEMPT, document_of(SPEC), RELEASE, 4, {"limit": "1", "spent": "0"})
    assert own.job_variables["ray_token_secret"] == ATTEMPT.child
    assert own.job_variables["ray_token_optional"] is False
    assert own.parameters["ray"] == {
        "address": f"http://{ATTEMPT.child}-head-svc.team.svc:8265",
        "workers": 4,
    }
    there = {"address": "https://ray.example:8265", "tokenSecretRef": {"name": "t", "key": "k"}}
    other = flow_run_request(ATTEMPT, document_of({**SPEC, "cluster": {"existing": there}}), RELEASE, 0, None)
    assert (other.job_variables["ray_token_secret"], other.job_variables["ray_token_key"]) == ("t", "k")
    alone = flow_run_request(ATTEMPT, document_of({**SPEC, "cluster": {}}), RELEASE, 0, None)
    assert alone.parameters["ray"] is None
    assert alone.job_variables["ray_token_optional"] is True


def test_names_hold_uid_digest_and_attempt_and_fit_everywhere() -> None:
    long = AttemptName.of(("team", "a" * 40, "uid"), "cd" * 32, 12_345)
    assert len(long.child) <= 50
    others = [AttemptName.of(("team", "t", uid), digest * 32, 1) for uid in ("a", "b") for digest in ("ab", "cd")]
    assert len({name.child for name in others}) == 4
    for name in (ATTEMPT, long, *others):
        assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name.child)
        assert AttemptName.from_key(name.idempotency_key) == name
        assert AttemptName.from_labels(name.namespace, name.labels) == name
        assert all(len(value) <= 63 for value in name.labels.values())
    assert AttemptName.from_key("a/b/c") is None
    assert AttemptName.from_labels("team", {"backsweep.dev/sweep": "x"}) is None


@pytest.mark.parametrize(
    ("trials", "spec", "workers"),
    [
        (799, {}, 0),
        (800, {}, 1),
        (1_601, {}, 3),
        (10**6, {}, 4),
        (10**6, {"execution": {"mode": "local"}}, 0),
        (1, {"execution": {"mode": "ray"}, "cluster": {"workers": {"min": 2, "max": 3}}}, 2),
        (3_200, {"cluster": {"workers": {"max": 10, "cpu": "4"}}}, 1),
        (3_200, {"cluster": {"existing": {"address": "http://ray:8265"}}}, 0),
        (60, {"strategy": {"entrypoint": "pkg.mod:f"}}, 3),
    ],
)
def test_the_pool_is_sized_from_the_plan(trials: int, spec: dict[str, Any], workers: int) -> None:
    axes = {"axes": {"lookback": [252]}} if "strategy" in spec else {"axes": {"profile": ["hrp"]}}
    document = document_of({"data": {"name": "sp500-20"}, **axes, **spec})
    assert pool_size(document.spec, trials) == workers


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "labels of ours": (
        {"cluster": {"workers": {"podTemplate": {"labels": {"backsweep.dev/uid": "x"}}}}},
        "spec.cluster.workers.podTemplate.labels: backsweep.dev/uid is written by the operator",
    ),
    "variables of ours": (
        {"cluster": {"head": {"podTemplate": {"env": [{"name": "RAY_AUTH_MODE", "value": "off"}]}}}},
        "spec.cluster.head.podTemplate.env[0].name: RAY_AUTH_MODE is written by the operator",
    ),
    "an account that is not labelled": (
        {"storage": {"uri": "s3://b/p", "serviceAccountName": "admin"}},
        "spec.storage.serviceAccountName: ServiceAccount admin is not there or not labelled",
    ),
    "nodes of its own": ({"nodePool": {"cloud": "aws"}}, "spec.nodePool: is not built in this release"),
    "a folder": ({"storage": {"uri": "file:///tmp/x"}}, "spec.storage.uri: file:///tmp/x is a folder of one machine"),
    "a strategy without an image": (
        {"strategy": {"entrypoint": "pkg.mod:f"}, "axes": {"lookback": [252]}},
        "spec.cluster.image: is missing",
    ),
    "nonsense": ({"axes": {"profile": ["hpr"]}}, 'spec.axes.profile[0]: found "hpr"; did you mean hrp?'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_cluster_can_run_is_refused_in_a_sentence(what: str) -> None:
    change, sentence = REFUSED[what]
    base = {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"]}, "storage": {"uri": "s3://b/p"}}
    sweep = sweep_view(raw_of({**base, **change}))
    problems = problems_of(Snapshot("team", "tournament", RELEASE, sweep), sweep)
    assert problems[0].startswith(sentence)
