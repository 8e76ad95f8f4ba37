"""Many calls in one task run, wherever it runs: each item has a future, a value, an exception and a name of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import pytest
from tests.conformance.suite import REMOTE

from podtask import (
    SequentialTaskRunner,
    allow_failure,
    as_completed,
    flow,
    get_run_context,
    task,
    unmapped,
    wait,
)
from podtask.states import Failed


@pytest.mark.usefixtures("backend")
class TestBatches:
    @pytest.mark.straight
    def test_a_retry_of_a_batch_repeats_what_failed(self) -> None:
        @task(retries=1)
        def step(x, by):
            attempt = get_run_context().task_run.run_count
            if x == 3 or (x == 1 and attempt == 1):
                raise ValueError(f"no {x}")
            return x * by, attempt

        @flow
        def stepping():
            futures = step.map(range(5), unmapped(10), batch_size=4)
            return [(future.wait().name, future.result(raise_on_failure=False)) for future in futures]

        states = stepping()
        assert [name for name, _ in states] == ["Completed", "Completed", "Completed", "Failed", "Completed"]
        assert [value for name, value in states if name == "Completed"] == [(0, 1), (10, 2), (20, 1), (40, 1)]
        assert repr(states[3][1]) == "ValueError('no 3')"

    @pytest.mark.straight
    def test_the_result_of_an_item_goes_on_to_the_next_task(self) -> None:
        @task
        def inverse(x):
            return 1 / x

        @task
        def add(x, y=0):
            return x + y

        @task
        def count(values):
            return sum(isinstance(value, ZeroDivisionError) for value in values)

        @flow
        def flowing():
            futures = inverse.map([1, 0, 4], batch_size=3)
            one, batched = add(futures[2], 1), add.map(futures, batch_size=2)
            counted = count([allow_failure(future) for future in futures])
            allowed = count.map([[futures[0]], [allow_failure(futures[1])]], batch_size=2)
            names = [future.wait().name for future in (*batched, add(1, wait_for=[futures[1]]))]
            return one.result(), names, batched[2].result(), counted.result(), [each.result() for each in allowed]

        names = ["Completed", "NotReady", "Completed", "NotReady"]
        assert flowing() == (1.25, names, 0.25, 1, [0, 1])

    def test_an_item_sees_itself_as_a_call_without_a_batch_would(self) -> None:
        @task
        def who(x):
            here = get_run_context().task_run
            return here.name, here.id, here.tags

        @flow
        def asking():
            futures = who.with_options(tags=["t"], batch_size=2).map(["a", "b"])
            return [(future.name, future.run_id, future.result()) for future in futures]

        answers = asking()
        assert len(answers) == 2
        for number, (name, run_id, seen) in enumerate(answers):
            assert seen == (name, run_id, {"t"})
            assert name.endswith(f"-{number}")

    def test_each_retry_condition_is_asked_about_its_item(self) -> None:
        def only_timeouts(error, attempt):
            return isinstance(error, TimeoutError)

        @task(retries=3, retry_condition_fn=only_timeouts, retry_delay_seconds=lambda error, attempt: 0.01)
        def step(x):
            attempt = get_run_context().task_run.run_count
            if x == 1:
                raise ValueError(f"never again, in {attempt}")
            if x == 2 and attempt < 3:
                raise TimeoutError("once more")
            return attempt

        @flow
        def stepping():
            return [future.result(raise_on_failure=False) for future in step.map(range(3), batch_size=9)]

        first, second, third = stepping()
        assert (first, str(second), third) == (1, "never again, in 1", 3)

    def test_what_an_item_ends_with_is_its_own(self) -> None:
        class Held(Exception):
            def __init__(self, lock):
                super().__init__("held")
                self.lock = lock

        @task
        def end(how):
            import threading

            if how == "exits":
                raise SystemExit(3)
            if how == "returns a lock":
                return threading.Lock()
            if how == "raises a lock":
                raise Held(threading.Lock())
            if how == "returns a failure":
                return Failed("by hand")
            return (number for number in range(3))

        @flow
        def ending():
            hows = ["exits", "returns a lock", "raises a lock", "returns a failure", "generates"]
            return [(f.wait().name, f.result(raise_on_failure=False)) for f in end.map(hows, batch_size=5)]

        names, values = zip(*ending(), strict=True)
        assert names == ("Crashed", "Crashed", "Failed", "Failed", "Completed")
        assert "sys.exit(3)" in str(values[0])
        assert "cannot be pickled" in str(values[1])
        assert "held" in str(values[2])
        assert "by hand" in str(values[3])
        assert values[4] == [0, 1, 2]

    def test_futures_inside_of_objects_belong_to_their_items(self) -> None:
        class Box:
            def __init__(self, content):
                self.content = content

        @task
        def bad():
            raise ValueError("bad")

        @task
        def opened(box):
            return repr(getattr(box, "content", box))

        @flow
        def opening():
            broken = bad()
            broken.wait()
            mapped = [
                opened.map([Box(broken), broken, 1], batch_size=3),
                opened.map([Box(broken), allow_failure(broken), 1], batch_size=3),
                opened.map([Box(allow_failure(broken)), 1], batch_size=3),
                opened.map([Box(broken), 1], batch_size=3),
            ]
            return [[future.wait().name for future in futures] for futures in mapped]

        assert opening() == [
            ["NotReady", "NotReady", "Completed"],
            ["NotReady", "Completed", "Completed"],
            ["Completed", "Completed"],
            ["NotReady", "Completed"],
        ]

    def test_batches_are_waited_for_like_other_futures(self) -> None:
        @task
        def double(x):
            return 2 * x

        @flow(task_runner=SequentialTaskRunner())
        def in_turn():
            futures = double.map((x for x in range(3)), batch_size=2)
            assert all(future.done() for future in futures)
            return [future.result() for future in futures]

        @flow
        def doubling():
            futures = double.map(range(3), batch_size=2)
            done, not_done = wait(futures)
            assert double.map([], batch_size=2) == not_done == []
            return sorted(future.result() for future in as_completed(done))

        assert in_turn() == doubling() == [0, 2, 4]

    def test_the_items_of_an_async_task_go_on_together(self) -> None:
        @task
        async def meet(x, gate=[]):  # noqa: B006 - of the batch's process
            event = gate[0] if gate else asyncio.Event()
            gate[:] = [event]
            if x == 2:
                event.set()
            await event.wait()
            return x, get_run_context().task_run.name[-1]

        @flow
        async def meeting():
            futures = [await call for call in meet.map(range(3), batch_size=3)]
            return [await future.result() for future in futures]

        @flow
        def meeting_sync():
            return [future.result() for future in meet.map(range(3), batch_size=3)]

        assert asyncio.run(meeting()) == meeting_sync() == [(0, "0"), (1, "1"), (2, "2")]

    def test_a_method_is_mapped_in_batches(self) -> None:
        class Scale:
            def __init__(self, by):
                self.by = by

            @task
            def times(self, x):
                return self.by * x

        @flow
        def scaling():
            return [future.result() for future in Scale(3).times.map([1, 2], batch_size=2)]

        assert scaling() == [3, 6]

    def test_hooks_hear_of_each_item_and_of_each_retry_of_a_batch(self) -> None:
        told = []

        def tell(task, run, state):
            told.append((run.name.rpartition("-")[2], state.name))

        @task(retries=1, on_completion=[tell], on_failure=[tell], on_retry=[tell])
        def inverse(x):
            return 1 / x

        @flow
        def inverting():
            wait(inverse.map([1, 0], batch_size=2))
            return 1

        assert inverting() == 1
        assert told == [("0..1", "AwaitingRetry"), ("0", "Completed"), ("1", "Failed")]

    def test_a_file_is_returned_by_a_call_of_its_own(self) -> None:
        @task
        def write(x):
            import pathlib

            import podtask

            path = pathlib.Path(f"{x}.txt")
            path.write_text("x")
            return podtask.File(path) if x == "file" else x

        @flow
        def writing():
            return [future.result(raise_on_failure=False) for future in write.map(["file", "none"], batch_size=2)]

        crashed, fine = writing()
        assert "Map the task without batch_size" in str(crashed)
        assert fine == "none"


@pytest.mark.parametrize("backend", REMOTE, indirect=True)
@pytest.mark.usefixtures("backend")
class TestInProcessesOfTheirOwn:
    def test_an_item_that_kills_its_attempts_keeps_its_end_to_itself(self) -> None:
        @task(retries=1, timeout_seconds=2)
        def step(x):
            if x == 1:
                time.sleep(600)
            return x, get_run_context().task_run.run_count

        @flow
        def stepping():
            futures = step.map(range(3), batch_size=3)
            return [(future.wait().name, future.result(raise_on_failure=False)) for future in futures]

        first, second, third = stepping()
        assert (first, third) == (("Completed", (0, 1)), ("Completed", (2, 2)))
        assert second[0] == "TimedOut"
        assert "What became of this item is not known" in str(second[1])

    def test_a_batch_that_dies_says_so_of_items_without_an_outcome_only(self) -> None:
        @task
        def step(x):
            if x == 1:
                os._exit(3)
            time.sleep(1.5)  # as long as there is between two saves, and more
            return x

        @flow
        def stepping():
            return [(future.wait().name, future.task_run.status.message) for future in step.map(range(3), batch_size=3)]

        first, second, third = stepping()
        assert first[0] == "Completed"
        assert second == third
        assert second[0] == "Crashed"
        assert "What became of this item is not known" in second[1]


@pytest.mark.parametrize("backend", ["local"], indirect=True)
@pytest.mark.usefixtures("backend")
class TestInTheDriver:
    def test_an_item_that_is_cancelled_leaves_the_others(self) -> None:
        @task
        async def hang(x):
            await asyncio.Event().wait()

        @flow
        def hanging():
            first, second = hang.map(range(2), batch_size=2)
            first.cancel()
            seen = first.wait().name, second.done()
            second.cancel()
            return *seen, second.wait().name

        assert hanging() == ("Cancelled", False, "Cancelled")

    def test_a_record_of_a_log_belongs_to_its_item(self, caplog: pytest.LogCaptureFixture) -> None:
        from podtask import get_run_logger

        @task
        def say(x):
            get_run_logger().warning("here")
            return get_run_context().parameters

        @flow
        def saying():
            return [(future.name, future.result()) for future in say.map([1, 2], batch_size=2)]

        with caplog.at_level(logging.WARNING, "podtask.task_runs"):
            said = saying()
        assert [record.task_run_name for record in caplog.records] == [name for name, _ in said]  # type: ignore[attr-defined]
        assert [parameters for _, parameters in said] == [{"x": 1}, {"x": 2}]
