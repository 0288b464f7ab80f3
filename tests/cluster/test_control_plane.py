"""The control plane the other tests of this folder stand on is a real one: it denies, converges, keeps and ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.cluster.clusters import OwnCluster
from tests.cluster.control_plane import RefusedError, control_plane, secret_text, wait_until
from tests.cluster.credentials import write_kubeconfig
from tests.cluster.processes import NotReadyError, Process
from tests.cluster.rayclusters import pod_template, ray_cluster
from tests.cluster.test_processes import gone_within, is_running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.control_plane import ControlPlane


def config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def job(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    template = pod_template("flow")
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": template, "backoffLimit": 0, **spec},
    }


def state_of(plane: ControlPlane, name: str, namespace: str) -> str:
    found: str = plane.get("raycluster", name, namespace).get("status", {}).get("state", "")
    return found


def pods_of(plane: ControlPlane, namespace: str, phase: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in plane.all("pods", namespace) if pod["status"].get("phase") == phase]


def test_the_server_answers_with_the_pinned_version(plane: ControlPlane) -> None:
    version = json.loads(plane.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    assert version.startswith("v1.34.")


def test_who_has_no_valid_token_is_turned_away(plane: ControlPlane, tmp_path: Path) -> None:
    stranger = write_kubeconfig(tmp_path / "stranger", plane.url, plane.folder / "ca.crt", "not-a-token")
    with pytest.raises(RefusedError, match=r"(?i)unauthorized|logged in"):
        plane.kubectl("get", "pods", kubeconfig=stranger)


def test_a_service_account_may_do_what_its_role_says_and_no_more(plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("create", "serviceaccount", "reader", f"--namespace={namespace}")
    reader = plane.account_kubeconfig(namespace, "reader")
    listing = ("get", "configmaps", f"--namespace={namespace}", "--output=name")
    with pytest.raises(RefusedError, match=rf'"system:serviceaccount:{namespace}:reader" cannot list'):
        plane.kubectl(*listing, kubeconfig=reader)
    role = ("create", "role", "reads", "--verb=list", "--resource=configmaps", f"--namespace={namespace}")
    plane.kubectl(*role)
    account = f"--serviceaccount={namespace}:reader"
    plane.kubectl("create", "rolebinding", "reads", "--role=reads", account, f"--namespace={namespace}")
    assert "configmap/kube-root-ca.crt" in plane.kubectl(*listing, kubeconfig=reader)
    with pytest.raises(RefusedError, match="cannot list"):
        plane.kubectl("get", "configmaps", "--namespace=kube-system", kubeconfig=reader)
    with pytest.raises(RefusedError, match=r"cannot (patch|create)"):
        plane.apply(config_map("mine", namespace), kubeconfig=reader)


def test_a_pod_that_is_not_restricted_is_refused(plane: ControlPlane, namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": namespace},
        "spec": {"containers": [{"name": "root", "image": "any"}]},
    }
    with pytest.raises(RefusedError, match='violates PodSecurity "restricted'):
        plane.apply(pod)


def test_a_ray_cluster_is_ready_in_seconds_and_gone_after_its_deletion(plane: ControlPlane, namespace: str) -> None:
    begun = time.monotonic()
    plane.apply(ray_cluster("small", namespace, workers=2))
    wait_until(lambda: state_of(plane, "small", namespace) == "ready", "the RayCluster")
    assert time.monotonic() - begun < 30
    assert len(pods_of(plane, namespace, "Running")) == 3
    assert len(secret_text(plane.get("secret", "small", namespace), "auth_token")) >= 32
    plane.kubectl("delete", "raycluster", "small", f"--namespace={namespace}", "--wait=false")
    # Not by KubeRay: the controller manager collects what the cluster owned.
    wait_until(lambda: not plane.all("pods,services", namespace), "its pods and services to go")


def test_an_admitted_pod_waits_if_no_node_has_room(plane: ControlPlane, namespace: str) -> None:
    pod = pod_template("huge")
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "5000"}}
    plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "huge", "namespace": namespace}, **pod})
    wait_until(lambda: bool(plane.get("pod", "huge", namespace)["status"].get("conditions")), "the scheduler's word")
    (condition,) = plane.get("pod", "huge", namespace)["status"]["conditions"]
    assert (condition["reason"], "Insufficient cpu" in condition["message"]) == ("Unschedulable", True)


@pytest.mark.parametrize(("exit_code", "condition"), [(0, "Complete"), (1, "Failed")])
def test_a_jobs_pod_runs_until_the_test_says_how_it_ended(
    plane: ControlPlane, namespace: str, exit_code: int, condition: str
) -> None:
    plane.apply(job("flow", namespace))
    wait_until(lambda: bool(pods_of(plane, namespace, "Running")), "the Job's pod")
    (name,) = pods_of(plane, namespace, "Running")
    plane.end_pod(name, namespace, exit_code=exit_code, message='{"result": "of the sweep"}')

    def conditions() -> list[str]:
        found = plane.get("job", "flow", namespace)["status"].get("conditions", [])
        return [each["type"] for each in found if each["status"] == "True"]

    wait_until(lambda: condition in conditions(), f"the Job to be {condition}")
    ended = plane.get("pod", name, namespace)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (exit_code, '{"result": "of the sweep"}')


def test_two_appliers_share_an_object_and_conflicts_are_named(plane: ControlPlane, namespace: str) -> None:
    plane.apply(config_map("shared", namespace, ours="1"))
    other = json.dumps(config_map("shared", namespace, theirs="2"))
    apply = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    plane.kubectl(*apply, stdin=other)
    assert plane.get("configmap", "shared", namespace)["data"] == {"ours": "1", "theirs": "2"}
    with pytest.raises(RefusedError, match=r'conflict with "backsweep-tests".*\n?.*\.data\.ours'):
        plane.kubectl(*apply, stdin=json.dumps(config_map("shared", namespace, theirs="2", ours="3")))
    # What an applier no longer names and nobody else owns goes.
    plane.apply(config_map("shared", namespace))
    assert plane.get("configmap", "shared", namespace)["data"] == {"theirs": "2"}


def test_the_api_server_keeps_its_state_over_a_crash_and_is_served_again(plane: ControlPlane, namespace: str) -> None:
    plane.apply(config_map("kept", namespace, answer="42"))
    before = plane.get("configmap", "kept", namespace)["metadata"]
    plane.components["kube-apiserver"].kill()
    with pytest.raises(RefusedError, match="refused"):
        plane.get("configmap", "kept", namespace)
    plane.start("kube-apiserver")
    assert plane.get("configmap", "kept", namespace)["metadata"] == before
    # The controllers find it again: all of them have a part in this.
    plane.apply(ray_cluster("after", namespace, workers=1))
    wait_until(lambda: state_of(plane, "after", namespace) == "ready", "a RayCluster after the crash")


def test_etcd_keeps_its_state_over_a_crash(plane: ControlPlane, namespace: str) -> None:
    plane.apply(config_map("kept", namespace, answer="42"))
    before = plane.get("configmap", "kept", namespace)["metadata"]
    plane.restart("etcd")
    wait_until(lambda: plane.serves(plane.probes["kube-apiserver"]), "the API server to find etcd")
    assert plane.get("configmap", "kept", namespace)["metadata"] == before


def test_a_second_control_plane_beside_it_is_another_one_and_ends_with_its_block(
    plane: ControlPlane, tmp_path: Path
) -> None:
    with control_plane(tmp_path / "other", nodes=1) as other:
        pids = [component.pid for component in other.components.values()]
        other.make_namespace("only-there")
        assert all(is_running(pid) for pid in pids)
        assert "only-there" not in plane.kubectl("get", "namespaces", "--output=name")
    assert all(gone_within(pid, 1) for pid in pids)
    assert plane.serves(plane.probes["kube-apiserver"])


def test_a_program_that_ends_while_all_come_up_is_started_again_once(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    starts.touch()
    once = Process("once", ["sh", "-c", "echo >> starts; test $(wc -l < starts) = 2 && sleep 300"], tmp_path)
    cluster = OwnCluster(tmp_path, "", tmp_path, components={"once": once}, probes={})
    once.start()
    cluster.await_all(lambda: len(starts.read_text().splitlines()) == 2, "its second start")
    assert once.alive()
    once.kill()
    broken = Process("broken", ["sh", "-c", "echo no such flag >&2; exit 3"], tmp_path)
    with pytest.raises(NotReadyError, match="broken ended twice; its log ends with:\nno such flag"):
        OwnCluster(tmp_path, "", tmp_path, components={"broken": broken}, probes={}).await_all(lambda: False, "never")
