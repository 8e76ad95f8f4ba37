"""`@flow` on methods, static and class methods, partials and callable instances: as `@task` on them."""

from __future__ import annotations

import asyncio
import functools
from types import MethodType

import cloudpickle
import pytest

from podtask import Flow, flow, task


def make_class():
    """A class with a flow of each kind, as a user writes it."""

    @task
    def times(x, y):
        return x * y

    class Report:
        title = "sales"

        def __init__(self, factor: int) -> None:
            self.factor = factor

        @flow
        def scaled(self, x: int, plus: int = 0) -> int:
            return times(self.factor, x).result() + plus

        @flow
        @classmethod
        def outer_class_method(cls, x):
            return f"{cls.title} {times(x, 2).result()}"

        @classmethod
        @flow
        def inner_class_method(cls, x):
            return f"{cls.title} {times(x, 2).result()}"

        @flow
        @staticmethod
        def outer_static_method(x):
            return times(x, -1)

        @staticmethod
        @flow
        def inner_static_method(x):
            return times(x, -1)

        @flow
        async def later(self, x):
            return await times(self.factor, x)

        @flow
        def around(self, x):
            return self.scaled(x) + self.scaled(times(x, 10))

    return Report


@pytest.mark.usefixtures("backend")
class TestFlowMethods:
    @pytest.mark.straight
    def test_a_flow_that_is_a_method_gets_its_object_as_first_argument(self) -> None:
        report = make_class()
        two, ten = report(2), report(10)
        assert [two.scaled(1), ten.scaled(1, plus=5), ten.scaled(x=3), report.scaled(two, 8)] == [2, 15, 30, 16]

    def test_flows_of_classes_and_static_flows_work_in_either_order_of_decorators(self) -> None:
        report = make_class()
        for holder in (report, report(1)):
            assert holder.outer_class_method(1) == holder.inner_class_method(1) == "sales 2"
            assert holder.outer_static_method(1) == holder.inner_static_method(1) == -1

    def test_an_async_flow_that_is_a_method_is_awaited(self) -> None:
        assert asyncio.run(make_class()(3).later(5)) == 15

    def test_a_flow_that_is_a_method_may_be_a_subflow_and_its_futures_are_resolved(self) -> None:
        assert make_class()(2).around(1) == 22


def test_the_parameters_of_a_flow_that_is_a_method_are_checked_and_its_state_can_be_asked_for() -> None:
    two = make_class()(2)
    with_text = two.scaled.with_options(name="report")("4")
    assert with_text == 8
    state = two.scaled("many", return_state=True)
    assert "'x': Input should be a valid integer" in str(state.exception())
    assert two.scaled.with_options(name="report").name == "report"


def test_a_bound_flow_is_a_flow_with_the_plain_method_and_the_signature_of_its_caller() -> None:
    report = make_class()
    bound = report(2).scaled
    assert isinstance(bound, Flow)
    assert list(bound.signature.parameters) == ["x", "plus"]
    assert bound.name == report.scaled.name == "scaled"
    assert report.outer_class_method.fn.__func__ is report.__dict__["outer_class_method"].fn


def test_a_wrong_call_of_a_flow_that_is_a_method_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        make_class()(2).scaled()


class Importable:
    """For a pickle that goes by names."""

    @flow
    @classmethod
    def made(cls) -> str:
        return cls.__name__


def test_a_bound_flow_can_be_pickled() -> None:
    assert cloudpickle.loads(cloudpickle.dumps(Importable.made))() == "Importable"


def test_a_partial_and_a_callable_instance_are_flows() -> None:
    class Adder:
        def __init__(self, n):
            self.n = n

        def __call__(self, x):
            """Adds."""
            return x + self.n

    def add(x, y):
        return x + y

    assert (flow(Adder(5))(1), flow(functools.partial(add, 1))(10)) == (6, 11)
    assert (flow(Adder(5)).name, flow(functools.partial(add, 1)).name) == ("Adder", "add")
    assert flow(Adder(5)).description == "Adds."


def test_a_class_method_above_a_task_as_python_3_13_binds_it_knows_its_class_in_plain_calls_and_says_so_elsewhere() -> (
    None
):
    @task
    def inner(cls, x):
        return f"{x} {cls.__name__}"

    class Holder:
        method: MethodType

    Holder.method = MethodType(inner, Holder)  # what 3.13 makes of @classmethod above @task

    @flow(backend="local")
    def calling():
        with pytest.raises(TypeError, match="write @task above @classmethod"):
            Holder.method.submit(1)
        with pytest.raises(TypeError, match="write @task above @classmethod"):
            Holder.method.map([1])
        return Holder.method(1).result()

    assert calling() == "1 Holder"
