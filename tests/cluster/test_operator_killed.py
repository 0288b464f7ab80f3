"""The operator is killed right after every single call it makes in a sweep's life, and each life ends the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.killing_proxy import KillingProxy
from tests.cluster.operators import ACCOUNT, Operator, gone, operator, prepare, start, sweep
from tests.cluster.processes import Ports, Process

ROOT = Path(__file__).parents[2]
MOST_CALLS = 80


@pytest.fixture
def proxy(plane: ControlPlane, ports: Ports) -> Iterator[KillingProxy]:
    found = KillingProxy(plane.url, plane.folder / "ca.crt", ports.claim())
    found.start()
    yield found
    found.stop()


@pytest.fixture
def serving(plane: ControlPlane, namespace: str, ports: Ports, proxy: KillingProxy) -> Iterator[Operator]:
    own, prefect_port = prepare(plane, namespace), ports.claim()
    command = [sys.executable, "-m", "tests.cluster.prefect_stand_in", str(prefect_port)]
    prefect = Process(f"prefect-{prefect_port}", command, plane.folder, {"PYTHONPATH": str(ROOT)})
    prefect.start()
    config = json.loads(plane.account_kubeconfig(own, ACCOUNT).read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"] = {"server": proxy.url}
    through = plane.folder / f"{own}.through-proxy.kubeconfig"
    through.write_text(json.dumps(config), encoding="utf-8")
    found = operator(plane, namespace, own, (ports.claim(), prefect_port), KUBECONFIG=str(through))
    start(found)
    yield found
    found.process.kill()
    prefect.kill()
    plane.kubectl("delete", "namespace", own, "--wait=false")


def live(plane: ControlPlane, namespace: str, name: str, serving: Operator) -> None:
    """Let a sweep begin, be suspended and be deleted; whenever the operator is found dead, start it again."""

    def comes(what: str, kind: str, wanted: bool) -> None:
        def there() -> bool:
            if not serving.process.alive():
                serving.process.start()
            return bool(plane.all(kind, namespace)) == wanted

        wait_until(there, f"{what} of {name}", 60)

    def suspended() -> bool:
        if not serving.process.alive():
            serving.process.start()
        status = plane.get("backtestsweep", name, namespace).get("status", {})
        return any(each["reason"] == "Suspended" and each["type"] == "Complete" for each in status["conditions"])

    plane.apply(sweep(name, namespace))
    comes("the RayCluster", "rayclusters", wanted=True)
    assert len(plane.all("rayclusters", namespace)) == 1
    plane.apply(sweep(name, namespace, suspend=True))
    comes("the end", "rayclusters,networkpolicies,pods", wanted=False)
    wait_until(suspended, f"{name} says it is suspended", 60)
    assert plane.get("backtestsweep", name, namespace)["status"]["run"]["attempt"] == 1
    plane.kubectl("delete", "backtestsweep", name, f"--namespace={namespace}")
    gone(plane, namespace)


def test_killed_after_any_call_each_life_ends_the_same_and_leaves_nothing(
    plane: ControlPlane, namespace: str, proxy: KillingProxy, serving: Operator
) -> None:
    for number in range(1, MOST_CALLS):
        wait_until(serving.leads_again, "the operator leads", 60)
        proxy.arm(number, serving.process.kill)
        live(plane, namespace, f"life-{number}", serving)
        if proxy.armed:
            break
    written = {call.split("/")[0].split()[0] for call in proxy.calls}
    assert number > 15
    assert {"PATCH", "PUT", "DELETE", "POST"} <= written
