"""Ray's Jobs API over plain HTTP: no Ray is imported where a sweep is handed to one."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from backsweep.errors import InvariantError, TransientError, UserError

__all__ = ["JobRequest", "JobStatus", "JobsApi"]

PASSING = frozenset({429, 500, 502, 503, 504})  # a head that starts answers with these
PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to run.

    Parameters
    ----------
    submission_id : its name, by which a second submission finds the first.
    entrypoint : a shell command; quote what goes into it.
    variables : environment variables of the driver and its workers; no secrets, the API shows them.
    """

    submission_id: str
    entrypoint: str
    variables: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as Ray sees it.

    Parameters
    ----------
    state : PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
    exit_code : the driver's, where it ended by itself; None where Ray cannot tell.
    """

    state: str
    message: str
    exit_code: int | None

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.state in {"STOPPED", "SUCCEEDED", "FAILED"}


class JobsApi:
    """The Jobs API of one Ray cluster.

    Parameters
    ----------
    address : http:// or https:// URL of the dashboard.
    token : what Ray's token authentication asks for.
    ca_file : certificates to trust besides the system's.
    bear_seconds : how long connection errors are borne; a head that restarts takes a minute.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        ca_file: str | None = None,
        bear_seconds: float = 90.0,
        request_seconds: float = 15.0,
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UserError(f"{address}: not the URL of a Ray Jobs API; write http://host:8265 or https://host")
        self.address = address.rstrip("/")
        self.host = parts.hostname
        self._parts = parts
        self._bear_seconds = bear_seconds
        self._request_seconds = request_seconds
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token.strip()}"
        self._context = _tls(ca_file) if parts.scheme == "https" else None

    def check(self, wait_seconds: float = 10.0) -> str:
        """Return the cluster's version of Ray; one that is not there is found within `wait_seconds`.

        Raises
        ------
        UserError
            If no Ray answers there, or it refuses the token.
        """
        try:
            status, body = self._ask("GET", "/api/version", bear_seconds=wait_seconds)
        except TransientError as error:
            raise UserError(f"{error}; look at spec.cluster.existing.address") from error
        answer = _tree(body) if status == 200 else {}
        if "ray_version" not in answer:
            raise UserError(f"{self.address}: what answers there is not Ray's dashboard (HTTP {status})")
        # The version is told to everyone, the jobs are not: a wrong token is found now and not after the submission.
        self.find("backsweep-probe")
        return str(answer["ray_version"])

    def find(self, submission_id: str) -> JobStatus | None:
        """Return the job's status, or None if this cluster does not know it."""
        status, body = self._ask("GET", _path(submission_id))
        if status == 404:
            return None
        job = self._answer(status, body)
        return JobStatus(str(job.get("status")), str(job.get("message") or ""), job.get("driver_exit_code"))

    def submit(self, request: JobRequest) -> None:
        """Start the job; one that is there already is left as it is."""
        body = json.dumps(
            {
                "entrypoint": request.entrypoint,
                "submission_id": request.submission_id,
                "runtime_env": {"env_vars": dict(request.variables)},
                "metadata": dict(request.metadata),
            }
        )
        deadline = time.monotonic() + self._bear_seconds
        while True:
            try:
                status, answer = self._ask("POST", "/api/jobs/", body, bear_seconds=0.0)
                if b"already exists" not in answer:
                    self._answer(status, answer)
                return
            except TransientError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(PAUSES_SECONDS[-1])
            if self.find(request.submission_id) is not None:  # the answer was lost, the job was not
                return

    def stop(self, submission_id: str) -> None:
        """Ask the job to end; one that is over or unknown is left as it is."""
        status, body = self._ask("POST", _path(submission_id, "/stop"))
        if status != 404:
            self._answer(status, body)

    def log(self, submission_id: str) -> str:
        """Return what the driver has written so far; empty for a job that is unknown or has not begun."""
        status, body = self._ask("GET", _path(submission_id, "/logs"), passing=PASSING - {500})
        if status in {404, 500}:  # 500: the agent beside the driver does not answer yet, or not any more
            return ""
        return str(self._answer(status, body).get("logs") or "")

    # Inside

    def _ask(
        self,
        method: str,
        path: str,
        body: str | None = None,
        *,
        bear_seconds: float | None = None,
        passing: frozenset[int] = PASSING,
    ) -> tuple[int, bytes]:
        """Return status and body, refusals as errors; connection errors are borne for a while."""
        bear_seconds = self._bear_seconds if bear_seconds is None else bear_seconds
        deadline = time.monotonic() + bear_seconds
        attempt = 0
        while True:
            try:
                status, answer = self._once(method, path, body)
                problem = f"HTTP {status}: {_shown(answer)}"
            except ssl.SSLError as error:
                raise UserError(f"{self.address}: its certificate is not trusted: {error.reason}") from error
            except (OSError, http.client.HTTPException) as error:
                status, answer = 0, b""
                problem = str(error) or type(error).__name__
            if status in {401, 403}:
                raise UserError(self._refused(status))
            final = status != 0 and (status not in passing or method != "GET")
            if final:
                return status, answer
            if time.monotonic() >= deadline:
                waited = f" for {bear_seconds:g} s" if bear_seconds else ""
                raise TransientError(f"no answer from Ray at {self.address}{waited}: {problem}")
            time.sleep(PAUSES_SECONDS[min(attempt, len(PAUSES_SECONDS) - 1)])
            attempt += 1

    def _once(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        host, port = self.host, self._parts.port
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=self._request_seconds, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._request_seconds)
        try:
            data = None if body is None else body.encode()
            connection.request(method, self._parts.path.rstrip("/") + path, data, self._headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes) -> dict[str, Any]:
        """Return the tree of a good answer.

        Raises
        ------
        TransientError, InvariantError
        """
        if status == 200:
            return _tree(body)
        if status in PASSING:
            raise TransientError(f"Ray at {self.address} does not take the request: HTTP {status}: {_shown(body)}")
        raise InvariantError(f"Ray at {self.address} refuses the request: HTTP {status}: {_shown(body)}")

    def _refused(self, status: int) -> str:
        if status == 401 and "Authorization" not in self._headers:
            return (
                f"{self.address}: Ray asks for a token; give it in the environment as RAY_AUTH_TOKEN, on Kubernetes by "
                f"spec.cluster.existing.tokenSecretRef"
            )
        return (
            f"{self.address}: Ray refuses the token (HTTP {status}): it is wrong or has expired; give the present one "
            f"in RAY_AUTH_TOKEN, on Kubernetes by spec.cluster.existing.tokenSecretRef"
        )


def _path(submission_id: str, rest: str = "") -> str:
    return f"/api/jobs/{quote(submission_id, safe='')}{rest}"


def _tree(body: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(body)
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}


def _shown(body: bytes) -> str:
    """Return the last line of what may be a stack trace."""
    lines = body.decode(errors="replace").strip().splitlines()
    return lines[-1][:SHOWN_CHARACTERS] if lines else "no text"


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise UserError(f"{ca_file}: no certificates can be read from it: {error}") from error
