"""Starts, finds and stops the embedded Prefect server; or finds the one PREFECT_API_URL names."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backsweep.errors import PrefectError, TransientError
from backsweep.orchestration.state import ServerRecord, StateFolder

__all__ = ["Endpoint", "Status", "answers", "ensure", "find", "status", "stop"]

START_SECONDS = 120.0  # a first start migrates a new database: 20 to 40 s on a busy machine
STOP_SECONDS = 15.0
ANSWER_SECONDS = 10.0
LOG_LINES = 12
LOG_BYTES = 2**20
WITHOUT = "or run with --no-prefect"
STARTING = (
    "starting a Prefect server for this run and those to come: the first time 10 to 20 s "
    "(backsweep server stop ends it, --no-prefect runs without)"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that answers.

    Parameters
    ----------
    auth : user:password; None when the server asks for none, or PREFECT_API_KEY is used.
    state : the folder of an embedded server; None for one that is somebody else's.
    """

    api_url: str
    auth: str | None
    state: StateFolder | None

    @property
    def dashboard(self) -> str:
        """Address a person opens."""
        return os.environ.get("PREFECT_UI_URL") or self.api_url.removesuffix("/").removesuffix("/api")


@dataclass(frozen=True, slots=True)
class Status:
    """How the embedded server is: `answers` may be false while it starts."""

    record: ServerRecord | None
    answers: bool


def say_nothing(sentence: str) -> None:
    """Tell nobody."""


def find(say: Callable[[str], None] = say_nothing) -> Endpoint:
    """Return the server to use: the one PREFECT_API_URL names, or the embedded one, started when needed.

    Parameters
    ----------
    say : is told, in a sentence, when a server is started.

    Raises
    ------
    PrefectError
        If it does not answer in time, or refuses our credentials.
    """
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return ensure(say)
    auth = os.environ.get("PREFECT_API_AUTH_STRING")
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        answer = _answer(url, auth)
        if answer in {401, 403} and not os.environ.get("PREFECT_API_KEY"):
            raise PrefectError(
                f"PREFECT_API_URL {url}: it refuses the credentials; set PREFECT_API_AUTH_STRING, {WITHOUT}"
            )
        if answer == 404:
            raise PrefectError(f"PREFECT_API_URL {url}: no Prefect API is there; the address ends in /api")
        if answer is not None and answer < 500:
            return Endpoint(url, auth, None)
        if time.monotonic() > deadline:
            said = "nothing answers" if answer is None else f"it answers {answer}"
            raise PrefectError(f"PREFECT_API_URL {url}: {said}; start that server, unset the variable, {WITHOUT}")
        time.sleep(0.5)


def ensure(say: Callable[[str], None] = say_nothing) -> Endpoint:
    """Return the embedded server, started when none lives; of two callers at once one starts it.

    Raises
    ------
    PrefectError
        If it does not answer in time; the message has the log's last lines, and what was started here is ended.
    """
    state = StateFolder.of_user()
    auth = state.auth()
    deadline = time.monotonic() + START_SECONDS
    child, started = None, False
    while True:
        record = state.record()
        ready = record is not None and not record.is_stopped
        if record is not None and ready and _answer(f"{record.origin}/api", auth) == 200 and state.is_served():
            return Endpoint(f"{record.origin}/api", auth, state)
        if child is not None and _ended(child):
            child = None
        if child is None and not state.is_served():
            if not started:
                say(STARTING)
                child, started = _spawn(state), True
                continue
            raise PrefectError(_not_started("ended while it started", state.log))
        if time.monotonic() > deadline:
            if child is not None:
                _end(child, partial(_ended, child))
            raise PrefectError(_not_started(f"did not answer within {START_SECONDS:.0f} s", state.log))
        time.sleep(0.1)


def answers(endpoint: Endpoint) -> bool:
    """Whether a server answers, now."""
    return _answer(endpoint.api_url, endpoint.auth) == 200


def status() -> Status:
    """Return whether the embedded server lives and answers; nothing is started."""
    state = StateFolder.of_user()
    record = state.record() if state.is_served() else None
    return Status(record, record is not None and _answer(f"{record.origin}/api", state.auth()) == 200)


def stop() -> ServerRecord | None:
    """Stop the embedded server and return which it was; None when none lived.

    Raises
    ------
    TransientError
        If it does not end.
    """
    state = StateFolder.of_user()
    record = state.record()
    if record is None or record.is_stopped or not state.is_served():
        return None
    state.write_record(ServerRecord(0, record.port))
    if not _end(record.pid, lambda: _ended(record.pid) or not state.is_served()):
        state.write_record(record)
        raise TransientError(f"the Prefect server, process {record.pid}, does not end")
    return record


def _spawn(state: StateFolder) -> int:
    """Start the server as a process of its own session, so that Ctrl-C here does not reach it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    places = [str(Path(__file__).parents[2]), str(Path(sys.modules["backsweep_api"].__file__ or "").parents[1])]
    environment["PYTHONPATH"] = os.pathsep.join([*places, environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    log = os.open(state.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.fstat(log).st_size > LOG_BYTES:
            os.truncate(log, 0)
        null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        outputs = [(os.POSIX_SPAWN_DUP2, log, number) for number in (1, 2)]
        command = [sys.executable, "-m", "backsweep.orchestration.service", str(state.folder)]
        return os.posix_spawn(sys.executable, command, environment, file_actions=[null, *outputs], setsid=True)
    finally:
        os.close(log)


def _end(process: int, is_over: Callable[[], bool]) -> bool:
    """Ask a process to end, and make it if it does not; return whether it is over."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, sent)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if is_over():
                return True
            time.sleep(0.05)
    return False


def _ended(child: int) -> bool:
    """Whether a child of ours ended; reaps it."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _answer(api_url: str, auth: str | None) -> int | None:
    """Return the status of an authenticated request; None without an answer."""
    request = urllib.request.Request(f"{api_url.rstrip('/')}/admin/version")
    key = os.environ.get("PREFECT_API_KEY")
    if auth is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
    elif key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with _opener(api_url).open(request, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return None


def _opener(api_url: str) -> urllib.request.OpenerDirector:
    """Return what opens addresses: by the user's proxy, unless the server is on this machine."""
    if "//127.0.0.1" in api_url:
        return urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener()


def _not_started(what: str, log: Path) -> str:
    """Return the sentence, with the last lines of the server's log below it."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    tail = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
    return f"the Prefect server {what}; mend what its log says, {WITHOUT}; {log} ends so:\n{tail}"
