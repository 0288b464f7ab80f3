"""The chart on a real API server: everything is admitted, its Roles are enough, its guard deletes what is overdue."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.rendering import CASES, ROOT, VALUES, Helm, Object, of_kind, parsed, pod_specs, variables_of
from tests.cluster import binaries
from tests.cluster.components import open_definition
from tests.cluster.control_plane import ControlPlane, RefusedError, wait_until
from tests.cluster.operators import install_definition
from tests.cluster.processes import Ports, Process
from tests.cluster.rayclusters import ray_cluster

from backsweep_api.names import ANNOTATION_DELETE_AFTER, LABEL_MANAGED_BY, MANAGED_BY
from backsweep_api.status import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONITORING = "monitoring.coreos.com"
SERVED = ("quant", "risk")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def placed(helm: Helm, namespace: str, *arguments: str) -> list[Object]:
    """Return what a release in that namespace consists of."""
    chart = ("template", "backsweep", str(ROOT / "charts" / "backsweep"), f"--namespace={namespace}")
    return list(parsed(helm.run(*chart, "--kube-version=1.34.4", *arguments)))


@pytest.fixture(scope="module")
def helm() -> Helm:
    return Helm(binaries.find("helm"))


@pytest.fixture(scope="module")
def places(plane: ControlPlane) -> Iterator[str]:
    """Make the namespaces and kinds that the files of values speak of, and give the release's namespace."""
    own = "backsweep-system"
    for name in (own, *SERVED):
        plane.make_namespace(name, RESTRICTED)
    definitions = [open_definition(kind, MONITORING, "v1") for kind in ("ServiceMonitor", "PrometheusRule")]
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "platform"}}
    plane.apply(*definitions, {**priority, "value": 1000})
    plane.await_kinds(*(each["metadata"]["name"] for each in definitions))
    yield own
    for name in (own, *SERVED):
        plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("case", CASES)
def test_the_server_takes_all_that_is_rendered(plane: ControlPlane, helm: Helm, places: str, case: str) -> None:
    objects = placed(helm, places, f"--values={VALUES / case}.yaml")
    text = "\n".join(_json(each) for each in objects)
    said = plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert said.count("serverside-applied (server dry run)") == len(objects)


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_admitted_where_restricted_is_enforced(
    plane: ControlPlane, helm: Helm, places: str, case: str
) -> None:
    objects = placed(helm, places, f"--values={VALUES / case}.yaml")
    plane.apply(*of_kind(objects, "ServiceAccount"))
    for name, spec in pod_specs(objects).items():
        meta = {"name": name.lower().replace(" ", "-"), "namespace": places}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=_json(pod))


def test_a_pod_that_breaks_the_profile_is_not_admitted(plane: ControlPlane, helm: Helm, places: str) -> None:
    objects = placed(helm, places)
    plane.apply(*of_kind(objects, "ServiceAccount"))
    spec = pod_specs(objects)["Deployment backsweep-operator"]
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad", "namespace": places}, "spec": spec}
    with pytest.raises(RefusedError, match="violates PodSecurity"):
        plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=_json(pod))


