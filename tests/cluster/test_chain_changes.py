"""What users do to a sweep while its flow runs, and sweeps that need no cluster of their own."""

from __future__ import annotations

from tests.cluster.chains import Chain, new_chain
from tests.cluster.control_plane import ControlPlane
from tests.cluster.prefect_server import PrefectServer

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome

DONE = Outcome.SUCCEEDED


def test_suspending_takes_a_running_flow_away_and_resuming_runs_another(chain: Chain) -> None:
    chain.apply("rests")
    chain.reaches("rests", State.RUNNING)
    chain.apply("rests", suspend=True)
    chain.reaches("rests", State.SUSPENDED, "Suspended")
    assert chain.made("rests") == []
    assert chain.states_in_prefect("rests") == ["CANCELLED"]
    chain.apply("rests", ends=[DONE, DONE], suspend=False)
    chain.reaches("rests", State.SUCCEEDED, attempt=2)
    assert chain.states_in_prefect("rests") == ["CANCELLED", "COMPLETED"]


def test_another_question_stops_the_flow_and_asks_anew(chain: Chain) -> None:
    chain.apply("changes")
    chain.reaches("changes", State.RUNNING)
    before = chain.status("changes")["run"]["specDigest"]
    chain.apply("changes", axes={"profile": ["hrp"], "lookback": [126, 252]})
    chain.reaches("changes", State.RUNNING, attempt=2)
    assert chain.states_in_prefect("changes") == ["CANCELLED", "RUNNING"]
    assert [each["metadata"]["name"][-2:] for each in chain.made("changes", "rayclusters")] == ["-2"]
    chain.worker.ends["changes"] = [DONE, DONE]
    chain.reaches("changes", State.SUCCEEDED, attempt=2)
    assert chain.status("changes")["run"]["specDigest"] != before
    (_, run) = chain.flow_runs("changes")
    assert run["parameters"]["document"]["spec"]["axes"]["profile"] == ["hrp"]


def test_a_running_sweep_that_is_deleted_leaves_nothing_and_its_name_is_free(chain: Chain) -> None:
    chain.apply("again")
    chain.reaches("again", State.RUNNING)
    (old,) = chain.made("again", "rayclusters")
    chain.delete("again")
    chain.apply("again")
    chain.until(lambda: chain.states_in_prefect("again")[0] == "CANCELLED", "the flow of the deleted one to be told")
    chain.worker.ends["again"] = [DONE]
    chain.reaches("again", State.SUCCEEDED, attempt=1)
    assert chain.states_in_prefect("again") == ["CANCELLED", "COMPLETED"]
    chain.delete("again")
    chain.until(lambda: not chain.made("again"), f"nothing to be left, of {old['metadata']['name']} neither")


def test_a_sweep_for_one_machine_gets_no_cluster(chain: Chain) -> None:
    chain.apply("local", execution={"mode": "local"})
    chain.reaches("local", State.RUNNING)
    assert {each["kind"] for each in chain.made("local")} == {"Job", "Pod"}
    (run,) = chain.flow_runs("local")
    assert run["parameters"]["ray"] is None
    chain.worker.ends["local"] = [DONE]
    chain.reaches("local", State.SUCCEEDED)


def test_on_a_cluster_that_is_there_already_none_is_made(chain: Chain) -> None:
    existing = {"address": "http://ray.example:8265", "tokenSecretRef": {"name": "token", "key": "auth_token"}}
    chain.apply("guest", cluster={"existing": existing})
    chain.reaches("guest", State.RUNNING)
    assert {each["kind"] for each in chain.made("guest")} == {"Job", "Pod"}
    (run,) = chain.flow_runs("guest")
    assert run["parameters"]["ray"]["address"] == existing["address"]
    (pod,) = chain.made("guest", "pods")
    variables = {each["name"]: each for each in pod["spec"]["containers"][0]["env"]}
    assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "token"
    chain.worker.ends["guest"] = [DONE]
    chain.reaches("guest", State.SUCCEEDED)


def test_no_more_sweeps_run_than_the_release_allows(plane: ControlPlane, prefect_server: PrefectServer) -> None:
    names = ("one", "two")
    with new_chain(plane, prefect_server, BACKSWEEP_MAX_CONCURRENT_SWEEPS="1") as narrow:
        for name in names:
            narrow.apply(name, ends=[DONE], execution={"mode": "local"})

        def all_done() -> bool:
            at_work = [each for name in names for each in narrow.flow_runs(name) if each["state_type"] != "COMPLETED"]
            assert len(at_work) <= 1
            return all(narrow.state(name) == State.SUCCEEDED for name in names)

        narrow.until(all_done, "both, one after the other", 120)
