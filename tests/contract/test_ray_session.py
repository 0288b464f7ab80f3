"""The context in which Ray can be used: what stands in its way, and a start that a busy machine is too slow for."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from backsweep.executors.ray_session import _kill_left


def test_ray_imported_before_without_a_token_is_one_sentence() -> None:
    program = """
        from backsweep.errors import UserError
        from backsweep.executors.ray_session import RaySession
        import ray
        try:
            RaySession(cpus=1).__enter__()
        except UserError as error:
            print(error)
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert said.stdout.startswith("Ray was imported in this process before the sweep, without a token"), said.stderr


@pytest.mark.parametrize(("slow_starts", "ended"), [(1, "open after 2 starts"), (2, "TransientError after 2 starts")])
def test_a_start_that_a_busy_machine_is_too_slow_for_is_tried_once_more(slow_starts: int, ended: str) -> None:
    """Ray's limit of 30 s cannot be set; what such a start leaves running is ended before the next."""
    program = f"""
        import logging, subprocess, sys, types
        import ray
        from backsweep.errors import TransientError
        from backsweep.executors.ray_session import LOGGER, RaySession

        starts, left = [], []

        def init(**arguments):
            assert all(each.wait(30) == -9 for each in left), "what the first start has left still runs"
            starts.append(arguments)
            if len(starts) > {slow_starts}:
                return types.SimpleNamespace(dashboard_url=None)
            idle = [sys.executable, "-c", "input()", arguments["_temp_dir"]]
            left.append(subprocess.Popen(idle, stdin=subprocess.PIPE))
            raise Exception("The current node timed out during startup. This could happen because")

        ray.init = init
        RaySession._token_is_read = True  # ray is imported here before the session
        LOGGER.addHandler(logging.StreamHandler(sys.stdout))
        try:
            with RaySession(cpus=1):
                print("open after", len(starts), "starts")
        except TransientError as error:
            print(error)
            print("TransientError after", len(starts), "starts")
        for each in left:
            assert each.wait(30) == -9
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [ended]), done.stderr
    assert "Ray could not be started: The current node timed out during startup" in done.stdout
    assert done.stdout.count("it is started once more") == 1


def test_what_is_just_being_started_is_killed_with_the_rest(tmp_path: Path) -> None:
    """A process has its command line a moment after it is there: one in eight of these, most on a busy machine."""
    idle = [sys.executable, "-c", "input()", str(tmp_path)]
    for _ in range(50):
        with subprocess.Popen(idle, stdin=subprocess.PIPE) as started:
            _kill_left(str(tmp_path))
            assert started.wait(30) == -signal.SIGKILL
