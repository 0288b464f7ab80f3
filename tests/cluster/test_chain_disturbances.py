"""Others are away, or in the way, in the middle of a run: it goes on, once, and ends as ever."""

from __future__ import annotations

import itertools
import time

from tests.cluster.chains import Chain
from tests.cluster.control_plane import wait_until
from tests.cluster.second_writer import SecondWriter

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome

DONE = Outcome.SUCCEEDED
OUTAGE_SECONDS = 30


def uids(chain: Chain, name: str) -> set[str]:
    return {each["metadata"]["uid"] for each in chain.made(name, "rayclusters,networkpolicies,jobs")}


def test_prefect_is_killed_and_comes_back_with_what_it_knew(chain: Chain) -> None:
    chain.apply("before")
    chain.reaches("before", State.RUNNING)
    made, (run,) = uids(chain, "before"), chain.flow_runs("before")
    chain.prefect.process.kill()
    chain.apply("meanwhile")
    missed = ("backsweep_api_calls_total", {"api": "Prefect", "code": "none"})
    wait_until(lambda: chain.operator.count(missed[0], **missed[1]) > 0, "the operator to miss Prefect")
    assert chain.state("before") == State.RUNNING
    chain.prefect.start()
    chain.reaches("meanwhile", State.RUNNING, attempt=1)
    assert uids(chain, "before") == made
    chain.worker.ends |= {"before": [DONE], "meanwhile": [DONE]}
    for name in ("before", "meanwhile"):
        chain.reaches(name, State.SUCCEEDED, attempt=1)
        assert chain.states_in_prefect(name) == ["COMPLETED"]
    assert chain.flow_runs("before")[0]["id"] == run["id"]


def test_the_api_server_is_away_for_half_a_minute(chain: Chain) -> None:
    chain.apply("patient")
    chain.reaches("patient", State.RUNNING)
    made = uids(chain, "patient")
    chain.plane.components["kube-apiserver"].kill()
    time.sleep(OUTAGE_SECONDS)  # the length of the outage is what is tested
    chain.plane.start("kube-apiserver")
    wait_until(chain.operator.leads_again, "the operator leads again")
    chain.apply("afterwards", ends=[DONE])
    chain.reaches("afterwards", State.SUCCEEDED, attempt=1)
    assert uids(chain, "patient") == made
    chain.worker.ends["patient"] = [DONE]
    chain.reaches("patient", State.SUCCEEDED, attempt=1)
    assert chain.states_in_prefect("patient") == ["COMPLETED"]


def test_someone_else_keeps_writing_to_the_same_objects(chain: Chain) -> None:
    before, conflicts = calls(chain), calls(chain, code="409")
    with SecondWriter(chain.plane, chain.namespace, "disputed").writing() as second:
        chain.apply("disputed")
        chain.reaches("disputed", State.RUNNING, attempt=1)
        made = uids(chain, "disputed")
        assert len(made) == 3
        counts = itertools.cycle(range(1, 4))

        def in_the_way() -> bool:
            chain.worker.get_on(next(counts))  # so that the operator, too, goes on writing
            return second.written > 300 and calls(chain, code="409") > conflicts

        chain.until(in_the_way, "both to have been in the way", 200)
        chain.worker.ends["disputed"] = [DONE]
        chain.reaches("disputed", State.SUCCEEDED, attempt=1)
    assert uids(chain, "disputed") < made, "only the Job is left, and nothing was made anew"
    assert chain.states_in_prefect("disputed") == ["COMPLETED"]
    assert calls(chain) - before < second.written / 2, "what someone else writes does not keep the operator busy"


def calls(chain: Chain, **labels: str) -> float:
    """Return how many calls to Kubernetes the operator has made, but for its Lease."""
    metric = "backsweep_api_calls_total"
    lease = chain.operator.count(metric, api="Kubernetes", call="renew lease", **labels)
    return chain.operator.count(metric, api="Kubernetes", **labels) - lease