def test_accounts_may_do_what_they_must_and_no_more(plane: ControlPlane, helm: Helm, places: str) -> None:
    plane.apply(
        *(
            each
            for each in placed(helm, places, "--set=watchNamespaces={quant}")
            if "Role" in each["kind"] or each["kind"] == "ServiceAccount"
        )
    )

    def may(part: str, verb: str, what: str, namespace: str) -> bool:
        resource, _, group = what.partition(".")
        group, _, tail = group.partition("/")
        asked = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        asked |= {"subresource": tail} if tail == "status" else {"name": tail}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        user = f"system:serviceaccount:{places}:backsweep-{part}"
        text = json.dumps({**review, "spec": {"user": user, "resourceAttributes": asked}})
        answer = json.loads(plane.kubectl("create", "-f", "-", "--output=json", stdin=text))
        return bool(answer["status"]["allowed"])

    allowed = [
        ("operator", "create", "rayclusters.ray.io", "quant"),
        ("operator", "update", "backtestsweeps.backsweep.dev/status", "quant"),
        ("operator", "update", "leases.coordination.k8s.io/backsweep-operator", places),
        ("guard", "delete", "rayclusters.ray.io", "quant"),
        ("worker", "create", "jobs.batch", "quant"),
    ]
    assert [each for each in allowed if not may(*each)] == []
    refused = [
        ("operator", "update", "backtestsweeps.backsweep.dev", "quant"),
        ("operator", "get", "secrets", "quant"),
        ("operator", "get", "secrets", places),
        ("operator", "create", "rayclusters.ray.io", "risk"),
        ("operator", "update", "leases.coordination.k8s.io/other", places),
        ("operator", "create", "jobs.batch", "quant"),
        ("guard", "create", "rayclusters.ray.io", "quant"),
        ("worker", "get", "secrets", "quant"),
        ("worker", "create", "pods", "quant"),
    ]
    assert [each for each in refused if may(*each)] == []


