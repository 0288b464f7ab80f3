"""How flows end, with a real Prefect server, API server and KubeRay: what the sweep says then, and what is left."""

from __future__ import annotations

import pytest
from tests.cluster.chains import Chain

from backsweep_api.conditions import State
from backsweep_operator.model import Outcome


def test_a_sweep_that_succeeds_tells_its_result_and_keeps_its_job_until_its_time(chain: Chain) -> None:
    chain.apply("good")
    chain.reaches("good", State.RUNNING)
    (cluster,) = chain.made("good", "rayclusters")
    (run,) = chain.flow_runs("good")
    head = f"http://{cluster['metadata']['name']}-head-svc.{chain.namespace}.svc:8265"
    assert run["parameters"]["ray"] == {"address": head, "workers": 1}
    chain.until(lambda: chain.status("good")["trials"]["done"] == 1, "its progress")
    chain.apply("good", ends=[Outcome.SUCCEEDED])
    chain.reaches("good", State.SUCCEEDED)
    status = chain.status("good")
    assert (status["run"]["attempt"], status["trials"]["done"], status["best"]["trial"]) == (1, 4, "t1")
    assert status["manifest"]["uri"] == f"s3://bucket/{run['id']}/manifest.json"
    assert chain.states_in_prefect("good") == ["COMPLETED"]
    assert [each["kind"] for each in chain.made("good")] == ["Job", "Pod"], "the Job stays for its log"
    chain.apply("good", ends=[Outcome.SUCCEEDED], ttlSecondsAfterFinished=1)
    chain.until(lambda: not chain.made("good"), "the Job to go")
    assert chain.state("good") == State.SUCCEEDED
    assert chain.status("good")["run"]["attempt"] == 1, "a TTL begins nothing anew"


@pytest.mark.parametrize(
    ("outcome", "reason"), [(Outcome.FAILED, "TrialsFailed"), (Outcome.REFUSED, "FlowRefused")], ids=str
)
def test_a_flow_that_says_it_failed_is_not_tried_again(chain: Chain, outcome: Outcome, reason: str) -> None:
    chain.apply(f"says-{outcome}", ends=[outcome], ttlSecondsAfterFinished=0)
    chain.reaches(f"says-{outcome}", State.FAILED, reason)
    assert chain.failure(f"says-{outcome}") == f"the flow ended as {outcome}"
    assert chain.states_in_prefect(f"says-{outcome}") == ["FAILED"]
    chain.until(lambda: not chain.made(f"says-{outcome}"), "nothing to be left")


def test_lost_infrastructure_is_tried_again_as_often_as_the_limit_says(chain: Chain) -> None:
    chain.apply("lost", ends=[Outcome.INCOMPLETE], backoffLimit=1)
    chain.reaches("lost", State.RUNNING, attempt=2)
    assert chain.status("lost")["run"]["failures"] == 1
    (cluster,) = chain.made("lost", "rayclusters")
    assert cluster["metadata"]["name"].endswith("-2")
    chain.plane.kubectl("delete", "raycluster", cluster["metadata"]["name"], f"--namespace={chain.namespace}")
    chain.reaches("lost", State.FAILED, "BackoffLimitExceeded")
    message = chain.failure("lost")
    assert message.startswith("attempt 2 was lost (the RayCluster ")
    assert chain.states_in_prefect("lost") == ["FAILED", "CANCELLED"]
    assert {each["kind"] for each in chain.made("lost")} <= {"Job", "Pod"}


def test_where_only_the_pod_is_lost_its_job_goes_on_with_the_same_flow_run(chain: Chain) -> None:
    chain.apply("drained")
    chain.reaches("drained", State.RUNNING)
    (job,) = chain.made("drained", "jobs")
    pods = [each for each in chain.made("drained", "pods") if each["metadata"]["labels"].get("job-name")]
    chain.plane.kubectl("delete", "pod", pods[0]["metadata"]["name"], f"--namespace={chain.namespace}")
    chain.worker.ends["drained"] = [Outcome.SUCCEEDED]
    chain.reaches("drained", State.SUCCEEDED, attempt=1)
    assert chain.states_in_prefect("drained") == ["COMPLETED"]
    assert [each["metadata"]["uid"] for each in chain.made("drained", "jobs")] == [job["metadata"]["uid"]]
