"""What ends is started again, with growing pauses, until the process is to stop. In virtual time."""

from __future__ import annotations

import asyncio
import itertools

from tests.support.virtual_time import run

from podtask_operator.runtime.supervise import HEALTHY_SECONDS, LAST_BACKOFF, forever, pause


def now() -> float:
    return asyncio.get_running_loop().time()


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


def test_what_fails_or_ends_is_started_again_and_the_pauses_grow_up_to_a_bound() -> None:
    async def test() -> None:
        stop, starts = asyncio.Event(), []

        async def serve() -> None:
            starts.append(now())
            if len(starts) == 12:
                stop.set()
            if len(starts) % 2:
                raise OSError("no route to host")

        await forever("the watch", serve, stop)
        assert len(starts) == 12
        assert 0.8 <= gaps(starts)[0] <= 1.2
        assert all(0.8 * LAST_BACKOFF <= gap <= 1.2 * LAST_BACKOFF for gap in gaps(starts)[6:])

    run(test())


def test_the_pause_is_bounded_however_often_it_failed() -> None:
    assert [pause(failures, 1.0, 30.0) for failures in (1, 2, 5, 6, 1024, 10**9)] == [1, 2, 16, 30, 30, 30]


def test_what_lived_long_is_started_again_soon() -> None:
    async def test() -> None:
        stop, starts = asyncio.Event(), []

        async def serve() -> None:
            starts.append(now())
            await asyncio.sleep(HEALTHY_SECONDS + 1)
            if len(starts) == 5:
                stop.set()

        await forever("the watch", serve, stop)
        assert all(gap <= HEALTHY_SECONDS + 2.5 for gap in gaps(starts))

    run(test())


def test_stop_ends_a_pause_at_once() -> None:
    async def test() -> None:
        stop, began = asyncio.Event(), now()

        async def serve() -> None:
            asyncio.get_running_loop().call_later(0.1, stop.set)
            raise OSError("no route to host")

        await forever("the watch", serve, stop)
        assert now() - began < 0.2

    run(test())


def test_once_ends_with_the_first_success() -> None:
    async def test() -> None:
        starts = 0

        async def serve() -> None:
            nonlocal starts
            starts += 1
            if starts < 3:
                raise OSError("no route to host")

        await forever("the first list", serve, asyncio.Event(), once=True)
        assert starts == 3

    run(test())
