"""Sweeps handed to a real Ray head by its Jobs API: submitted, attached to, lost, refused, computed."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.ray_head import Head, free_ports, ray_head

from backsweep.errors import BlockTimeoutError, SpecError, TransientError, UserError, WorkerLostError
from backsweep.executors.ray_jobs import Patience, run_job, stop_job
from backsweep.executors.ray_lines import ERROR, PROGRESS, REPORT, last_line, mark_line
from backsweep.executors.ray_rest import JobRequest, JobsApi
from backsweep.executors.ray_session import RaySession
from backsweep.executors.serial import SerialExecutor
from backsweep.flow import Prepared, prepare, read_sweep
from backsweep.flow.cluster.job import compute_on_cluster, job_of
from backsweep.flow.cluster.request import make_request
from backsweep.stores.file import FileStore
from backsweep.stores.opening import StoreAddress
from backsweep.sweep.compute import Progress, compute
from backsweep.sweep.work import Work

if TYPE_CHECKING:
    from tests.contract.conftest import Bucket

ROOT = Path(__file__).resolve().parents[2]
QUICK = Patience(poll_seconds=0.2, pending_seconds=60, stall_seconds=60, resubmissions=1)
DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: job}
spec:
  data: {name: sp500-20, start: "2012-01-03", end: "2014-12-31"}
  axes:
    profile: [equal_weight, min_variance, hrp]
    covariance: [sample, ledoit_wolf]
    lookback: [126, 252]
"""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with ray_head(tmp_path_factory.mktemp("home")) as started:
        yield started


@pytest.fixture
def api(head: Head) -> JobsApi:
    return JobsApi(head.address, token=head.token, bear_seconds=30)


def ignore(_: object) -> None:
    pass


def job(name: str, program: str) -> JobRequest:
    return JobRequest(name, f"python -u -c '{program}'")


def prepared_in(folder: Path) -> Prepared:
    text = f"{DOCUMENT}  storage: {{uri: {(folder / 'store').as_uri()}}}\n"
    return prepare(read_sweep(text, []), folder)


def records(prepared: Prepared) -> dict[str, Any]:
    return {identity: prepared.store.get_unit(identity) for identity in prepared.plan.unit_ids()}


def request_of(prepared: Prepared) -> Any:
    address = StoreAddress(prepared.store.uri)
    return make_request(prepared.store, address, prepared.document, prepared.references, prepared.strategy)


def test_a_sweep_on_the_cluster_leaves_the_same_units_as_one_process(api: JobsApi, tmp_path: Path) -> None:
    here, there = prepared_in(tmp_path / "here"), prepared_in(tmp_path / "there")
    work = Work(FileStore, (here.store.uri,), here.references, ())
    compute(here.plan, here.store, SerialExecutor(), work, here.plan.blocks(1), lambda _: None)
    seen: list[Progress] = []
    report = compute_on_cluster(request_of(there), api, "job", 60, seen.append)
    assert records(there) == records(here)
    assert None not in records(there).values()
    assert report["simulations"] == len(there.plan.trials)
    assert 0 < report["bytesReturned"] < 1_024 * len(there.plan.trials)
    assert (seen[-1].done, seen[-1].total) == (len(there.plan.trials), len(there.plan.trials))
    again = compute_on_cluster(request_of(there), api, "job", 60, seen.append)
    assert again["simulations"] == 0  # the next one, under the next id, finds everything