def guard(plane: ControlPlane, kubeconfig: Path, namespaces: str) -> subprocess.CompletedProcess[str]:
    """Run the CronJob's command once, as its ServiceAccount."""
    environment = {
        "HOME": str(plane.folder),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'api'}",
        "KUBECONFIG": str(kubeconfig),
        "BACKSWEEP_WATCH_NAMESPACES": namespaces,
    }
    command = [sys.executable, "-W", "error", "-m", "backsweep_operator.overdue"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_guard_deletes_what_is_past_its_time_and_nothing_else(
    plane: ControlPlane, helm: Helm, namespace: str
) -> None:
    own = f"{namespace}-guard"
    plane.make_namespace(own, RESTRICTED)
    rendered = placed(helm, own, f"--set=watchNamespaces={{{namespace}}}")
    plane.apply(
        *(each for kind in ("ServiceAccount", "Role", "RoleBinding") for each in of_kind(rendered, kind, "guard"))
    )
    now = time.time()
    ends: dict[str, dict[str, str]] = {
        "overdue": {ANNOTATION_DELETE_AFTER: timestamp(now - 60)},
        "in-time": {ANNOTATION_DELETE_AFTER: timestamp(now + 3_600)},
        "unreadable": {ANNOTATION_DELETE_AFTER: "tomorrow"},
        "without": {},
    }
    for name, end in ends.items():
        plane.apply(_cluster(name, namespace, end, {LABEL_MANAGED_BY: MANAGED_BY}))
    plane.apply(_cluster("not-ours", namespace, ends["overdue"], {}))
    done = guard(plane, plane.account_kubeconfig(own, "backsweep-guard"), namespace)
    assert done.returncode == 0, done.stderr
    assert f"deleted RayCluster {namespace}/overdue" in done.stderr
    left = [each for each in plane.all("rayclusters", namespace) if "deletionTimestamp" not in each["metadata"]]
    assert [each["metadata"]["name"] for each in left] == ["in-time", "not-ours", "unreadable", "without"]
    refused = guard(plane, plane.account_kubeconfig(own, "backsweep-guard"), f"{own},{namespace}")
    assert refused.returncode == 3
    assert "CallRefused" in refused.stderr


def _cluster(name: str, namespace: str, annotations: dict[str, str], labels: dict[str, str]) -> Object:
    found: dict[str, Any] = ray_cluster(name, namespace, workers=1)
    found["metadata"] |= {"annotations": annotations, "labels": labels}
    return found


def _json(each: Object) -> str:
    return json.dumps(each)


def test_a_release_is_installed_upgraded_and_removed(plane: ControlPlane, helm: Helm, namespace: str) -> None:
    own = f"{namespace}-release"
    plane.make_namespace(own, RESTRICTED)
    chart = ("backsweep", str(ROOT / "charts" / "backsweep"), f"--namespace={own}", f"--kubeconfig={plane.kubeconfig}")
    said = helm.run("install", *chart, f"--set=watchNamespaces={{{namespace}}}")
    for place in (own, namespace):
        assert f"kubectl create secret generic backsweep-prefect-auth -n {place} --from-file=auth-string=" in said
    before = {each["metadata"]["name"]: each["metadata"]["generation"] for each in plane.all("deployments", own)}
    assert sorted(before) == ["backsweep-operator", "backsweep-prefect", "backsweep-worker"]
    helm.run("upgrade", *chart, "--reuse-values")
    after = {each["metadata"]["name"]: each["metadata"]["generation"] for each in plane.all("deployments", own)}
    assert after == before, "an upgrade to the same chart changes nothing"
    helm.run("uninstall", "backsweep", *chart[2:])
    kinds = "deployments,cronjobs,services,roles,rolebindings,networkpolicies,poddisruptionbudgets"
    left = [each for place in (own, namespace) for each in plane.all(kinds, place)]
    assert [each["metadata"]["name"] for each in left if "deletionTimestamp" not in each["metadata"]] == []
    assert [each["metadata"]["name"] for each in plane.all("persistentvolumeclaims", own)] == ["backsweep-prefect"]
    plane.kubectl("delete", "namespace", own, "--wait=false")


def test_the_operator_serves_with_the_charts_settings_and_rights(
    plane: ControlPlane, helm: Helm, namespace: str, ports: Ports
) -> None:
    own = f"{namespace}-operator"
    plane.make_namespace(own, RESTRICTED)
    install_definition(plane)
    rendered = placed(helm, own, f"--set=watchNamespaces={{{namespace}}}")
    plane.apply(*(each for kind in ("ServiceAccount", "Role", "RoleBinding") for each in of_kind(rendered, kind)))
    prefect, listen = ports.claim(), ports.claim()
    environment = {
        **variables_of(rendered),
        "PREFECT_API_URL": f"http://127.0.0.1:{prefect}/api",
        "BACKSWEEP_LISTEN": f"127.0.0.1:{listen}",
        "KUBECONFIG": str(plane.account_kubeconfig(own, "backsweep-operator")),
        "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT / 'api'}:{ROOT}",
    }
    stand_in = [sys.executable, "-m", "tests.cluster.prefect_stand_in", str(prefect)]
    processes = [
        Process(f"prefect-{prefect}", stand_in, plane.folder, environment),
        Process(f"operator-{listen}", [sys.executable, "-m", "backsweep_operator"], plane.folder, environment),
    ]
    try:
        for each in processes:
            each.start()
        plane.apply(
            {
                "apiVersion": "backsweep.dev/v1alpha1",
                "kind": "BacktestSweep",
                "metadata": {"name": "night", "namespace": namespace},
                "spec": {
                    "data": {"name": "sp500-20"},
                    "axes": {"profile": ["hrp", "min_variance"]},
                    "storage": {"uri": "s3://bucket/prefix", "secretRef": {"name": "keys"}},
                    "execution": {"mode": "ray"},
                },
            }
        )
        wait_until(lambda: any(plane.all("rayclusters", namespace)), "a RayCluster")
        wait_until(lambda: any(plane.all("events", namespace)), "an Event", 20)
        plane.kubectl("delete", "backtestsweep", "night", f"--namespace={namespace}")
        kinds = "rayclusters,networkpolicies"
        wait_until(lambda: not plane.all(kinds, namespace), "nothing to be left")
        with urllib.request.urlopen(f"http://127.0.0.1:{listen}/metrics", timeout=5) as answer:
            measured = answer.read().decode()
        assert 'code="403"' not in measured
        assert "backsweep_leading 1" in measured
    finally:
        for each in processes:
            each.kill()
        plane.kubectl("delete", "namespace", own, "--wait=false")
