"""The Task object."""

from __future__ import annotations

import functools
import inspect

import cloudpickle
import pytest

from podtask import InsideTask, OutsideFlow, ReservedArgumentError, Task, flow, task, task_input_hash
from podtask.errors import MappingError


def documented(x, y=2):
    """Adds."""
    return x + y


class TestShape:
    def test_defaults_come_from_the_function(self) -> None:
        made = Task(documented)
        assert (made.name, made.description, made.tags) == ("documented", "Adds.", set())
        assert (made.retries, made.retry_delay_seconds, made.cache_key_fn, made.cache_expiration) == (
            0,
            0.0,
            None,
            None,
        )
        assert made.fn is documented
        assert made.fn(1) == 3
        assert made.__name__ == "documented"
        assert made.__wrapped__ is documented
        assert repr(made) == "Task('documented')"

    def test_bare_and_called_decorators_give_tasks(self) -> None:
        assert isinstance(task(documented), Task)
        assert isinstance(task()(documented), Task)
        assert task(name="other")(documented).name == "other"
        assert task(documented, retries=2).retries == 2

    def test_options_are_keyword_only(self) -> None:
        with pytest.raises(TypeError):
            task(documented, "name")  # type: ignore[call-overload]

    @pytest.mark.parametrize("thing", [None, 1, "text"])
    def test_what_is_not_callable_is_refused(self, thing) -> None:
        with pytest.raises(TypeError, match="'fn' must be callable"):
            Task(thing)

    def test_wait_for_is_a_reserved_parameter(self) -> None:
        def waiting(wait_for):
            return wait_for

        with pytest.raises(ReservedArgumentError, match="'wait_for' is a reserved argument name") as caught:
            task(waiting)
        assert isinstance(caught.value, TypeError)

    def test_callable_instances_and_partials_get_the_name_of_what_is_behind(self) -> None:
        class Adder:
            """Adds as well."""

            def __call__(self, x):
                return x + 1

        assert task(Adder()).name == "Adder"
        assert task(functools.partial(documented, 1)).name == "documented"
        assert list(task(functools.partial(documented, y=1)).signature.parameters) == ["x", "y"]

    def test_async_functions_are_known_through_partials_and_instances(self) -> None:
        async def later(x):
            return x

        class Later:
            async def __call__(self):
                return None

        assert [task(f).isasync for f in (later, functools.partial(later, 1), Later(), documented)] == [
            True, True, True, False,
        ]  # fmt: skip

    def test_a_task_travels_with_its_options(self) -> None:
        made = cloudpickle.loads(cloudpickle.dumps(task(documented, retries=2, tags={"a"})))
        assert (made.fn(1), made.retries, made.tags, made.name) == (3, 2, {"a"}, "documented")


class TestKeys:
    def test_the_task_key_depends_on_name_function_and_tags_only(self) -> None:
        plain = task(documented)
        assert plain.task_key == task(documented, retries=3, description="other").task_key
        others = {
            task(documented, name="x").task_key,
            task(documented, tags={"a"}).task_key,
            task(inspect.getdoc).task_key,
        }
        assert len({plain.task_key, *others}) == 4
        assert task(documented, tags=["b", "a"]).task_key == task(documented, tags={"a", "b"}).task_key

    def test_neighbouring_parts_of_the_key_do_not_run_together(self) -> None:
        one = task(documented, name="n", tags={"ab", "c"})
        other = task(documented, name="n", tags={"a", "bc"})
        assert one.task_key != other.task_key

    def test_the_dynamic_key_counts_per_object_outside_of_flows(self) -> None:
        made = task(documented)
        assert [made.get_and_update_dynamic_key() for _ in range(3)] == ["0", "1", "2"]
        assert made.with_options().get_and_update_dynamic_key() == "0"


class TestCallingInTheWrongPlace:
    def test_outside_of_a_flow_with_the_cure(self) -> None:
        with pytest.raises(OutsideFlow, match=r"Tasks cannot be called outside of a flow\..*documented\.fn") as caught:
            task(documented)(1)
        assert isinstance(caught.value, RuntimeError)

    def test_inside_a_task_with_the_cure(self, local) -> None:
        leaf = task(documented)

        @task
        def branch():
            leaf(1)

        @flow
        def nesting():
            return branch()

        with pytest.raises(InsideTask, match="within tasks"):
            nesting()


class TestMap:
    def test_lengths_must_agree_and_something_must_be_iterable(self, local) -> None:
        made = task(documented)

        @flow
        def mapping():
            with pytest.raises(MappingError, match=r"different lengths \(0: 2, y: 3\).*unmapped"):
                made.map([1, 2], y=[1, 2, 3])
            with pytest.raises(MappingError, match="at least one iterable"):
                made.map(1, y="text")
            assert made.map([], y=1) == []
            return "survived"

        assert mapping() == "survived"


def test_a_cache_key_that_leaves_out_what_is_no_parameter_is_refused_at_the_definition() -> None:
    def report(day: str, verbose: bool) -> str:
        return f"{day} {verbose}"

    with pytest.raises(ValueError, match=r"leaves out 'verbos'.*its parameters: day, verbose\."):
        task(report, cache_key_fn=task_input_hash(ignore=["verbos"]))
    with pytest.raises(ValueError, match="leaves out 'day,verbose'"):
        task(report, cache_key_fn=task_input_hash(ignore="day,verbose"))
    assert task(report, cache_key_fn=task_input_hash(ignore="verbose")).fn("monday", verbose=True) == "monday True"
