"""What type checkers infer beyond plain calls: options, states, maps, references, methods. Never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=error

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from podtask import (
    AsyncTaskFuture,
    Flow,
    SequentialTaskRunner,
    State,
    Task,
    TaskFuture,
    flow,
    quote,
    ref,
    register_hasher,
    task,
    task_input_hash,
    unmapped,
)


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task
async def fetch(address: str) -> bytes:
    return address.encode()


@task(retries=2, cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
def split(text: str) -> list[str]:
    return text.split()


@task
async def bare_async(x: int) -> int:
    return x


@flow
def bare_flow(x: int) -> str:
    return str(x)


@flow
async def bare_async_flow(x: int) -> str:
    return str(x)


@flow(name="other", task_runner=SequentialTaskRunner(), backend="local")
def flow_with_options() -> None: ...


@flow(timeout_seconds=1.5)
async def async_flow_with_options() -> dict[str, int]:
    return {}


def of_references() -> None:
    words = split("a b")
    assert_type(ref(words), list[str])
    assert_type(ref(add(1)), int)
    assert_type(add(ref(add(1)), y=ref(add(2))), TaskFuture[int])
    add(ref(words))  # type: ignore[call-overload]
    split(ref(add(1)))  # type: ignore[call-overload]
    ref(1)  # type: ignore[arg-type]


async def of_async_references() -> None:
    body = await fetch("a")
    assert_type(ref(body), bytes)
    assert_type(await (await bare_async(ref(add(1)))).result(), int)


def of_hashers() -> None:
    register_hasher(Path, lambda path: path.stat().st_mtime_ns)
    register_hasher(Path, len)  # type: ignore[arg-type]


def of_results() -> None:
    future = split("a b")
    assert_type(future.result(timeout=1.0), list[str])
    assert_type(future.result(raise_on_failure=False), list[str])
    assert_type(future.wait(1), "State[list[str]] | None")
    assert_type(future.done(), bool)
    assert_type(future.name, str)
    assert_type(future.history, "tuple[State[list[str]], ...]")
    for state in future.history:
        assert_type(state.result, list[str])
        assert_type(state.is_completed(), bool)
    future.result(timeout="1")  # type: ignore[arg-type]


def of_maps() -> None:
    assert_type(add.map([1, 2]), list[TaskFuture[int]])
    assert_type(add.map([1, 2], y=unmapped(3)), list[TaskFuture[int]])
    assert_type(split.map(add.map([1])), list[TaskFuture[list[str]]])
    assert_type([future.result() for future in split.map(["a"])], list[list[str]])
    assert_type(add.map([1, 2], batch_size=2), list[TaskFuture[int]])
    assert_type(add.with_options(batch_size=2).map([1, 2]), list[TaskFuture[int]])
    assert_type(add.map([1], batch_size=[1, 2]), list[TaskFuture[int]])  # of a task with such a parameter
    add.map([1], batch_size=1.5)  # type: ignore[arg-type]
    add.with_options(batch_size="2")  # type: ignore[arg-type]
    assert_type(unmapped(3).value, int)
    assert_type(quote(split("a")).value, TaskFuture[list[str]])


async def of_async_maps() -> None:
    for submitted in (*fetch.map(["a"]), *fetch.map(["a"], batch_size=2)):
        future = await submitted
        assert_type(future, AsyncTaskFuture[bytes])
        assert_type(await future.result(), bytes)


def of_submit() -> None:
    assert_type(add.submit(1), TaskFuture[int])
    assert_type(add.submit(1, wait_for=[split("a")]), TaskFuture[int])
    add.submit("1")  # type: ignore[call-overload]
    add.submit()  # type: ignore[call-overload]
    add.submit(1, 2, 3)  # type: ignore[call-overload]


async def of_async_submit() -> None:
    assert_type(await fetch.submit("a"), AsyncTaskFuture[bytes])
    assert_type(await (await fetch.submit("a")), bytes)
    fetch.submit(1)  # type: ignore[call-overload]


def of_with_options() -> None:
    assert_type(add.with_options(retries=3)(1), TaskFuture[int])
    assert_type(add.with_options(name="x", tags=["a"], timeout_seconds=2.5).fn(1), int)
    assert_type(add.with_options(image="i", env={"A": "1"}, node_selector={"a": "b"})(1), TaskFuture[int])
    add.with_options(retries=0)("1")  # type: ignore[call-overload]
    add.with_options(retries="3")  # type: ignore[arg-type]
    add.with_options(retrys=3)  # type: ignore[call-arg]
    add.with_options(cache_concurrent="never")  # type: ignore[arg-type]


async def of_async_with_options() -> None:
    assert_type(await fetch.with_options(retries=1)("a"), AsyncTaskFuture[bytes])


def of_constructors() -> None:
    assert_type(Task(len)([1]), TaskFuture[int])
    assert_type(Flow(len)([1]), int)
    assert_type(task(lambda: 5)(), TaskFuture[int])
    task()(1)  # type: ignore[arg-type]


def of_flows() -> None:
    assert_type(bare_flow(1), str)
    assert_type(bare_flow(1, return_state=True), State[str])
    assert_type(bare_flow(1, return_state=True).result, str)
    assert_type(bare_flow.with_options(timeout_seconds=1)(1), str)
    assert_type(bare_flow.fn(1), str)
    flow_with_options()
    bare_flow("1")  # type: ignore[call-overload]
    bare_flow()  # type: ignore[call-overload]
    bare_flow.with_options(timeout="1")  # type: ignore[call-arg]


async def of_async_flows() -> None:
    assert_type(await bare_async_flow(1), str)
    assert_type(await async_flow_with_options(), dict[str, int])
    assert_type(await async_flow_with_options(return_state=True), State[dict[str, int]])
    assert_type((await bare_async_flow(1, return_state=True)).result, str)
    await bare_async_flow("1")  # type: ignore[call-overload]


class Report:
    @flow
    def total(self, x: int) -> float:
        return 2.0 * x

    @flow(timeout_seconds=1)
    async def later(self, x: int) -> str:
        return str(x)

    @task
    def step(self, x: int) -> float:
        return 2.0 * x


def of_methods(report: Report) -> None:
    assert_type(report.total(1), float)
    assert_type(Report.total(report, 1), float)
    assert_type(report.total(1, return_state=True), State[float])
    assert_type(report.total.with_options(name="x")(1), float)
    assert_type(report.step.map([1]), list[TaskFuture[float]])
    assert_type(report.step.with_options(retries=1)(1), TaskFuture[float])
    report.total("1")  # type: ignore[call-overload]
    report.step.submit("1")  # type: ignore[call-overload]


async def of_async_methods(report: Report) -> None:
    assert_type(await report.later(1), str)


def of_hooks() -> None:
    def told(of: Any, run: Any, state: State[Any]) -> None: ...

    task(on_completion=[told], on_retry=[told])
    flow(on_failure=[told])
    task(on_completion=[1])  # type: ignore[list-item]
