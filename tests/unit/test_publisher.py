"""What Prefect refuses for good is let go of and counted; what it may take later waits."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest

from backsweep.orchestration import publisher
from backsweep.orchestration.artifacts import Artifact
from backsweep.orchestration.publisher import Publisher

RUN = UUID(int=1)
TABLE = Artifact("leaders-x", "table", "[]", "leaders")


class Server:
    """Takes lines, but for those that name a status, which it answers with; `passing` is over after three answers."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, str]] = []
        self.asked = 0
        self.artifacts = 0

    def create_logs(self, lines: list[Any]) -> None:
        self.asked += 1
        for line in lines:
            if line.message.isdigit() and not (int(line.message) in publisher.PASSING and self.asked > 3):
                raise refusal(int(line.message))
        self.taken += [(line.level, line.message) for line in lines]

    def create_artifact(self, wanted: Any) -> Any:
        self.artifacts += 1
        if self.artifacts == 1:
            raise refusal(429)
        return SimpleNamespace(id=UUID(int=2))


def refusal(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://prefect/api/logs/")
    return httpx.HTTPStatusError(f"{status}", request=request, response=httpx.Response(status, request=request))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()

    @contextlib.contextmanager
    def get_client(sync_client: bool) -> Iterator[Server]:
        yield found

    monkeypatch.setattr("prefect.client.orchestration.get_client", get_client)
    monkeypatch.setattr(publisher, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(publisher, "SECONDS_BETWEEN_PROGRESS", 0.01)
    return found


def publish(sentences: list[str], *artifacts: Artifact) -> None:
    with Publisher(RUN, lambda: False) as open_publisher:
        for sentence in sentences:
            open_publisher.log(sentence)
        for artifact in artifacts:
            open_publisher.add(artifact)


def test_a_line_that_is_refused_takes_no_other_with_it_and_is_counted_once(server: Server) -> None:
    publish(["first", "422", "second", "third", "413", "last"])
    *lines, (level, told) = server.taken
    assert [sentence for _, sentence in lines] == ["first", "second", "third", "last"]
    assert level == logging.WARNING
    assert told == "the server refused 2 lines, which are not shown here; the store has them"


@pytest.mark.parametrize("status", [429, 408])
def test_a_line_the_server_has_no_time_for_is_sent_again(server: Server, status: int) -> None:
    publish(["first", str(status), "last"])
    assert [sentence for _, sentence in server.taken] == ["first", str(status), "last"]
    assert server.asked > 3


def test_an_artifact_the_server_has_no_time_for_is_sent_again(server: Server) -> None:
    publish([], TABLE)
    assert server.artifacts == 2
    assert server.taken == []
