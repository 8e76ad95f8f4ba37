"""`@task` on everything that can be called: methods, static and class methods, callable instances, partials."""

from __future__ import annotations

import functools

import pytest

from podtask import Task, flow, get_run_context, task, task_input_hash, unmapped


def make_class():
    """A class with a task of each kind, as a user writes it; made anew, so that it travels by value."""

    class Scaler:
        unit = "m"

        def __init__(self, factor: int) -> None:
            self.factor = factor

        @task
        def scale(self, x: int, plus: int = 0) -> int:
            return self.factor * x + plus

        @task
        @classmethod
        def outer_class_method(cls, x):
            return f"{x} {cls.unit}"

        @classmethod
        @task
        def inner_class_method(cls, x):
            return f"{x} {cls.unit}"

        @task
        @staticmethod
        def outer_static_method(x):
            return -x

        @staticmethod
        @task
        def inner_static_method(x):
            return -x

        @task
        async def later(self, x):
            return self.factor * x

    return Scaler


@pytest.mark.usefixtures("backend")
class TestMethods:
    @pytest.mark.straight
    def test_a_method_gets_its_object_as_first_argument(self) -> None:
        scaler = make_class()

        @flow
        def scaling():
            two, ten = scaler(2), scaler(10)
            return [two.scale(1), ten.scale(1, plus=5), ten.scale.submit(x=3), scaler.scale(two, 8)]

        assert scaling() == [2, 15, 30, 16]

    def test_the_object_travels_as_it_is_at_the_call(self) -> None:
        scaler = make_class()

        @flow
        def scaling():
            mine = scaler(2)
            first = mine.scale(1)
            mine.factor = 100
            return [first, mine.scale(1)]

        assert scaling() == [2, 100]

    def test_a_future_may_be_an_argument_of_a_method_and_a_method_can_be_mapped(self) -> None:
        scaler = make_class()

        @flow
        def scaling():
            ten = scaler(10)
            return [*ten.scale.map([1, 2, 3], plus=unmapped(1)), ten.scale(ten.scale(1))]

        assert scaling() == [11, 21, 31, 100]

    @pytest.mark.straight
    def test_class_methods_get_the_class_and_static_methods_nothing_in_either_order_of_decorators(self) -> None:
        scaler = make_class()

        @flow
        def calling():
            one = scaler(1)
            return [
                *(holder.outer_class_method(1) for holder in (scaler, one)),
                *(holder.inner_class_method(1) for holder in (scaler, one)),
                *(holder.outer_static_method(1) for holder in (scaler, one)),
                *(holder.inner_static_method(1) for holder in (scaler, one)),
            ]

        assert calling() == ["1 m"] * 4 + [-1] * 4

    def test_an_async_method_is_an_async_task(self) -> None:
        scaler = make_class()

        @flow
        async def scaling():
            future = await scaler(3).later(5)
            return await future.result()

        import asyncio

        assert asyncio.run(scaling()) == 15

    def test_a_task_inside_its_own_class_can_be_used_by_its_methods(self) -> None:
        class Counter:
            def step(self):
                return 1

            @task
            def count(self):
                return self.step() + len(type(self).__name__)

        @flow
        def counting():
            return Counter().count()

        assert counting() == 8

    def test_options_on_a_bound_task_keep_its_object(self) -> None:
        class Flaky:
            fails = 1

            @task
            def run(self):
                if get_run_context().task_run.run_count <= self.fails:
                    raise ValueError("not yet")
                return get_run_context().task_run.run_count

        @flow
        def trying():
            return Flaky().run.with_options(retries=1)()

        assert trying() == 2

    def test_the_object_is_part_of_the_cache_key(self) -> None:
        scaler = make_class()

        @flow
        def caching():
            cached = scaler.scale.with_options(cache_key_fn=task_input_hash)
            scaler.cached = cached
            return [scaler(factor).cached(1).wait().name for factor in (2, 2, 3)]

        assert caching() == ["Completed", "Cached", "Completed"]

    def test_a_callable_instance_and_a_partial_are_tasks(self) -> None:
        class Adder:
            def __init__(self, n):
                self.n = n

            def __call__(self, x):
                return x + self.n

        def add(x, y, z=0):
            return x + y + z

        @flow
        def adding():
            return [task(Adder(5))(1), task(functools.partial(add, 1, z=100))(10), task(Adder(7).__call__)(1)]

        assert adding() == [6, 111, 8]


def test_names_and_keys_of_all_kinds_are_those_of_what_was_decorated() -> None:
    scaler = make_class()
    kinds = ["scale", "outer_class_method", "inner_class_method", "outer_static_method", "inner_static_method"]
    assert [getattr(scaler, kind).name for kind in kinds] == kinds
    assert len({getattr(scaler, kind).task_key for kind in kinds}) == len(kinds)
    bound = scaler(2).scale
    assert isinstance(bound, Task)
    assert bound.task_key == scaler.scale.task_key
    assert list(bound.signature.parameters) == ["x", "plus"]
    assert bound.fn(4) == 8  # the plain method, anywhere


def test_instances_and_partials_as_class_attributes_are_not_bound_as_in_plain_python() -> None:
    class Holder:
        step = task(functools.partial(sorted, reverse=True))

    assert Holder().step is Holder.step


def test_a_wrong_call_of_a_method_is_a_type_error_at_the_call() -> None:
    scaler = make_class()

    @flow(backend="local")
    def wrong():
        with pytest.raises(TypeError, match="missing a required argument: 'x'"):
            scaler(2).scale()
        return "survived"

    assert wrong() == "survived"
