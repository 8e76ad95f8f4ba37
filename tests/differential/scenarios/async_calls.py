"""Task semantics §2: the four combinations of sync and async tasks and flows."""

import asyncio
import warnings

import anyio


def an_async_task_in_an_async_flow(p, t):
    @p.task
    async def double(x):
        await asyncio.sleep(0)
        return 2 * x

    @p.flow
    async def f():
        future = await double(3)
        state = await future.wait()
        t.tell("state", state)
        t.tell("current", await future.get_state())
        return await future.result()

    t.run(f)


def async_tasks_gathered(p, t):
    @p.task
    async def double(x):
        return 2 * x

    @p.flow
    async def f():
        futures = await asyncio.gather(double(1), double(2))
        return [await future.result() for future in futures]

    t.run(f)


def an_async_task_in_a_sync_flow(p, t):
    @p.task
    async def double(x):
        return 2 * x

    @p.flow
    def f():
        return double(double(1)).result()

    t.run(f)


def a_sync_task_in_an_async_flow(p, t):
    @p.task
    def double(x):
        return 2 * x

    @p.flow
    async def f():
        future = double(3)
        t.tell("given", future)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return future.result()

    t.run(f)


def an_async_task_that_fails(p, t):
    @p.task(retries=1)
    async def fails():
        raise ValueError("async no")

    @p.flow
    async def f():
        return await fails()

    t.run(f)


def an_async_call_is_a_coroutine(p, t):
    done = []

    @p.task
    async def double(x):
        done.append(x)
        return 2 * x

    @p.flow
    async def f():
        t.tell("a coroutine", asyncio.iscoroutine(called := double(1)))
        await called
        t.tell("create_task", await (await asyncio.create_task(double(2))).result())
        t.tell("wait_for", await (await asyncio.wait_for(double(3), 20)).result())
        async with anyio.create_task_group() as group:
            group.start_soon(double, 4)
        return "told"

    state = p.final_state(f, (), {})
    asyncio.run(state)
    t.tell("runs", [run["outcome"] for run in sorted(p.runs(t), key=lambda run: run["name"])])
    t.tell("done", sorted(done))
