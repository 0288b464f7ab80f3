"""The operator is killed right after every single call it makes in a sweep's life, and each life ends the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from tests.cluster.chains import Chain, new_chain
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.killing_proxy import KillingProxy, Trigger, is_about_flows, is_about_objects
from tests.cluster.operators import start
from tests.cluster.prefect_server import PrefectServer
from tests.cluster.processes import Ports

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome

MOST_CALLS = 100
FEWEST_CALLS = 6
LONGEST_SECONDS = 1_200  # each call is a life of some seconds with an operator that starts anew
pytestmark = pytest.mark.timeout(LONGEST_SECONDS)


@dataclass(frozen=True)
class Mortal:
    """A chain whose operator reaches Kubernetes and Prefect through proxies that pull a trigger."""

    chain: Chain
    trigger: Trigger

    def kill_after(self, call: int) -> None:
        """Arm the trigger; who is killed is started again while we wait for what comes of it."""
        wait_until(self.chain.operator.leads_again, "the operator leads")
        self.trigger.arm(call, self.chain.operator.process.kill)


@pytest.fixture(scope="module")
def mortal(plane: ControlPlane, prefect_server: PrefectServer) -> Iterator[Mortal]:
    ports, trigger = Ports(), Trigger()
    to_prefect = KillingProxy(prefect_server.endpoint.api_url, ports.claim(), trigger, is_about_flows)
    to_kubernetes = KillingProxy(plane.url, ports.claim(), trigger, is_about_objects, plane.folder / "ca.crt")
    with (
        to_prefect.serving(),
        to_kubernetes.serving(),
        new_chain(plane, prefect_server, PREFECT_API_URL=to_prefect.url) as chain,
    ):
        chain.operator.process.kill()
        kubeconfig = chain.operator.kubeconfig
        config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        config["clusters"][0]["cluster"] = {"server": to_kubernetes.url}
        kubeconfig.write_text(json.dumps(config), encoding="utf-8")
        start(chain.operator)
        yield Mortal(chain, trigger)
    ports.release()


def finished(chain: Chain, name: str, arm: Callable[[], None]) -> None:
    """Let a sweep run and finish."""
    arm()
    chain.apply(name)
    chain.reaches(name, State.RUNNING)
    assert len(chain.made(name, "rayclusters")) == 1
    chain.worker.ends[name] = [Outcome.SUCCEEDED]
    chain.reaches(name, State.SUCCEEDED, attempt=1)
    assert chain.states_in_prefect(name) == ["COMPLETED"]
    assert {each["kind"] for each in chain.made(name)} <= {"Job", "Pod"}


def suspended(chain: Chain, name: str, arm: Callable[[], None]) -> None:
    """Let a sweep that runs be suspended; how it came to run is tested by the life that finishes."""
    chain.apply(name)
    chain.reaches(name, State.RUNNING)
    arm()
    chain.apply(name, suspend=True)
    chain.reaches(name, State.SUSPENDED, attempt=1)
    assert chain.states_in_prefect(name) == ["CANCELLED"]
    assert chain.made(name) == []


def leave(chain: Chain, name: str) -> None:
    """Delete a sweep, and wait until nothing of it is left."""
    chain.delete(name)
    chain.until(lambda: not chain.made(name), f"nothing to be left of {name}")


@pytest.mark.parametrize(("live", "in_prefect"), [(finished, "create_flow_run"), (suspended, "set_state")])
def test_killed_after_any_call_each_life_ends_the_same_and_leaves_nothing(
    mortal: Mortal, live: Callable[[Chain, str, Callable[[], None]], None], in_prefect: str
) -> None:
    for number in range(1, MOST_CALLS):
        name = f"{live.__name__}-{number}"
        live(mortal.chain, name, partial(mortal.kill_after, number))
        leave(mortal.chain, name)
        if mortal.trigger.armed:
            break
    assert mortal.trigger.armed, f"there are more than {MOST_CALLS} calls in a life"
    assert number > FEWEST_CALLS
    assert {"PUT", "DELETE", "POST"} <= {call.split()[0] for call in mortal.trigger.calls}
    assert any(call.endswith(f"/{in_prefect}") for call in mortal.trigger.calls)
