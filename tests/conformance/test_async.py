"""Async tasks and flows in all combinations."""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings

import anyio
import pytest

from podtask import AsyncTaskFuture, SequentialTaskRunner, TaskFuture, flow, task
from podtask.errors import BlockingCall, FlowTimedOut


def tasks():
    @task
    async def later(x):
        import asyncio

        await asyncio.sleep(0)
        return x

    @task
    def now(x):
        return x

    return later, now


@pytest.mark.usefixtures("backend")
class TestAsync:
    @pytest.mark.straight
    def test_async_task_in_async_flow_gives_an_async_future(self) -> None:
        later, _ = tasks()

        @flow
        async def flowing():
            future = await later(1)
            assert isinstance(future, AsyncTaskFuture)
            state = await future.wait()
            assert state.is_completed()
            return await future.result(), await (await later(future)).result(), (await future.get_state()).name

        assert asyncio.run(flowing()) == (1, 1, "Completed")

    def test_async_task_in_sync_flow_gives_a_sync_future(self) -> None:
        later, _ = tasks()

        @flow
        def flowing():
            future = later(1)
            assert isinstance(future, TaskFuture)
            return future.result()

        assert flowing() == 1

    def test_sync_task_in_async_flow_gives_a_sync_future_that_can_be_awaited(self) -> None:
        later, now = tasks()

        @flow
        async def flowing():
            future = now(await later(1))
            assert isinstance(future, TaskFuture)
            return await future

        assert asyncio.run(flowing()) == 1

    def test_blocking_in_an_async_flow_warns_and_works(self) -> None:
        _, now = tasks()

        @flow
        async def flowing():
            future = now(1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return future.result()

        assert asyncio.run(flowing()) == 1

    @pytest.mark.straight
    def test_calls_may_be_gathered(self) -> None:
        later, _ = tasks()

        @flow
        async def flowing():
            futures = await asyncio.gather(*(later(n) for n in range(3)))
            return await asyncio.gather(*(future.result() for future in futures))

        assert asyncio.run(flowing()) == [0, 1, 2]

    def test_every_way_to_start_a_coroutine_takes_a_call(self) -> None:
        later, _ = tasks()

        @flow
        async def flowing():
            found = [await (await asyncio.create_task(later(1))).result()]
            found.append(await (await asyncio.ensure_future(later(2))).result())
            found.append(await (await asyncio.wait_for(later(3), 60)).result())
            async with anyio.create_task_group() as group:
                group.start_soon(later, 4)
            if sys.version_info >= (3, 11):
                async with asyncio.TaskGroup() as group:
                    started = group.create_task(later(5))
                found.append(await started.result().result())
            return found

        assert asyncio.run(flowing()) in ([1, 2, 3], [1, 2, 3, 5])

    def test_a_call_is_a_coroutine_that_can_be_driven_and_awaited_more_than_once(self) -> None:
        later, _ = tasks()

        @flow
        async def flowing():
            call = later(1)
            assert asyncio.iscoroutine(call)
            assert (await call).run_id == (await call).run_id
            driven = later(2)
            states = [inspect.getcoroutinestate(driven)]
            with pytest.raises(StopIteration) as stopped:
                driven.send(None)
            states.append(inspect.getcoroutinestate(driven))
            ended = later(3)
            ended.close()
            with pytest.raises(AttributeError, match="no attribute 'nothing'"):
                _ = later(4).nothing
            return states, await stopped.value.value.result()

        assert asyncio.run(flowing()) == (["CORO_CREATED", "CORO_CLOSED"], 2)

    def test_a_cancelled_wait_for_a_sequential_call_leaves_the_run_alone(self) -> None:
        later, _ = tasks()

        @flow(task_runner=SequentialTaskRunner())
        async def flowing():
            call = later(1)
            waiting = asyncio.create_task(call)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return await (await call).result()

        assert asyncio.run(flowing()) == 1

    def test_calls_that_nobody_awaits_are_waited_for(self) -> None:
        later, _ = tasks()
        states = []

        @flow
        async def flowing():
            call = later(1)
            states.append(call)
            return "done"

        async def whole():
            value = await flowing()
            return value, (await states[0]).done()

        assert asyncio.run(whole()) == ("done", True)

    def test_a_sequential_async_flow_finishes_each_call_before_the_next(self) -> None:
        later, now = tasks()

        @flow(task_runner=SequentialTaskRunner())
        async def flowing():
            return [(await later(1)).done(), now(1).done()]

        assert asyncio.run(flowing()) == [True, True]

    def test_async_subflows_are_awaited_sync_subflows_called(self) -> None:
        later, _ = tasks()

        @flow
        async def inner(x):
            return await later(x)

        @flow
        def plain(x):
            return later(x)

        @flow
        async def outer():
            return [await inner(await later(1)), plain(2)]

        assert asyncio.run(outer()) == [1, 2]

    def test_a_failing_async_flow_raises_when_awaited(self) -> None:
        @task
        async def bad():
            raise ValueError("bad")

        @flow
        async def flowing():
            await bad()

        with pytest.raises(ValueError, match="bad"):
            asyncio.run(flowing())
        assert asyncio.run(flowing(return_state=True)).message == "1/1 states failed."

    def test_an_async_task_over_its_timeout_is_timed_out(self) -> None:
        @task(timeout_seconds=0.2)
        async def slow():
            import asyncio

            await asyncio.sleep(20)

        @flow
        async def flowing():
            return (await (await slow()).wait()).name

        assert asyncio.run(flowing()) == "TimedOut"

    def test_an_async_flow_over_its_timeout_is_cancelled(self) -> None:
        reached = []

        @flow(timeout_seconds=0.1)
        async def slow():
            try:
                await asyncio.sleep(20)
            finally:
                reached.append("cancelled")

        with pytest.raises(FlowTimedOut):
            asyncio.run(slow())
        assert reached == ["cancelled"]


class TestOnTheFlowsLoop:
    """What only the in-process backend can promise."""

    @pytest.fixture(autouse=True)
    def _local(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PODTASK_BACKEND", "local")

    def test_async_tasks_run_on_the_flows_own_loop(self) -> None:
        seen = []

        @task
        async def where():
            seen.append(asyncio.get_running_loop())

        @flow
        async def flowing():
            await (await where()).wait()
            seen.append(asyncio.get_running_loop())

        asyncio.run(flowing())
        assert seen[0] is seen[1]

    def test_a_sync_subflow_that_needs_the_blocked_loop_is_refused_and_does_not_hang(self) -> None:
        later, now = tasks()

        @flow
        def plain(x):
            return now(x)

        @flow
        async def flowing():
            future = await later(1)
            with pytest.raises(BlockingCall):
                plain(future)
            return plain(await future.result())

        assert asyncio.run(flowing()) == 1

    def test_a_sync_flow_on_a_running_loop_blocks_it_without_a_warning_as_in_a_notebook(self) -> None:
        later, now = tasks()

        @flow
        def plain():
            return now(later(1)).result()

        async def cell():
            return plain()

        assert asyncio.run(cell()) == 1

    def test_a_wait_that_could_never_end_is_refused_with_the_cure(self) -> None:
        later, now = tasks()

        @flow
        async def flowing():
            future = now(await later(1))
            with pytest.raises(BlockingCall, match="await future"):
                future.result()
            return await future

        assert asyncio.run(flowing()) == 1