def test_of_a_bucket_each_array_of_the_data_is_read_once_for_all_workers(
    api: JobsApi, bucket: Bucket, tmp_path: Path
) -> None:
    here = prepared_in(tmp_path)
    work = Work(FileStore, (here.store.uri,), here.references, ())
    compute(here.plan, here.store, SerialExecutor(), work, here.plan.blocks(1), ignore)
    text = f"{DOCUMENT}  storage: {{uri: {bucket.uri}, endpointUrl: {bucket.server.url}}}\n"
    there = prepare(read_sweep(text, []), tmp_path)
    address = StoreAddress(bucket.uri, bucket.server.url)
    request = make_request(there.store, address, there.document, there.references, there.strategy)
    bucket.server.requests.clear()
    compute_on_cluster(request, api, "bucket", 60, ignore)
    assert records(there) == records(here)
    arrays = json.loads(here.store.get_object(here.references[0]))["arrays"].values()
    read = [each["PATH_INFO"][-64:] for each in bucket.server.requests if each["REQUEST_METHOD"] == "GET"]
    assert {read.count(digest) for digest in arrays} == {1}


def test_a_driver_that_does_not_see_the_store_or_its_environment_says_so(api: JobsApi, tmp_path: Path) -> None:
    prepared = prepared_in(tmp_path)
    request = request_of(prepared)
    elsewhere = StoreAddress((tmp_path / "empty").as_uri())
    with pytest.raises(UserError, match="the driver on the cluster does not see the store"):
        run_job(api, job_of(replaced(request, store=elsewhere), "elsewhere"), QUICK, ignore)
    older = {**request.environment, "numpy": "1.0"}
    with pytest.raises(UserError, match=r"another numeric environment \(numpy is \S+ there and 1\.0 here\)"):
        run_job(api, job_of(replaced(request, environment=older), "older"), QUICK, ignore)


def replaced(request: Any, **changes: Any) -> Any:
    return dataclasses.replace(request, **changes)


