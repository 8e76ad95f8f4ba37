"""Every example of the Prefect 2.0 beta's page on `prefect.tasks`, with `podtask` for `prefect`, on every backend.

Repairs that make them runnable, and nothing else:

- imports of `task`, `flow`, `randint` and `asyncio` where an example leaves them out
- `def` in "Use a task with updated options within a flow", where it is missing
- `my_task` in "Run a sync task in an async flow", which is that of the examples before
- calls of the flows, which most examples only define, and of the tasks in a flow where there is none
- the numbers that `randint(0, 5)` draws are fixed, one per attempt, since a process of its own has a seed of its own
- examples with a retry delay of 5 or 2 seconds run without it; that it is kept is asserted
"""

from __future__ import annotations

import asyncio

import pytest

from podtask import flow, task


@pytest.mark.usefixtures("backend")
class TestCall:
    """`Task.__call__`."""

    def test_define_a_task(self) -> None:
        from podtask import task

        @task
        def my_task():
            return "hello"

        assert my_task.fn() == "hello"

    def test_run_a_task_in_a_flow(self) -> None:
        @task
        def my_task():
            return "hello"

        from podtask import flow

        @flow
        def my_flow():
            my_task()

        assert my_flow() is None
        assert my_flow(return_state=True).is_completed()

    def test_wait_for_a_task_to_finish(self) -> None:
        @task
        def my_task():
            return "hello"

        @flow
        def my_flow():
            my_task().wait()

        assert my_flow(return_state=True).is_completed()

    def test_use_the_result_from_a_task_in_a_flow(self, capsys: pytest.CaptureFixture[str]) -> None:
        @task
        def my_task():
            return "hello"

        @flow
        def my_flow():
            print(my_task().wait().result)

        my_flow()
        assert capsys.readouterr().out.endswith("hello\n")

    def test_run_an_async_task_in_an_async_flow(self) -> None:
        @task
        async def my_async_task():
            pass

        @flow
        async def my_flow():
            await my_async_task()

        assert asyncio.run(my_flow(return_state=True)).is_completed()

    def test_run_a_sync_task_in_an_async_flow(self) -> None:
        @task
        def my_task():
            return "hello"

        @flow
        async def my_flow():
            my_task()

        assert asyncio.run(my_flow(return_state=True)).is_completed()

    @pytest.mark.straight
    def test_enforce_ordering_between_tasks_that_do_not_exchange_data(self) -> None:
        @task
        def task_1():
            pass

        @task
        def task_2():
            pass

        ends = []

        @flow
        def my_flow():
            x = task_1()

            # task 2 will wait for task_1 to complete
            y = task_2(wait_for=[x])
            ends.extend((future.wait().name, future.task_run.status) for future in (x, y))

        my_flow()
        (first, earlier), (second, later) = ends
        assert first == second == "Completed"
        assert earlier.finished_at <= later.started_at


@pytest.mark.usefixtures("backend")
class TestWithOptions:
    """`Task.with_options`."""

    def test_create_a_new_task_from_an_existing_task_and_update_the_name(self) -> None:
        @task(name="My task")
        def my_task():
            return 1

        new_task = my_task.with_options(name="My new task")
        assert (my_task.name, new_task.name) == ("My task", "My new task")
        assert in_a_flow(new_task) == ("Completed", 1, 1)

    def test_create_a_new_task_from_an_existing_task_and_update_the_retry_settings(self) -> None:
        @task(retries=1, retry_delay_seconds=5)
        def my_task():
            x = drawn()
            if x >= 3:  # Make a task that fails sometimes
                raise ValueError("Retry me please!")
            return x

        drawn = drawing(4, 5, 1)
        new_task = my_task.with_options(retries=5, retry_delay_seconds=2)
        assert (my_task.retries, my_task.retry_delay_seconds) == (1, 5)
        assert (new_task.retries, new_task.retry_delay_seconds) == (5, 2)
        assert in_a_flow(new_task.with_options(retry_delay_seconds=0)) == ("Completed", 1, 3)
        assert in_a_flow(my_task.with_options(retry_delay_seconds=0))[0] == "Failed"

    def test_use_a_task_with_updated_options_within_a_flow(self) -> None:
        @task(name="My task")
        def my_task():
            return 1

        names = []

        @flow
        def my_flow():
            new_task = my_task.with_options(name="My new task")
            names.append(new_task().name)

        my_flow()
        assert names[0].startswith("My new task-")


@pytest.mark.usefixtures("backend")
class TestTask:
    """`task`, the decorator."""

    def test_define_a_simple_task(self) -> None:
        @task
        def add(x, y):
            return x + y

        assert in_a_flow(add, 1, 2) == ("Completed", 3, 1)

    def test_define_an_async_task(self) -> None:
        @task
        async def add(x, y):
            return x + y

        assert in_a_flow(add, 1, y=2) == ("Completed", 3, 1)

    def test_define_a_task_with_tags_and_a_description(self) -> None:
        @task(tags={"a", "b"}, description="This task is empty but its my first!")
        def my_task():
            pass

        assert my_task.tags == {"a", "b"}
        assert my_task.description == "This task is empty but its my first!"
        assert in_a_flow(my_task) == ("Completed", None, 1)

    def test_define_a_task_with_a_custom_name(self) -> None:
        @task(name="The Ultimate Task")
        def my_task():
            pass

        assert my_task.name == "The Ultimate Task"
        assert in_a_flow(my_task) == ("Completed", None, 1)

    @pytest.mark.straight
    def test_define_a_task_that_retries_3_times_with_a_5_second_delay_between_attempts(self) -> None:
        @task(retries=3, retry_delay_seconds=5)
        def my_task():
            x = drawn()
            if x >= 3:  # Make a task that fails sometimes
                raise ValueError("Retry me please!")
            return x

        drawn = drawing(3, 4, 5, 2)
        assert (my_task.retries, my_task.retry_delay_seconds) == (3, 5)
        assert in_a_flow(my_task.with_options(retry_delay_seconds=0)) == ("Completed", 2, 4)

    @pytest.mark.straight
    def test_define_a_task_that_is_cached_for_a_day_based_on_its_inputs(self) -> None:
        from datetime import timedelta

        from podtask.tasks import task_input_hash

        @task(cache_key_fn=task_input_hash, cache_expiration=timedelta(days=1))
        def my_task():
            return "hello"

        assert in_a_flow(my_task) == ("Completed", "hello", 1)
        assert in_a_flow(my_task) == ("Cached", "hello", 0)


def drawing(*numbers):
    """`randint(0, 5)` with its luck fixed: the first attempt draws the first number, and so on."""

    def drawn():
        from podtask import get_run_context

        return numbers[get_run_context().task_run.run_count - 1]

    return drawn


def in_a_flow(called, *args, **kwargs):
    """The state's name, the result and the number of attempts of one call."""

    @flow
    def my_flow():
        future = called(*args, **kwargs)
        return future.wait().name, future.result(raise_on_failure=False), future.task_run.status.attempts_total

    return my_flow()
