"""`wait` and `as_completed`: time limits, what is no future, loops. The straight cases are in the conformance suite."""

from __future__ import annotations

import asyncio
import threading

import pytest

from podtask import AsyncTaskFuture, TaskFuture, as_completed, flow, task, wait
from podtask.errors import BlockingCall


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_BACKEND", "local")


GATE = threading.Event()


@task
def gated(x: int) -> int:
    assert GATE.wait(60)
    return x


@task
def now(x: int) -> int:
    return x


@task
async def later(x: int) -> int:
    return x


@pytest.fixture
def gate() -> threading.Event:
    GATE.clear()
    return GATE


def test_after_the_timeout_wait_tells_what_goes_on(gate: threading.Event) -> None:
    @flow
    def flowing() -> tuple[list[int], int, int]:
        quick, slow = now(1), gated(2)
        quick.wait()
        done, not_done = wait([slow, quick, slow], timeout=0)
        gate.set()
        return [future.result() for future in done], len(not_done), not_done[0].result()

    assert flowing() == ([1], 1, 2)


def test_after_the_timeout_as_completed_raises_and_says_how_many_are_left(gate: threading.Event) -> None:
    @flow
    def flowing() -> int:
        quick = now(2)
        quick.wait()
        coming = iter(as_completed([gated(1), quick, gated(3)], timeout=0))
        first = next(coming)
        with pytest.raises(TimeoutError, match=r"^2 of 3 task runs were not finished after 0 s[.]$"):
            next(coming)
        gate.set()
        return first.result()

    assert flowing() == 2


def test_an_async_loop_has_the_same_time_limit(gate: threading.Event) -> None:
    @flow
    async def flowing() -> int:
        quick = now(2)
        await quick
        coming = aiter(as_completed([gated(1), quick], timeout=1))
        first = await anext(coming)
        with pytest.raises(TimeoutError, match=r"^1 of 2 task runs were not finished after 1 s[.]$"):
            await anext(coming)
        gate.set()
        return await first

    assert asyncio.run(flowing()) == 2


def test_each_future_comes_once_and_a_second_loop_gets_them_again() -> None:
    @flow
    def flowing() -> tuple[list[int], list[int]]:
        one, two = now(1), now(2)
        each = as_completed(iter([one, two, one]))
        return sorted(f.result() for f in each), sorted(f.result() for f in each)

    assert flowing() == ([1, 2], [1, 2])


def test_a_loop_that_is_left_early_leaves_the_runs_alone(gate: threading.Event) -> None:
    @flow
    async def flowing() -> tuple[int, int]:
        slow = gated(2)
        async for future in as_completed([now(1), slow]):
            first = await future
            break
        gate.set()
        return first, await slow

    assert asyncio.run(flowing()) == (1, 2)


@pytest.mark.parametrize("what", [wait, lambda futures: list(as_completed(futures))])
def test_nothing_to_wait_for_is_nothing(what) -> None:
    assert not [found for found in what([]) if found]


@pytest.mark.parametrize("what", [wait, as_completed])
def test_what_is_no_future_is_refused_with_its_type(what) -> None:
    with pytest.raises(TypeError, match="list cannot"):
        what([[1]])

    @flow
    def one() -> None:
        with pytest.raises(TypeError, match=r"write future\.wait\(\)"):
            what(now(1))

    one()

    @flow
    async def forgotten() -> None:
        call = later(1)
        with pytest.raises(TypeError, match="Submitted cannot; in an async flow, await the call first"):
            what([call])
        await call

    asyncio.run(forgotten())


@pytest.mark.parametrize("what", [wait, lambda futures: list(as_completed(futures))])
def test_a_wait_that_stops_the_loop_which_runs_the_task_is_refused(what) -> None:
    @flow
    async def flowing() -> None:
        future = await later(1)
        assert isinstance(future, AsyncTaskFuture)
        with pytest.raises(BlockingCall):
            what([future])
        await future.wait()

    asyncio.run(flowing())


def test_a_blocking_loop_in_an_async_flow_is_warned_of(gate: threading.Event) -> None:
    @flow
    async def flowing() -> list[int]:
        future = gated(1)
        assert isinstance(future, TaskFuture)
        threading.Timer(0.05, gate.set).start()
        with pytest.warns(UserWarning, match="write 'async for'"):
            return [found.result() for found in as_completed([future])]

    assert asyncio.run(flowing()) == [1]
