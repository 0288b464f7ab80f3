"""The queue: each key once, held by one, backing off by itself."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from backsweep_operator.queue import AsyncQueue, Backoff, KeyQueue


def test_a_key_noticed_often_is_handed_out_once() -> None:
    queue: KeyQueue[str] = KeyQueue()
    for at in (3.0, 1.0, 2.0):
        queue.notice("a", at)
    assert (queue.next_due(), queue.take(0.5), queue.take(1.0), queue.take(9.0)) == (1.0, None, "a", None)


def test_what_happens_while_a_key_is_held_makes_it_due_again_afterwards() -> None:
    queue: KeyQueue[str] = KeyQueue()
    queue.notice("a", 0.0)
    assert queue.take(0.0) == "a"
    queue.notice("a", 1.0)
    assert (queue.take(2.0), queue.next_due()) == (None, None)
    queue.done("a", 3.0, None)
    assert queue.take(3.0) == "a"
    queue.done("a", 4.0, 10.0)
    assert queue.next_due() == 14.0


def test_a_key_that_fails_waits_longer_each_time_and_events_do_not_wake_it() -> None:
    queue: KeyQueue[str] = KeyQueue(Backoff(1.0, 8.0, lambda: 1.0))
    queue.notice("a", 0.0)
    waits = []
    now = 0.0
    for _ in range(5):
        assert queue.take(now) == "a"
        waits.append(queue.failed("a", now))
        queue.notice("a", now + 0.1)
        assert queue.take(now + 0.2) is None
        now += waits[-1]
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert queue.take(now) == "a"
    queue.done("a", now, None)
    queue.notice("a", now)
    assert queue.take(now) == "a"
    assert queue.failed("a", now, at_least_seconds=30.0) == 30.0


def test_back_off_is_spread() -> None:
    assert Backoff(4.0, 60.0, lambda: 0.0).wait_seconds(1) == 3.0
    assert Backoff(4.0, 60.0, lambda: 0.999).wait_seconds(2) > 7.9


@given(st.lists(st.tuples(st.sampled_from(["notice", "take", "done", "failed"]), st.sampled_from("abc")), max_size=60))
def test_no_key_is_held_twice_and_none_is_forgotten(steps: list[tuple[str, str]]) -> None:
    queue: KeyQueue[str] = KeyQueue(Backoff(1.0, 4.0))
    owed: set[str] = set()
    held: set[str] = set()
    for now, (step, key) in enumerate(steps):
        if step == "notice":
            queue.notice(key, float(now))
            owed.add(key)
        elif step == "take":
            taken = queue.take(float(now))
            assert taken not in held
            if taken is not None:
                held.add(taken)
                owed.discard(taken)
        elif key in held:
            held.discard(key)
            if step == "failed":
                queue.failed(key, float(now))
                owed.add(key)
            else:
                queue.done(key, float(now), None)
    for key in held:
        queue.done(key, 1e6, None)
    found = set()
    while (key := queue.take(1e9) or "") != "":
        found.add(key)
    assert found == owed


def test_a_waiting_task_gets_a_key_when_one_is_noticed_or_falls_due() -> None:
    async def scene() -> list[str]:
        loop = asyncio.get_running_loop()
        queue: AsyncQueue[str] = AsyncQueue(loop.time, Backoff(0.01, 0.02))
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.notice("a")
        got = [await waiting]
        queue.failed("a")
        got.append(await queue.take())
        queue.done("a", 0.01)
        got.append(await queue.take())
        return got

    assert asyncio.run(scene()) == ["a", "a", "a"]


def test_a_waiting_task_that_is_cancelled_as_a_key_comes_ends() -> None:
    async def scene() -> bool:
        queue: AsyncQueue[str] = AsyncQueue(asyncio.get_running_loop().time)
        taking = [asyncio.create_task(queue.take()) for _ in range(2)]
        await asyncio.sleep(0.01)
        queue.notice("a")
        await asyncio.sleep(0)
        for each in taking:
            each.cancel()
        await asyncio.wait(taking, timeout=1)
        return all(each.done() for each in taking)

    assert asyncio.run(scene())
