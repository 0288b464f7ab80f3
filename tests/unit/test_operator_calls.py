"""How many calls are under way at the same time, that none waits for its place for ever, what one that fails says."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from backsweep_operator import calls
from backsweep_operator.calls import Answer, Call, Caller, Server
from backsweep_operator.errors import CallRefusedError, UnavailableError
from backsweep_operator.metrics import OperatorMetrics

READ, WRITE = Call("read", "GET", "/it"), Call("write", "PUT", "/it", writes=True)


@dataclass
class Patient:
    """An API that answers once `goes_on` is set; `most` has the most calls there were at once, by name."""

    caller: Caller
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: list[str] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=dict)

    async def attempt(self, call: Call, _: bool) -> Answer:
        self.under_way.append(call.name)
        self.most[call.name] = max(self.under_way.count(call.name), self.most.get(call.name, 0))
        await self.goes_on.wait()
        self.under_way.remove(call.name)
        return Answer(200, {})


def patient(monkeypatch: pytest.MonkeyPatch, call_seconds: float, **places: Any) -> Patient:
    server = Server("Prefect", "", lambda _: {}, None, OperatorMetrics(), lambda: 0.0, None, call_seconds, **places)
    found = Patient(Caller(server))
    monkeypatch.setattr(found.caller, "_attempt", found.attempt)
    return found


def test_one_may_write_while_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def all_at_once() -> dict[str, int]:
        api = patient(monkeypatch, 5.0, at_once=3, writes_at_once=1)
        asked = [asyncio.create_task(api.caller.call(each)) for each in (WRITE, READ) * 5]
        while len(api.under_way) < 3:
            await asyncio.sleep(0)
        api.goes_on.set()
        await asyncio.gather(*asked)
        return api.most

    assert asyncio.run(all_at_once()) == {"write": 1, "read": 2}


def test_a_call_that_gets_no_place_in_the_time_of_an_attempt_is_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behind_one_that_hangs() -> None:
        api = patient(monkeypatch, 0.01, at_once=1)
        hanging = asyncio.create_task(api.caller.call(READ))
        while not api.under_way:
            await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="Prefect gave no answer to write"):
            await api.caller.call(WRITE)
        api.goes_on.set()
        await hanging
        assert (await api.caller.call(WRITE)).ok

    asyncio.run(behind_one_that_hangs())


def test_why_there_was_no_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT_SECONDS", 0.001)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def ask() -> None:
            caller = Caller(Server("Prefect", url, lambda _: {}, None, OperatorMetrics(), lambda: 0.0))
            try:
                await caller.call(READ)
            finally:
                await caller.close()

        with pytest.raises(UnavailableError, match="gave no answer to read: Cannot connect to host"):
            asyncio.run(ask())


def test_a_token_refused_at_the_last_attempt_is_a_refusal_and_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT_SECONDS", 0.001)

    async def turned_away_then_refused() -> None:
        api = patient(monkeypatch, 5.0)
        answers = [*[Answer(429, {})] * (calls.ATTEMPTS - 1), Answer(401, {"message": "who are you"})]

        async def answer(_: Call, anew: bool) -> Answer:
            return answers.pop(0)

        monkeypatch.setattr(api.caller, "_attempt", answer)
        with pytest.raises(CallRefusedError, match="answers 401 to read: who are you"):
            await api.caller.call(READ)

    asyncio.run(turned_away_then_refused())
