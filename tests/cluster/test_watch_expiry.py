"""Watches that end every few seconds, versions that expire meanwhile: the operator misses neither change nor end."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane, control_plane, wait_until
from tests.cluster.operators import Operator, start, sweep
from tests.cluster.processes import Ports
from tests.cluster.stand_ins import operators, stand_in
from tests.cluster.test_operator_process import clusters, state

NAMESPACE = "team"
# A watch without a time of its own ends after this to twice this.
SHORT_WATCHES = {"kube-apiserver": ["--min-request-timeout=3"]}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of the module's own, since its API server is an unfriendly one."""
    with control_plane(tmp_path_factory.mktemp("short-watches"), nodes=1, flags=SHORT_WATCHES) as found:
        found.make_namespace(NAMESPACE)
        yield found


@pytest.fixture(scope="module")
def serving(plane: ControlPlane) -> Iterator[Operator]:
    # Its lease outlives a pause; only what watches miss brings a list about.
    settings = {"BACKSWEEP_LEASE_SECONDS": "300", "BACKSWEEP_RESYNC_SECONDS": "3600", "BACKSWEEP_LOG_LEVEL": "debug"}
    ports = Ports()
    with stand_in(plane, ports) as prefect, operators(plane, NAMESPACE, ports, prefect, settings) as (found,):
        start(found)
        wait_until(found.leads, "an operator that leads")
        yield found
    ports.release()


def watches_begun(plane: ControlPlane) -> int:
    """Return how many watches of sweeps the API server has served."""
    lines = plane.kubectl("get", "--raw", "/metrics").splitlines()
    wanted = [each for each in lines if each.startswith("apiserver_request_total{") and 'verb="WATCH"' in each]
    return sum(int(each.rsplit(" ", 1)[1]) for each in wanted if 'resource="backtestsweeps"' in each)


def await_watches(plane: ControlPlane, count: int) -> None:
    wait_until(lambda: watches_begun(plane) >= count, "another watch of sweeps")


def await_clusters(plane: ControlPlane, count: int) -> None:
    wait_until(lambda: len(clusters(plane, NAMESPACE)) == count, f"{count} clusters", 20)


def compact(plane: ControlPlane) -> None:
    """Let etcd forget every version but the present one, as the API server has it do every five minutes."""
    etcd = plane.probes["etcd"].removesuffix("/health")

    def ask(path: str, **body: object) -> dict[str, dict[str, str]]:
        request = urllib.request.Request(f"{etcd}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, dict[str, str]] = json.loads(answer.read())
            return found

    revision = ask("/v3/maintenance/status")["header"]["revision"]
    ask("/v3/kv/compaction", revision=revision, physical=True)


def test_what_happens_between_two_watches_is_seen(plane: ControlPlane, serving: Operator) -> None:
    for number in range(4):
        await_watches(plane, watches_begun(plane) + 1)
        plane.apply(sweep(f"seen-{number}", NAMESPACE))
        await_clusters(plane, number + 1)
    plane.kubectl("delete", "backtestsweeps", "--all", f"--namespace={NAMESPACE}")
    wait_until(lambda: serving.count("backsweep_sweeps") == 0, "the operator to know of none", 20)
    assert serving.count("backsweep_resync_drift_total") == 0


def test_when_all_versions_it_knew_have_expired_it_looks_at_everything_anew(
    plane: ControlPlane, serving: Operator
) -> None:
    # Of the one that goes nothing is there by which its end could be noticed.
    plane.apply(sweep("goes", NAMESPACE, suspend=True), sweep("rests", NAMESPACE))
    await_clusters(plane, 1)
    wait_until(lambda: serving.count("backsweep_sweeps", state="Suspended") == 1, "both to be known")
    serving.process.pause()
    plane.restart("kube-apiserver")  # what it sends from now on is not in the paused process's buffers either
    plane.kubectl("delete", "backtestsweep", "goes", f"--namespace={NAMESPACE}")
    plane.apply(sweep("rests", NAMESPACE, suspend=True), sweep("comes", NAMESPACE))
    compact(plane)
    plane.restart("kube-apiserver")
    serving.process.resume()
    wait_until(lambda: state(plane, NAMESPACE, "rests") == "Suspended", "the change to be seen")
    wait_until(lambda: [name.rsplit("-", 2)[0] for name in clusters(plane, NAMESPACE)] == ["comes"], "one cluster")
    wait_until(lambda: serving.count("backsweep_sweeps") == 2, "the deletion to be seen")
    assert "Restarting the watch-stream for backtestsweeps" in Path(serving.process.log).read_text(encoding="utf-8")
    assert serving.ask("/healthz") == (200, "ok\n")
