"""Programs started for a test end with it, however it ends; ports are not given twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tests.cluster.processes import NotReadyError, Ports, Process

ROOT = Path(__file__).resolve().parents[2]
STARTS_ONE_AND_WAITS = """
    import signal, sys, time
    from pathlib import Path
    from tests.cluster.processes import Process
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    child = Process("sleeper", ["sleep", "300"], Path(sys.argv[1]))
    child.start()
    while Path(f"/proc/{child.pid}/comm").read_text() != "sleep\\n":
        time.sleep(0.01)
    print(child.pid, flush=True)
    time.sleep(300)
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_program_ends_with_the_process_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(STARTS_ONE_AND_WAITS), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.send_signal(number)
    assert gone_within(child, 10)


def test_a_program_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    process = Process("sleeper", ["sleep", "300"], tmp_path)

    def ask() -> None:
        process.start()
        process.wait_until(lambda: Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8") == "sleep\n", 10)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert not gone_within(process.pid, 0.3)
    process.kill()


def test_a_program_is_killed_with_what_it_started(tmp_path: Path) -> None:
    process = Process("shell", ["sh", "-c", "sleep 300 & echo $!; wait"], tmp_path)
    process.start()
    process.wait_until(lambda: process.log.read_text(encoding="utf-8").endswith("\n"), 10)
    grandchild = int(process.log.read_text(encoding="utf-8"))
    process.kill()
    assert gone_within(grandchild, 10)
    assert not process.alive()


def test_a_program_that_ends_says_why(tmp_path: Path) -> None:
    process = Process("broken", ["sh", "-c", "echo no such flag >&2; exit 3"], tmp_path)
    process.start()
    with pytest.raises(NotReadyError, match="broken ended; its log ends with:\nno such flag"):
        process.wait_until(lambda: False, 10)


def test_a_program_that_never_serves_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    process = Process("slow", ["sleep", "300"], tmp_path)
    process.start()
    with pytest.raises(NotReadyError, match=r"slow is not ready after 0\.1 s"):
        process.wait_until(lambda: False, 0.1)
    process.kill()


def test_a_program_that_does_not_heed_sigterm_is_killed_and_named(tmp_path: Path) -> None:
    process = Process("deaf", ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"], tmp_path)
    process.start()
    process.wait_until(lambda: "up" in process.last_lines(), 10)
    with pytest.raises(NotReadyError, match=r"deaf did not stop within 0\.5 s of SIGTERM"):
        process.stop(0.5)
    assert not process.alive()


def test_a_paused_program_goes_on_where_it_was(tmp_path: Path) -> None:
    process = Process("paused", ["sleep", "300"], tmp_path)
    process.start()
    process.pause()
    state = Path(f"/proc/{process.pid}/stat")
    process.wait_until(lambda: state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T", 10)
    process.resume()
    process.wait_until(lambda: state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "S", 10)
    assert process.stop() == -signal.SIGTERM


def test_two_holders_never_get_the_same_port() -> None:
    one, other = Ports(), Ports()
    try:
        ports = [holder.claim() for holder in (one, other) for _ in range(4)]
        assert len(set(ports)) == 8
    finally:
        one.release()
        other.release()


def test_another_process_does_not_get_a_port_that_is_held() -> None:
    script = "from tests.cluster.processes import *; import os; os.getpid = lambda: {pid}; print(Ports().claim())"
    mine = Ports()
    try:
        port = mine.claim()
        command = [sys.executable, "-c", script.format(pid=os.getpid())]
        theirs = int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
        assert theirs != port
    finally:
        mine.release()
