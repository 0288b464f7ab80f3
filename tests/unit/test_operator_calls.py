"""How many calls are under way at the same time, and that none waits for its place for ever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from backsweep_operator.calls import Answer, Call, Caller, Server
from backsweep_operator.errors import UnavailableError
from backsweep_operator.metrics import OperatorMetrics

READ, WRITE = Call("read", "GET", "/it"), Call("write", "PUT", "/it", writes=True)


@dataclass
class Patient:
    """An API that answers once `goes_on` is set; `most` has the most calls there were at once, by name."""

    caller: Caller
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: list[str] = field(default_factory=list)
    most: dict[str, int] = field(default_factory=dict)

    async def attempt(self, call: Call, _: bool) -> tuple[Answer, bool]:
        self.under_way.append(call.name)
        self.most[call.name] = max(self.under_way.count(call.name), self.most.get(call.name, 0))
        await self.goes_on.wait()
        self.under_way.remove(call.name)
        return Answer(200, {}), True


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
