"""What a task and a flow may expect around them: pools, timeouts of blocking code, values that hold futures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pydantic
import pytest

from podtask import flow, tags, task


@dataclass
class Report:
    title: str
    total: Any
    parts: list[Any] = field(default_factory=list)
    parent: Any = None

    def __post_init__(self) -> None:
        self.made = True


@dataclass(frozen=True)
class Frozen:
    value: Any


class Model(pydantic.BaseModel):
    value: Any


@pytest.mark.usefixtures("backend")
class TestValuesThatHoldFutures:
    @pytest.mark.parametrize("kind", ["a dataclass", "a frozen one", "a model", "deep inside"])
    def test_futures_in_what_a_flow_returns_are_replaced(self, kind: str) -> None:
        @task
        def one():
            return 1

        @flow
        def returning():
            future = one()
            return {
                "a dataclass": Report("t", future, [future]),
                "a frozen one": Frozen(future),
                "a model": Model(value=future),
                "deep inside": [Report("t", {"x": Frozen((future,))})],
            }[kind]

        found = returning()
        wanted = {
            "a dataclass": Report("t", 1, [1]),
            "a frozen one": Frozen(1),
            "a model": Model(value=1),
            "deep inside": [Report("t", {"x": Frozen((1,))})],
        }[kind]
        assert found == wanted
        assert kind != "a dataclass" or found.made

    def test_a_failed_future_inside_a_dataclass_is_raised(self) -> None:
        @task
        def fail():
            raise ValueError("no luck")

        @flow
        def returning():
            return Report("t", fail())

        with pytest.raises(ValueError, match="no luck"):
            returning()

    def test_a_subflow_gets_the_values_of_futures_inside_a_dataclass(self) -> None:
        @task
        def one():
            return 1

        @flow(validate_parameters=False)
        def inner(report):
            return report.total + 1

        @flow
        def outer():
            return inner(Report("t", one()))

        assert outer() == 2

    def test_objects_that_know_each_other_and_no_future_come_back_as_they_are(self) -> None:
        @flow
        def returning():
            report = Report("t", 1)
            report.parent = Report("above", 2, [report])
            return report

        found = returning()
        assert found.parent.parts == [found]


@pytest.mark.usefixtures("backend")
class TestAroundATask:
    def test_a_pool_of_processes_takes_a_function_beside_the_task(self) -> None:
        namespace: dict[str, Any] = {"__name__": "__main__", "task": task}
        source = """
def square(x):
    return x * x

@task
def many():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(square, [1, 2, 3])
"""
        exec(compile(source, "script.py", "exec"), namespace)
        many = namespace["many"]

        @flow
        def pooling():
            return many().result()

        import __main__

        before = getattr(__main__, "square", None)
        __main__.square = namespace["square"]  # type: ignore[attr-defined]  # as if pytest were the script
        try:
            assert pooling() == [1, 4, 9]
        finally:
            if before is None:
                del __main__.square  # type: ignore[attr-defined]

    def test_an_async_task_that_blocks_its_loop_is_timed_out(self) -> None:
        @task(timeout_seconds=0.5)
        async def fetch():
            import time

            time.sleep(2)  # noqa: ASYNC251 - the fault of this case
            return 1

        @flow
        def fetching():
            return fetch().wait().name

        assert fetching() == "TimedOut"

    def test_cancel_of_an_async_future_may_be_awaited(self) -> None:
        @task
        async def endless():
            await asyncio.sleep(3600)

        @flow
        async def cancelling():
            first, second = await endless(), await endless()
            await first.cancel()
            second.cancel()
            return [(await future.wait()).name for future in (first, second)]

        assert asyncio.run(cancelling()) == ["Cancelled", "Cancelled"]


@pytest.mark.usefixtures("backend")
class TestBounds:
    """The same words on every backend, before anything is submitted."""

    def test_too_long_a_tag_is_refused_where_it_is_given(self) -> None:
        @flow
        def tagging():
            with tags("x" * 64):
                return 1

        with pytest.raises(ValueError, match="a tag may have at most 63 characters"):
            tagging()

    def test_too_many_tags_are_refused_at_the_call(self) -> None:
        @task(tags={f"own {number}" for number in range(20)})
        def one():
            return 1

        @flow
        def tagging():
            with tags(*(f"around {number}" for number in range(20))):
                return one()

        with pytest.raises(ValueError, match=r"at most 32 tags, .*; there are 40"):
            tagging()

    def test_too_long_a_cache_key_is_a_crash_with_the_cure_and_the_longest_is_not(self) -> None:
        @task(cache_key_fn=lambda context, arguments: "k" * arguments["length"])
        def one(length):
            return length

        @flow
        def caching():
            good, bad = one(1024).wait(), one(1025).wait()
            return good.name, bad.name, bad.message

        good, bad, message = caching()
        assert (good, bad) == ("Completed", "Crashed")
        assert "a key of 1025 characters; at most 1024 are possible. Answer a hash of it" in message

    def test_an_expiration_may_be_a_number_of_seconds(self) -> None:
        @task(cache_key_fn=lambda context, arguments: "an expiration in seconds", cache_expiration=600)
        def one():
            return 1

        @flow
        def caching():
            return [one().wait().name for _ in range(2)]

        assert caching() == ["Completed", "Cached"]

    def test_a_key_of_a_file_name_that_is_no_utf8_is_a_key(self) -> None:
        @task(cache_key_fn=lambda context, arguments: arguments["path"])
        def load(path):
            return len(path)

        @flow
        def loading():
            return [load(f"report-{end}.csv").wait().name for end in ("\udcff", "\udcff", "\udcfe")]

        assert loading() == ["Completed", "Cached", "Completed"]
