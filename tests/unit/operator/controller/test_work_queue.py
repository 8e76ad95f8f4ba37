"""The work queue in virtual time: nothing is lost, nothing runs twice at once, delays are never short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.support.virtual_time import run

from podtask_operator.controller.work_queue import (
    AT_ONCE_SECONDS,
    LAST_BACKOFF,
    RESERVED,
    STALE_TIMERS,
    FairQueue,
    Later,
    WorkQueue,
)
from podtask_operator.task_runs.key import Key

KEY, OTHER = Key("team", "hello"), Key("team", "other")


class Worker:
    """Notes when each key was looked at, and does what the test asks then."""

    def __init__(self) -> None:
        self.looks: list[tuple[float, Key]] = []
        self.then: Callable[[Key], Awaitable[None]] | None = None
        self.queue = WorkQueue(self, concurrency=2)

    async def __call__(self, key: Key) -> None:
        self.looks.append((asyncio.get_running_loop().time() - 1000, key))
        if self.then is not None:
            await self.then(key)

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.looks]

    async def serve(self, seconds: float) -> None:
        """Let the queue work for so long."""
        serving = asyncio.create_task(self.queue.run())
        await asyncio.sleep(seconds)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_a_key_that_is_added_many_times_is_looked_at_once() -> None:
    async def test(worker: Worker) -> None:
        for _ in range(5):
            worker.queue.add(KEY)
        assert worker.queue.depth == 1
        await worker.serve(1)
        assert worker.times == [0]

    run(test(Worker()))


def test_a_key_that_is_added_while_it_is_worked_on_is_looked_at_once_more_and_never_twice_at_a_time() -> None:
    async def test(worker: Worker) -> None:
        at_work = 0

        async def slow(key: Key) -> None:
            nonlocal at_work
            at_work += 1
            assert at_work == 1
            if len(worker.looks) == 1:
                worker.queue.add(key)
                worker.queue.add(key)
            await asyncio.sleep(3)
            at_work -= 1

        worker.then = slow
        worker.queue.add(KEY)
        await worker.serve(100)
        assert worker.times == [0, 3]

    run(test(Worker()))


def test_what_comes_meanwhile_does_not_stand_behind_keys_that_nobody_waits_for() -> None:
    async def test(worker: Worker) -> None:
        ended = [Key("team", f"ended-{n}") for n in range(500)]
        adding = asyncio.create_task(worker.queue.add_slowly(ended))
        asyncio.get_running_loop().call_later(1, worker.queue.add, KEY)
        await worker.serve(10)
        assert [at for at, key in worker.looks if key == KEY] == [1]
        assert [key for _, key in worker.looks if key != KEY] == ended
        assert worker.times[-1] == 9 * AT_ONCE_SECONDS
        assert adding.done()

    run(test(Worker()))


def test_a_delay_is_never_short_and_an_earlier_one_wins() -> None:
    async def test(worker: Worker) -> None:
        worker.queue.add_after(KEY, 10)
        worker.queue.add_after(KEY, 5)
        worker.queue.add_after(KEY, 20)
        worker.queue.add_after(OTHER, 7)
        await worker.serve(100)
        assert worker.looks == [(5, KEY), (7, OTHER)]

    run(test(Worker()))


def test_a_timer_that_is_set_while_the_queue_waits_for_a_later_one_is_in_time() -> None:
    async def test(worker: Worker) -> None:
        worker.queue.add_after(OTHER, 50)
        asyncio.get_running_loop().call_later(10, worker.queue.add_after, KEY, 1)
        await worker.serve(100)
        assert worker.looks == [(11, KEY), (50, OTHER)]

    run(test(Worker()))


def test_a_look_ends_the_timer_that_was_set_before_it() -> None:
    async def test(worker: Worker) -> None:
        worker.queue.add_after(KEY, 43200)
        worker.queue.add(KEY)
        await worker.serve(86400)
        assert worker.times == [0]

    run(test(Worker()))


def test_timers_that_were_overtaken_do_not_pile_up() -> None:
    async def test(worker: Worker) -> None:
        for n in range(3 * STALE_TIMERS):
            key = Key("team", str(n))
            worker.queue.add_after(key, 43200)
            worker.queue.add(key)
            if n % 100 == 0:
                await worker.serve(1)
        assert len(worker.queue._timers) < 2 * STALE_TIMERS

    run(test(Worker()))


@pytest.mark.parametrize("error", [Later("the store is away"), ValueError("poison")])
def test_a_key_that_fails_comes_back_later_and_later_until_it_succeeds(error: Exception) -> None:
    async def test(worker: Worker) -> None:
        async def fails(_: Key) -> None:
            if len(worker.looks) < 20:
                raise error

        worker.then = fails
        worker.queue.add(KEY)
        await worker.serve(3600)
        waits = [after - before for before, after in zip(worker.times, worker.times[1:], strict=False)]
        assert len(waits) == 19
        assert 0.1 < waits[0] < 0.3
        assert all(wait <= 1.2 * LAST_BACKOFF for wait in waits)
        assert min(waits[10:]) >= 0.8 * LAST_BACKOFF
        assert not worker.queue._failures

    run(test(Worker()))


def test_a_poison_key_does_not_hold_up_another_one() -> None:
    async def test(worker: Worker) -> None:
        async def poison(key: Key) -> None:
            if key == KEY:
                raise ValueError("poison")

        worker.then = poison
        worker.queue.add(KEY)
        worker.queue.add(OTHER)
        await worker.serve(1)
        assert (0, OTHER) in worker.looks

    run(test(Worker()))


def test_a_key_that_is_woken_while_it_fails_is_looked_at_at_once() -> None:
    async def test(worker: Worker) -> None:
        async def fails_first(key: Key) -> None:
            if len(worker.looks) == 1:
                worker.queue.add(key)
                raise Later("changed meanwhile")

        worker.then = fails_first
        worker.queue.add(KEY)
        await worker.serve(100)
        assert worker.times == [0, 0]  # the back-off's timer is over with the second look

    run(test(Worker()))


def test_no_more_keys_are_worked_on_at_once_than_there_are_slots() -> None:
    async def test(worker: Worker) -> None:
        async def slow(_: Key) -> None:
            await asyncio.sleep(1)

        worker.then = slow
        for n in range(5):
            worker.queue.add(Key("team", str(n)))
        await worker.serve(100)
        assert worker.times == [0, 0, 1, 1, 2]

    run(test(Worker()))


def test_draining_waits_for_the_work_in_flight_and_takes_on_nothing_more() -> None:
    async def test(worker: Worker) -> None:
        ended = []

        async def slow(key: Key) -> None:
            await asyncio.sleep(3)
            ended.append(key)

        worker.then = slow
        worker.queue.add(KEY)
        serving = asyncio.create_task(worker.queue.run())
        await asyncio.sleep(1)
        draining = asyncio.create_task(worker.queue.drain(20))
        await asyncio.sleep(0)
        worker.queue.add(OTHER)
        await draining
        await asyncio.sleep(10)
        assert ended == [KEY]
        await serving

    run(test(Worker()))


def test_a_queue_that_never_worked_is_drained_at_once() -> None:
    async def test(worker: Worker) -> None:
        assert await worker.queue.drain(30)
        assert worker.looks == []

    run(test(Worker()))


def test_a_namespace_with_many_keys_does_not_make_the_others_wait() -> None:
    async def test(worker: Worker) -> None:
        async def takes_a_second(_: Key) -> None:
            await asyncio.sleep(1)

        worker.then = takes_a_second
        for number in range(1000):
            worker.queue.add(Key("big", f"run-{number}"))
        for name in ("a", "b"):
            worker.queue.add(Key("small", name))
        await worker.serve(10)
        assert [at for at, key in worker.looks if key.namespace == "small"] == [0, 1]

    run(test(Worker()))


def test_one_namespace_never_has_all_workers_and_uses_its_share_whole() -> None:
    async def test(worker: Worker) -> None:
        worker.queue = WorkQueue(worker, concurrency=32)
        gate = asyncio.Event()

        async def hangs(key: Key) -> None:
            if key.namespace == "big":
                await gate.wait()

        worker.then = hangs
        for number in range(100):
            worker.queue.add(Key("big", f"run-{number}"))
        serving = asyncio.create_task(worker.serve(10))
        await asyncio.sleep(1)
        assert len(worker.looks) == 32 - RESERVED
        worker.queue.add(Key("small", "hello"))
        await asyncio.sleep(1)
        assert worker.looks[-1] == (1, Key("small", "hello"))
        gate.set()
        await serving
        assert len(worker.looks) == 101

    run(test(Worker()))


def test_keys_of_one_namespace_keep_their_order() -> None:
    async def test(worker: Worker) -> None:
        keys = [Key("team", f"run-{number}") for number in range(20)]
        for key in keys:
            worker.queue.add(key)
        await worker.serve(1)
        assert [key for _, key in worker.looks] == keys

    run(test(Worker()))


@pytest.mark.parametrize("namespaces", [1, 7, 100])
def test_taking_from_the_line_costs_the_same_however_many_wait(namespaces: int) -> None:
    line, asked = FairQueue(), []
    keys = [Key(f"team-{number % namespaces}", f"run-{number}") for number in range(1000)]
    for key in (*keys, *keys):
        line.put(key)
    taken = []
    while len(line):
        before = len(asked)
        key = line.take(lambda namespace: bool(asked.append(namespace)))  # type: ignore[func-returns-value]
        assert key is not None
        assert len(asked) == before + 1
        taken.append(key)
    assert sorted(taken) == sorted(keys)
    assert {key.namespace for key in taken[:namespaces]} == {f"team-{number}" for number in range(namespaces)}
