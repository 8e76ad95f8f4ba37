"""What the seed page shows, as it shows it (seed/prefect-tasks-reference.txt: Task.__call__, with_options, task)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from podtask import flow, task
from podtask.tasks import Task, task_input_hash

pytestmark = pytest.mark.usefixtures("local")


def test_run_a_task_in_a_flow_and_wait_for_it() -> None:
    @task
    def my_task():
        return "hello"

    @flow
    def waiting():
        my_task().wait()

    assert waiting() is None


def test_use_the_result_from_a_task_in_a_flow(capsys) -> None:
    @task
    def my_task():
        return "hello"

    @flow
    def my_flow():
        print(my_task().wait().result)

    my_flow()
    assert capsys.readouterr().out == "hello\n"


def test_run_an_async_task_and_a_sync_task_in_an_async_flow() -> None:
    @task
    async def my_async_task():
        pass

    @task
    def my_task():
        return 1

    @flow
    async def my_flow():
        await my_async_task()
        my_task()

    assert asyncio.run(my_flow()) is None


def test_enforce_ordering_between_tasks_that_do_not_exchange_data() -> None:
    order = []

    @task
    def task_1():
        order.append(1)

    @task
    def task_2():
        order.append(2)

    @flow
    def my_flow():
        x = task_1()
        task_2(wait_for=[x])

    my_flow()
    assert order == [1, 2]


def test_define_a_task_with_tags_and_a_description_and_with_a_name() -> None:
    @task(tags={"a", "b"}, description="This task is empty but its my first!")
    def first():
        pass

    @task(name="The Ultimate Task")
    def second():
        pass

    assert (first.tags, first.description) == ({"a", "b"}, "This task is empty but its my first!")
    assert second.name == "The Ultimate Task"


def test_with_options_updates_the_name_and_the_retries_of_a_new_task() -> None:
    @task(name="My task", retries=1, retry_delay_seconds=5)
    def my_task():
        return 1

    new_task = my_task.with_options(name="My new task", retries=5, retry_delay_seconds=2)
    assert isinstance(new_task, Task)
    assert (new_task.name, new_task.retries, new_task.retry_delay_seconds) == ("My new task", 5, 2)
    assert (my_task.name, my_task.retries, my_task.retry_delay_seconds) == ("My task", 1, 5)

    @flow
    def my_flow():
        return new_task()

    assert my_flow() == 1


def test_a_task_that_is_cached_for_a_day_based_on_its_inputs() -> None:
    computed = []

    @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
    def my_task():
        computed.append(1)
        return "hello"

    @flow
    def my_flow():
        return my_task()

    assert [my_flow(), my_flow()] == ["hello", "hello"]


def test_the_input_hash_is_a_text_or_none() -> None:
    made = task(lambda x: x, name="made")

    class Context:
        task = made

    def key(x):
        return task_input_hash(Context, {"x": x})  # type: ignore[arg-type]

    assert key(1) == key(1)
    assert len({key(1), key(1.0), key("1"), key([1]), key({1})}) == 5
    assert key(object.__new__(type("Thing", (), {"__reduce_ex__": lambda *_: 1 / 0}))) is None
