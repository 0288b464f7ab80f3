"""Blocks on a real Ray: the same bytes as in one process, lost workers replaced, nothing left behind."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backsweep.errors import (
    BlockTimeoutError,
    InvariantError,
    SpecError,
    UserError,
    WorkerLostError,
)
from backsweep.executors.ray_arrays import StoreWithArrays, put_arrays
from backsweep.executors.ray_session import Demand, RaySession
from backsweep.executors.ray_tasks import RayExecutor
from backsweep.executors.serial import SerialExecutor
from backsweep.flow import Prepared, prepare, read_sweep
from backsweep.flow.finish import finish
from backsweep.flow.run import Ran, workers_of
from backsweep.ports import Executor
from backsweep.settings import NUMERIC_VARIABLES
from backsweep.stores.file import FileStore
from backsweep.sweep.compute import Computed, compute
from backsweep.sweep.series import SweepSeries
from backsweep.sweep.work import Work

DOCUMENT = """
apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: contract}
spec:
  data: {name: sp500-20, start: "2010-01-04", end: "2014-12-31"}
  axes:
    profile: [equal_weight, min_variance, {name: hrp, linkage: ward}, risk_parity]
    covariance: [sample, ledoit_wolf]
    lookback: [126, 252]
    rebalance: [window, daily]
    costs: [{slippageBps: 5, commissionBps: 1}, {slippageBps: 20, commissionBps: 1}]
"""


def square(number: int) -> int:
    return number * number


def die_once(place: str) -> str:
    path = Path(place)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return place


def die_always(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def hang(_: int) -> int:
    time.sleep(600)
    return 0


def refuse(_: int) -> int:
    raise SpecError("the first problem", "the second")


def fail(_: int) -> int:
    return 1 // 0


def fail_unsendably(_: int) -> int:
    class Local(Exception):
        """It does not exist on the other side."""

    raise Local("here only")


def speak(number: int) -> int:
    sys.stdout.write(f"block {number} speaks\n")
    return number


def numeric_facts(_: int) -> dict[str, Any]:
    """Say in which environment this worker's numpy was loaded."""
    loaded_before = "numpy" in sys.modules
    features = vars(importlib.import_module("numpy._core._multiarray_umath"))["__cpu_features__"]
    matrix = np.random.default_rng(1).standard_normal((60, 60))
    return {
        "pid": os.getpid(),
        "numpy loaded before": loaded_before,
        "variables": {name: os.environ.get(name) for name in NUMERIC_VARIABLES},
        "features": sorted(name for name, there in features.items() if there),
        "bytes": np.linalg.inv(matrix @ matrix.T).tobytes().hex(),
        "heavy": sorted({"pandas", "scipy", "matplotlib"} & set(sys.modules)),
    }


class DyingOnce:
    """A `Work` whose worker is killed in the middle of its first block, when some units are stored."""

    def __init__(self, work: Work, place: Path) -> None:
        self.work = work
        self.place = place

    def __call__(self, block: Any) -> Any:
        from threading import Timer

        if not self.place.exists():
            self.place.touch()
            Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return self.work(block)


def run(folder: Path, executor: Executor, wrap: Any = None) -> tuple[Prepared, Computed, str]:
    """Run the document on a store of its own; return what was computed and the result's digest."""
    text = f"{DOCUMENT}  storage: {{uri: {(folder / 'store').as_uri()}}}\n"
    prepared = prepare(read_sweep(text, []), folder)
    work: Any = Work(FileStore, (prepared.store.uri,), prepared.references, ())
    phases = prepared.plan.blocks(4)
    table, computed = compute(
        prepared.plan, prepared.store, executor, wrap(work) if wrap else work, phases, lambda _: None
    )
    ran = Ran(prepared, SweepSeries(prepared.plan, prepared.store, table), computed, workers_of(prepared), 0.0)
    finished = finish(ran, folder / "run", "2026-01-01T00:00:00Z", "none")
    return prepared, computed, finished.result_digest


