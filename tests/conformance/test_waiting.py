"""Many futures: all of them, and one after the other as they come."""

from __future__ import annotations

import asyncio

import pytest

from podtask import as_completed, flow, task, wait


@pytest.mark.usefixtures("backend")
class TestWaiting:
    def test_wait_tells_what_is_finished_however_it_ended(self) -> None:
        @task
        def inverse(x):
            return 1 / x

        @flow(validate_parameters=False)
        def flowing():
            futures = inverse.map([0, 1, 2])
            done, not_done = wait(futures)
            assert done == futures
            assert not_done == []
            return [future.wait().name for future in done]

        assert flowing() == ["Failed", "Completed", "Completed"]

    def test_futures_come_in_the_order_in_which_they_finish(self) -> None:
        @task
        def now(x):
            return x

        @task
        def after(x):
            return x

        @flow
        def flowing():
            first = now("first")
            futures = [after("second", wait_for=[first]), first]
            return [future.result() for future in as_completed(futures)]

        assert flowing() == ["first", "second"]

    def test_an_async_flow_gets_them_without_blocking(self) -> None:
        @task
        async def later(x):
            return x

        @flow
        async def flowing():
            first = await later("first")
            futures = [await later("second", wait_for=[first]), first]
            return [await future.result() async for future in as_completed(futures)]

        assert asyncio.run(flowing()) == ["first", "second"]
