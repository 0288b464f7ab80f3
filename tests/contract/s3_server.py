"""S3 servers for tests, on loopback: moto behind HTTP, and the ways in which real servers go wrong.

moto looks whether a condition holds and then writes, in two steps; real servers do it in one. So requests
are let through one at a time, which makes it one here as well.
"""

from __future__ import annotations

import functools
import io
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

ACCESS_KEY = "testing-access-key"
SECRET_KEY = "testing-secret-key"  # never a real one: moto asks for none


@dataclass
class Answer:
    """An HTTP answer."""

    status: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


Environ = dict[str, Any]
Forward = Callable[[Environ], Answer]
# Given a request and the way to the real server, answers; None closes the connection without a word.
Behaviour = Callable[[Environ, Forward], Answer | None]


def proper(environ: Environ, forward: Forward) -> Answer | None:
    return forward(environ)


def refusal(status: str, code: str, more: str = "") -> Behaviour:
    """Answer everything with an S3 error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as told</Message>{more}</Error>".encode()

    def behave(environ: Environ, forward: Forward) -> Answer | None:
        head = environ["REQUEST_METHOD"] == "HEAD"
        return Answer(status, [("Content-Type", "application/xml")], b"" if head else body)

    return behave


def times(count: int, first: Behaviour, matching: Callable[[Environ], bool]) -> Behaviour:
    """Behave in another way for the first `count` requests that match, then properly."""
    left = [count]

    def behave(environ: Environ, forward: Forward) -> Answer | None:
        if left[0] and matching(environ):
            left[0] -= 1
            return first(environ, forward)
        return forward(environ)

    return behave


def losing_the_answer(environ: Environ, forward: Forward) -> Answer | None:
    """Do what is asked and hang up."""
    forward(environ)
    return None


def is_put(environ: Environ) -> bool:
    return bool(environ["REQUEST_METHOD"] == "PUT")


class _Handler(MotoRequestHandler):
    """One connection a request, so that a server that stops has no connections left that still answer."""

    protocol_version = "HTTP/1.0"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


class S3Server:
    """moto's S3 at an address of its own, which can behave in other ways, and can go away and come back."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._one_at_a_time = threading.Lock()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.behaviour: Behaviour = proper
        self.requests: list[Environ] = []
        self.access_keys = {ACCESS_KEY}  # those of tests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True, request_handler=_Handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @functools.cached_property
    def client(self) -> Any:
        """boto3's own client, to look at a bucket from outside."""
        keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": "us-east-1"}
        return boto3.session.Session(**keys).client("s3", endpoint_url=self.url)

    def stop(self) -> None:
        """Go away: connections are refused until `start`."""
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length))
        self.requests.append(environ)
        answer = self.behaviour(environ, self._forward)
        if answer is None:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _forward(self, environ: Environ) -> Answer:
        answer = Answer("")

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            answer.status, answer.headers = status, headers

        with self._one_at_a_time:
            answer.body = b"".join(self._moto(environ, start_response))
        return answer
