"""What type checkers infer of tasks and flows. Read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from typing_extensions import assert_type

from podtask import AsyncTaskFuture, Flow, State, Task, TaskFuture, flow, ref, task, unmapped


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task(retries=3, retry_delay_seconds=[1, 2.5], tags={"a"})
async def later(x: str) -> list[str]:
    return [x]


@task(name="plain", retry_condition_fn=lambda _, attempt: attempt < 3)
def nothing() -> None: ...


def of_decorators() -> None:
    made: Task[..., int] = add
    again: Task[..., int] = add.with_options(retries=0, tags=[])
    plain: Callable[..., int] = add.fn
    print(made, again, plain)


@flow
def of_calls(names: list[str]) -> int:
    future = add(1, y=2)
    assert_type(future, TaskFuture[int])
    assert_type(future.result(), int)
    assert_type(future.wait(), "State[int] | None")
    assert_type(future.get_state().result, int)
    assert_type(add.submit(1), TaskFuture[int])
    assert_type(add(ref(future)), TaskFuture[int])
    assert_type(add(1, wait_for=[future]), TaskFuture[int])
    assert_type(nothing(), TaskFuture[None])
    assert_type(add.map([1, 2], unmapped(3)), list[TaskFuture[int]])
    add("1")  # type: ignore[call-overload]
    add(1, z=3)  # type: ignore[call-overload]
    return len(names)


@flow(timeout_seconds=60)
async def of_async_calls() -> str:
    future = await later("x")
    assert_type(future, AsyncTaskFuture[list[str]])
    assert_type(await future.result(), list[str])
    assert_type(await future.wait(), "State[list[str]] | None")
    assert_type(await (await later("x", wait_for=[future])).result(), list[str])
    assert_type(await add(1), int)
    return "done"


class Scaler:
    @task(retries=1)
    def scale(self, x: int) -> float:
        return 2.0 * x

    @task
    async def later(self, x: int) -> str:
        return str(x)


@flow
def of_methods(scaler: Scaler) -> None:
    assert_type(scaler.scale(1), TaskFuture[float])
    assert_type(scaler.scale.submit(x=1), TaskFuture[float])
    assert_type(Scaler.scale(scaler, 1), TaskFuture[float])
    assert_type(scaler.scale(1, wait_for=[scaler.scale(2)]), TaskFuture[float])
    scaler.scale("1")  # type: ignore[call-overload]


@flow
async def of_async_methods(scaler: Scaler) -> None:
    assert_type(await (await scaler.later(1)).result(), str)


def of_flows() -> None:
    assert_type(of_calls(["a"]), int)
    assert_type(of_calls(["a"], return_state=True), State[int])
    running: Coroutine[Any, Any, str] = of_async_calls()
    told: Coroutine[Any, Any, State[str]] = of_async_calls(return_state=True)
    kept: Flow[..., int] = of_calls.with_options(name="other")
    print(kept, running, told)
    of_calls([1])  # type: ignore[list-item]


def of_options() -> None:
    task(retries="3")  # type: ignore[call-overload]
    task(retrys=3)  # type: ignore[call-overload]
