"""The embedded Prefect server: one of it, private, found again, and every way it can be gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backsweep.cli import server as commands
from backsweep.errors import PrefectError
from backsweep.orchestration import server

ENSURE = "from backsweep.orchestration.server import ensure; print(ensure().api_url)"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSWEEP_STATE", str(folder))
        patch.delenv("PREFECT_API_URL", raising=False)
        yield folder
        server.stop()


def ensure_elsewhere() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE, text=True)


def test_two_that_start_at_once_get_one_server(state: Path) -> None:
    both = [ensure_elsewhere(), ensure_elsewhere()]
    addresses = {process.communicate(timeout=120)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(addresses) == 1
    record = server.status().record
    assert record is not None
    assert addresses == {f"{record.origin}/api\n"}


def test_nobody_else_may_read_the_password_or_use_the_server(state: Path) -> None:
    endpoint = server.ensure()
    assert stat.S_IMODE((state / "server.auth").stat().st_mode) == 0o600
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"{endpoint.api_url}/flow_runs/count", data=b"{}", timeout=10)
    refused.value.close()


def test_a_killed_server_is_seen_as_gone_and_comes_back_at_its_address(state: Path) -> None:
    before = server.ensure()
    record = server.status().record
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    while server.status().record is not None:
        time.sleep(0.05)
    assert server.ensure() == before


def test_a_stopped_server_stays_stopped_and_another_program_may_have_its_port(state: Path) -> None:
    server.ensure()
    record = server.stop()
    assert record is not None
    assert server.stop() is None
    assert server.status() == server.Status(None, answers=False)
    with socket.create_server(("127.0.0.1", record.port)):
        other = server.ensure()
    assert other.api_url != f"{record.origin}/api"


def test_the_commands_say_what_is_and_how_to_log_in(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    endpoint = server.ensure()
    assert commands.server(argparse.Namespace(action="status", json=True)) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["dashboard"] == endpoint.dashboard
    assert commands.ui(argparse.Namespace(json=False, no_browser=True)) == 0
    said = capsys.readouterr().out
    assert endpoint.dashboard in said
    assert (endpoint.auth or "") in said
    assert commands.server(argparse.Namespace(action="stop", json=False)) == 0
    assert commands.server(argparse.Namespace(action="status", json=False)) == 1


def test_a_server_that_cannot_start_is_one_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKSWEEP_STATE", str(tmp_path))
    (tmp_path / "prefect.db").write_text("this is no database")
    with pytest.raises(PrefectError, match=r"(?s)ended while it started.*file is not a database"):
        server.ensure()


def test_an_address_where_nothing_answers_is_one_sentence_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    monkeypatch.setattr(server, "ANSWER_SECONDS", 1.0)
    with pytest.raises(PrefectError, match=f"127.0.0.1:{port}/api: nothing answers; .* or run with --no-prefect"):
        server.find()


def test_wrong_credentials_for_an_address_are_one_sentence(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = server.ensure()
    monkeypatch.setenv("PREFECT_API_URL", endpoint.api_url)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "backsweep:wrong")
    with pytest.raises(PrefectError, match="refuses the credentials; set PREFECT_API_AUTH_STRING"):
        server.find()


def test_a_server_that_is_given_up_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSWEEP_STATE", str(tmp_path))
    monkeypatch.setattr(server, "START_SECONDS", 1.0)
    started: list[int] = []
    spawn = os.posix_spawn

    def remember(*arguments: Any, **options: Any) -> int:
        started.append(spawn(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(os, "posix_spawn", remember)
    with pytest.raises(PrefectError, match="did not answer within 1 s"):
        server.ensure()
    with pytest.raises(ChildProcessError):  # it ended, and was waited for
        os.waitpid(started[0], os.WNOHANG)
