"""The node itself: nothing of it is left, nothing leaves it, two of them do not meet, and it is found again later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cluster.clusters import RefusedError, wait_until
from tests.cluster.node import cgroups
from tests.cluster.node.enclosure import Enclosure
from tests.cluster.node.images import BUSYBOX_IMAGE
from tests.cluster.node.node import Node, down, up
from tests.cluster.node.places import CHECKOUT, node_name
from tests.e2e.pods import phase, pod, run_pod

if TYPE_CHECKING:
    from collections.abc import Iterator
# What the programs of a node make unless they are told otherwise.
MACHINES_OWN = [Path(path) for path in ("/var/lib/kubelet", "/var/lib/cni", "/run/containerd", "/var/log/containers")]


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.cluster.node", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "BACKSWEEP_NODE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def processes_of(folder: Path) -> list[str]:
    """List the processes that are in a control group of the node, as all of its programs and their children are."""
    return [process.name for process in Path("/proc").glob("[0-9]*") if node_name(folder) in control_groups(process)]


def control_groups(process: Path) -> str:
    try:
        return (process / "cgroup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """A folder for a node beside the session's."""
    folder = tmp_path / "other"
    yield folder
    down(folder)


def test_two_nodes_are_up_side_by_side_and_nothing_of_one_is_left(node: Node, other: Path) -> None:
    second = up(other, lambda _: None)
    assert run_pod(second, "speaks", "default", BUSYBOX_IMAGE, "echo", "seen") == ("Succeeded", "seen\n")
    second.apply(pod("runs", "default", BUSYBOX_IMAGE, "sleep", "300"))
    wait_until(lambda: phase(second, "runs", "default") == "Running", "the pod to run")
    assert node.all("pods") == []
    assert len(processes_of(other)) > len(second.components)
    stopped = command("down", folder=other)
    assert (stopped.returncode, stopped.stdout) == (0, "down: nothing of the node is left\n")
    assert processes_of(other) == []
    assert cgroups.present(node_name(other)) == []
    assert not other.exists()
    assert str(other) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert [path for path in MACHINES_OWN if path.exists()] == []
    assert node.is_ready()


def test_a_node_whose_first_process_is_killed_is_gone_and_a_new_one_is_started_in_its_place(
    node: Node, other: Path
) -> None:
    first = up(other, lambda _: None).enclosure.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: Enclosure(other).pid is None, "the node to be gone")
    said = command("status", folder=other)
    assert (said.returncode, said.stdout) == (1, "the node is not up\n")
    again = up(other, lambda _: None)
    assert again.enclosure.pid != first
    assert again.is_ready()


def test_what_is_up_is_not_started_again(node: Node) -> None:
    before = {name: program.pid for name, program in node.components.items()}
    started: list[str] = []
    up(node.folder, started.append)
    assert started == []
    assert {name: program.pid for name, program in node.components.items()} == before


def test_what_has_ended_is_reported_and_started_again_alone(node: Node) -> None:
    node.components["coredns"].kill()
    said = command("status", folder=node.folder)
    assert said.returncode == 1
    assert f"{'coredns':24} has ended" in said.stdout.splitlines()
    started: list[str] = []
    up(node.folder, started.append)
    assert started == ["starting coredns"]
    assert command("status", folder=node.folder).returncode == 0


def test_a_pod_outlives_the_kubelet(node: Node, namespace: str) -> None:
    node.apply(pod("runs", namespace, BUSYBOX_IMAGE, "sleep", "300"))
    wait_until(lambda: phase(node, "runs", namespace) == "Running", "the pod to run")
    node.restart("kubelet")
    wait_until(lambda: answers(node, "runs", namespace), "the kubelet to know its pods again")
    (status,) = node.get("pod", "runs", namespace)["status"]["containerStatuses"]
    assert status["restartCount"] == 0


def answers(node: Node, name: str, namespace: str) -> bool:
    try:
        return node.kubectl("exec", name, f"--namespace={namespace}", "--", "echo", "still here") == "still here\n"
    except RefusedError:
        return False


def test_nothing_leaves_the_machine(node: Node, namespace: str) -> None:
    reach = "nc -w 2 192.0.2.1 443 </dev/null 2>/dev/null && echo reached || echo not reached"
    assert run_pod(node, "tries", namespace, BUSYBOX_IMAGE, "sh", "-c", reach)[1].splitlines()[-1] == "not reached"
    links = {link.split()[0] for link in node.enclosure.run("ip", "-brief", "link").splitlines()}
    assert {link for link in links if not link.startswith("veth")} == {"lo", "node"}


def test_a_command_is_run_on_the_node_with_its_cluster_and_its_storage(node: Node) -> None:
    script = "import boto3; print([each['Name'] for each in boto3.client('s3').list_buckets()['Buckets']])"
    assert command("run", sys.executable, "-c", script, folder=node.folder).stdout == "['backsweep']\n"
    assert command("run", "kubectl", "get", "nodes", "--output=name", folder=node.folder).stdout == "node/node\n"


def test_the_machines_settings_are_not_the_kubelets(node: Node) -> None:
    assert node.enclosure.run("cat", "/proc/sys/kernel/panic").strip() == "10"
    assert Path("/proc/sys/kernel/panic").read_text(encoding="utf-8").strip() != "10"