@pytest.fixture(scope="module")
def session() -> Iterator[RaySession]:
    with RaySession(cpus=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def serial(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(tmp_path_factory.mktemp("serial"), SerialExecutor())[2]


def ray(session: RaySession, retries: int = 2, timeout_seconds: float = 60.0, **more: Any) -> RayExecutor:
    return RayExecutor(session, retries=retries, timeout_seconds=timeout_seconds, **more)


def test_every_block_is_answered_once(session: RaySession) -> None:
    executor = ray(session)
    outcomes = {outcome.index: outcome.result for outcome in executor.run(range(40), square)}
    assert outcomes == {number: number * number for number in range(40)}
    assert executor.blocks_done == 40
    assert 40 <= executor.bytes_returned < 40 * 50


def test_workers_have_the_numeric_environment_before_numpy_and_the_same_bytes(session: RaySession) -> None:
    here = numeric_facts(0)
    for outcome in ray(session).run(range(4), numeric_facts):
        there = outcome.result
        assert there["pid"] != os.getpid()
        assert there["variables"] == NUMERIC_VARIABLES
        assert (there["features"], there["bytes"]) == (here["features"], here["bytes"])


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_sweep_has_the_same_digest_as_in_one_process(
    session: RaySession, serial: str, tmp_path: Path, parallelism: int
) -> None:
    executor = ray(session, parallelism=parallelism)
    prepared, computed, result_digest = run(tmp_path, executor)
    assert result_digest == serial
    assert computed.simulations == len(prepared.plan.trials) == 52
    assert 100 < executor.bytes_returned / len(prepared.plan.trials) < 1_024


def test_a_worker_killed_in_the_middle_of_a_block_changes_nothing(
    session: RaySession, serial: str, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    _, _, result_digest = run(tmp_path, ray(session), lambda work: DyingOnce(work, killed))
    assert killed.exists()
    assert result_digest == serial


def test_data_sets_through_the_object_store_are_the_stored_ones(session: RaySession, tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    array = np.random.default_rng(0).standard_normal((300, 40))
    digest = store.put_object(json.dumps({"arrays": {"simulation": store.put_array(array)}}).encode())
    shared = put_arrays(store, [digest])
    opened = StoreWithArrays(FileStore, (store.uri,), shared).open_array(shared[0][0])
    np.testing.assert_array_equal(opened, array)
    assert not opened.flags.writeable
    other = store.put_array(array + 1)
    np.testing.assert_array_equal(StoreWithArrays(FileStore, (store.uri,), shared).open_array(other), array + 1)


def test_lost_workers_are_replaced(session: RaySession, tmp_path: Path) -> None:
    places = [str(tmp_path / str(number)) for number in range(3)]
    assert sorted(outcome.result for outcome in ray(session).run(places, die_once)) == places


def test_a_block_that_kills_its_worker_each_time_ends_with_a_reason(session: RaySession) -> None:
    with pytest.raises(WorkerLostError, match="block 0: its worker died 2 times"):
        list(ray(session, retries=1).run([1], die_always))


def test_what_the_work_raises_passes_through_as_itself(session: RaySession) -> None:
    with pytest.raises(SpecError) as caught:
        list(ray(session).run([1], refuse))
    assert caught.value.problems == ("the first problem", "the second")
    with pytest.raises(ZeroDivisionError) as divided:
        list(ray(session).run([1], fail))
    assert "return 1 // 0" in divided.value.__notes__[0]
    with pytest.raises(InvariantError, match="here only"):
        list(ray(session).run([1], fail_unsendably))


def test_a_block_that_hangs_is_given_up_and_its_worker_is_free_again(session: RaySession) -> None:
    started = time.monotonic()
    with pytest.raises(BlockTimeoutError, match=r"blocks \[0, 1\]: none finished .* = 1, the cluster can run 2"):
        list(ray(session, timeout_seconds=1).run([1, 2], hang))
    assert [outcome.result for outcome in ray(session).run([3], square)] == [9]
    assert time.monotonic() - started < 30


def test_what_no_node_can_run_is_refused_at_once(session: RaySession) -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match=r"needs 3 CPUs .* the largest of 1 nodes has 2 CPUs"):
        list(ray(session, demand=Demand(cpus=3)).run([1], square))
    with pytest.raises(UserError, match=r"no node .* 104,857,600 MiB"):
        list(ray(session, demand=Demand(memory_bytes=100 * 2**40)).run([1], square))
    assert time.monotonic() - started < 60


def test_a_consumer_that_stops_early_leaves_no_block_running(session: RaySession) -> None:
    outcomes = ray(session).run([1, 2, 3, 4], square)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]  # run is a generator
    assert [outcome.result for outcome in ray(session).run([5], square)] == [25]


def test_what_workers_print_goes_to_the_log_and_never_to_stdout(
    session: RaySession, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, "backsweep.ray"):
        list(ray(session).run([7], speak))
        deadline = time.monotonic() + 20
        while "block 7 speaks" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.1)
    assert "block 7 speaks" in caplog.text
    assert "block 7 speaks" not in capfd.readouterr().out


def test_ray_in_use_and_addresses_of_the_client_are_refused(session: RaySession) -> None:
    with pytest.raises(UserError, match="Ray is in use in this process"):
        RaySession(cpus=1).__enter__()
    with pytest.raises(UserError, match="blocks cannot be sent to this address"):
        RaySession("ray://somewhere:10001").__enter__()
    assert session.slots(Demand()) == 2


def test_outside_of_its_session_ray_is_not_used() -> None:
    with pytest.raises(InvariantError, match="outside of its session"):
        list(RayExecutor(RaySession(), retries=0, timeout_seconds=1).run([1], square))


# Of a driver that is killed; they wait for their head for 60 s.
MINUTE_LATE = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
DRIVER = """
from backsweep.settings import pin_numeric_environment
pin_numeric_environment()
import os, sys, time
before = {name for name in os.environ if name.startswith("RAY_AUTH")}
from backsweep.executors.ray_session import RaySession
from backsweep.executors.ray_tasks import RayExecutor
try:
    with RaySession(cpus=1) as session:
        sys.stdout.write("running\\n")
        sys.stdout.flush()
        list(RayExecutor(session, retries=0, timeout_seconds=300).run([300], time.sleep))
finally:
    left = {name for name in os.environ if name.startswith("RAY_AUTH")} - before
    sys.stdout.write(f"left {left}" if left else "ended in order")
"""


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGINT, -signal.SIGINT, "ended in order"),
        (signal.SIGTERM, 1, "ended in order"),  # Ray makes 1 of what the handler exits with
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_whatever_ends_the_driver_ray_ends_with_it(sent: signal.Signals, code: int, said: str) -> None:
    command = [sys.executable, "-c", DRIVER]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "running\n"
    begun = {"gcs_server", "raylet", "ray::backsweep"}
    while not begun <= set(map(_program, family := _session_processes(driver.pid))):
        assert driver.poll() is None, "it ended before a block began"
        time.sleep(0.1)
    driver.send_signal(sent)
    out, _ = driver.communicate(timeout=60)
    assert (driver.returncode, out.strip()) == (code, said)
    deadline = time.monotonic() + 20
    while (left := {_program(pid) for pid in family} - {""}) - MINUTE_LATE and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left <= (MINUTE_LATE if sent == signal.SIGKILL else set())


def _program(pid: int) -> str:
    """Return what a process runs; empty for one that is over."""
    try:
        if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return ""
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode().split()
    except OSError:
        return ""
    return Path(words[0]).name if words else ""


def _session_processes(session_id: int) -> list[int]:
    """Return the processes of a session of the kernel, or below them: the driver and all of its Ray."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = (int(fields[1]), int(fields[3]))
    found = {pid for pid, (_, group) in parents.items() if group == session_id}
    while more := {pid for pid, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)