def test_a_second_submission_attaches_to_the_first(api: JobsApi, tmp_path: Path) -> None:
    counted = tmp_path / "starts"
    program = f'import time; open("{counted}", "a").write("x"); time.sleep(4); print("{REPORT} " + chr(123) + chr(125))'
    request = job("attach", program)
    api.submit(request)
    api.submit(request)  # Ray answers 500 "already exists", which is no error
    others = [threading.Thread(target=run_job, args=(api, request, QUICK, ignore)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(timeout=60)
    assert counted.read_text() == "x"


def test_a_lost_job_is_submitted_again_and_goes_on(api: JobsApi, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    # Its first driver is killed, as if out of memory; the second one finds what the first one left.
    program = (
        f'import os, pathlib; p = pathlib.Path("{marks}"); there = p.exists(); p.touch(); '
        f'there or os.kill(os.getpid(), 9); print("{REPORT} " + chr(123) + chr(125))'
    )
    assert run_job(api, job("killed", program), QUICK, ignore) == {}
    always = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(WorkerLostError, match=r"job lost at .* was lost 2 times"):
        run_job(api, job("lost", always), QUICK, ignore)


def test_a_job_the_cluster_has_forgotten_is_submitted_again(head: Head, api: JobsApi, tmp_path: Path) -> None:
    forgotten = tmp_path / "forgotten"
    program = (
        f'import time, pathlib; p = pathlib.Path("{forgotten}"); there = p.exists(); p.touch(); '
        f'there or time.sleep(300); print("{REPORT} " + chr(123) + chr(125))'
    )

    def forget() -> None:
        while not forgotten.exists():
            time.sleep(0.05)
        api.stop("forgotten")
        while not api.find("forgotten").is_over:  # type: ignore[union-attr]  # it is there
            time.sleep(0.05)
        head.forget("forgotten")

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    # It looks rarely, so that it finds the job gone and not stopped.
    assert run_job(api, job("forgotten", program), Patience(poll_seconds=12.0), ignore) == {}
    forgetting.join()


def test_what_the_driver_ends_with_is_raised_here_as_itself(api: JobsApi) -> None:
    said = mark_line(ERROR, {"reason": "InvalidSpec", "message": "write less"}).replace('"', '\\"')
    with pytest.raises(SpecError, match="write less"):
        run_job(api, job("refused", f'import sys; print("{said}"); sys.exit(1)'), QUICK, ignore)
    with pytest.raises(TransientError, match=r"(?s)exit code 1:.*No module named .*absent"):
        run_job(api, JobRequest("absent", "python -m absent"), QUICK, ignore)


def test_a_stopped_job_and_one_without_progress_end_with_a_reason(api: JobsApi) -> None:
    impatient = Patience(poll_seconds=0.2, stall_seconds=2)
    with pytest.raises(BlockTimeoutError, match="made no progress within 2 s and was stopped"):
        run_job(api, job("hangs", "import time; time.sleep(300)"), impatient, ignore)
    stopper = threading.Timer(4, stop_job, (api, job("stopped", "")))
    stopper.start()
    with pytest.raises(TransientError, match="the Ray job stopped was stopped"):
        run_job(api, job("stopped", "import time; time.sleep(300)"), QUICK, ignore)
    stop_job(api, job("stopped", ""))  # it is over: there is nothing to stop


def test_progress_and_log_are_seen(api: JobsApi) -> None:
    line = mark_line(PROGRESS, {"done": 3}).replace('"', '\\"')
    seen: list[Mapping[str, Any]] = []
    run_job(api, job("speaks", f'print("{line}"); print("{REPORT} " + chr(123) + chr(125))'), QUICK, seen.append)
    assert seen == [{"done": 3}]
    assert PROGRESS in api.log("speaks")
    assert api.log("unknown") == ""
    assert api.find("unknown") is None
    api.stop("unknown")


def test_refused_tokens_and_wrong_addresses_are_one_sentence_within_seconds(head: Head, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match="Ray asks for a token; give it in the environment as RAY_AUTH_TOKEN"):
        JobsApi(head.address).check()
    with pytest.raises(UserError, match=r"Ray refuses the token \(HTTP 403\)"):
        JobsApi(head.address, token="wrong" * 12).check()
    port = free_ports(1)[0]
    with pytest.raises(UserError, match=r"no answer from Ray at .* Connection refused; look at spec"):
        JobsApi(f"http://127.0.0.1:{port}").check(wait_seconds=1)
    with pytest.raises(UserError, match="not the URL of a Ray Jobs API"):
        JobsApi("127.0.0.1:8265")
    with pytest.raises(UserError, match="no certificates can be read"):
        JobsApi("https://127.0.0.1", ca_file=str(tmp_path / "none"))
    assert time.monotonic() - started < 60


def test_a_cluster_that_is_not_there_is_found_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    port = free_ports(1)[0]
    for address, kind, sentence in (
        (f"127.0.0.1:{port}", TransientError, f"no Ray cluster could be joined at 127.0.0.1:{port}: .*refused"),
        ("auto", UserError, "auto: no Ray cluster is named; write host:port"),
    ):
        started = time.monotonic()
        with pytest.raises(kind, match=sentence):
            RaySession(address).__enter__()
        assert time.monotonic() - started < 60


def test_a_folder_is_no_store_for_a_ray_elsewhere(tmp_path: Path) -> None:
    request = request_of(prepared_in(tmp_path))
    with pytest.raises(UserError, match=r"is a folder of this machine, and the Ray at .* write an s3:// URI"):
        compute_on_cluster(request, JobsApi("http://ray.example.com:8265"), "job", 60, ignore)


def test_the_same_work_in_the_same_store_is_one_job(tmp_path: Path) -> None:
    request = request_of(prepared_in(tmp_path))
    assert job_of(request, "job") == job_of(request, "job")
    other = replaced(request, store=StoreAddress("s3://bucket/other"))
    assert job_of(other, "job").submission_id != job_of(request, "job").submission_id


def test_a_line_that_is_not_whole_yet_is_not_read() -> None:
    log = f'{PROGRESS} {{"done": 1}}\nother\n{PROGRESS} {{"done": 2'
    assert last_line(log, PROGRESS) == {"done": 1}
    assert last_line(log, REPORT) is None
    assert json.loads(mark_line(REPORT, {"a": 1}).removeprefix(REPORT)) == {"a": 1}
