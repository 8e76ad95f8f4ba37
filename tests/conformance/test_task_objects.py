"""Task objects and their options, as far as runs show them."""

from __future__ import annotations

import pytest
from tests.conformance.suite import EVERY_STATE

from podtask import Task, TaskFuture, flow, get_run_context, task


def seen_of(called: Task[..., object], *args: object, **kwargs: object) -> TaskFuture[object]:
    """The finished future of one call."""
    found = []

    @flow
    def calling():
        future = called(*args, **kwargs)
        future.wait()
        found.append(future)
        return 5

    calling()
    return found[0]


@pytest.mark.usefixtures("backend")
class TestTaskObjects:
    def test_the_name_of_a_run_is_that_of_the_task_the_start_of_its_key_and_the_number_of_the_call(self) -> None:
        mine = task(lambda: 1, name="My task")
        assert seen_of(mine).name == f"My task-{mine.task_key[:8]}-0"

    def test_the_plain_function_makes_no_run(self) -> None:
        @task
        def double(x):
            return 2 * x

        @flow
        def calling():
            return double.fn(4), len(get_run_context().run.runs)

        assert calling() == (8, 0)

    def test_tags_of_the_task_are_tags_of_its_runs_and_with_options_replaces_them(self) -> None:
        @task(tags=["a", "b", "a"])
        def tagged():
            return sorted(get_run_context().task_run.tags)

        assert seen_of(tagged).result() == ["a", "b"]
        assert seen_of(tagged.with_options(tags={"c"})).result() == ["c"]
        assert seen_of(tagged.with_options(retries=1)).result() == ["a", "b"]

    def test_with_options_can_reset_to_nothing(self) -> None:
        @task(retries=2, tags=["a"], description="text")
        def failing():
            raise ValueError(sorted(get_run_context().task_run.tags))

        plain = failing.with_options(retries=0, tags=[])
        future = seen_of(plain)
        assert future.task_run.status.attempts_total == 1
        assert str(future.result(raise_on_failure=False)) == "[]"

    def test_a_task_and_its_copy_with_other_retries_have_one_key_and_two_runs(self) -> None:
        @task
        def once(x):
            return x

        @flow
        def calling():
            first, second = once(1), once.with_options(retries=1)(2)
            return [first.run_id != second.run_id, first.result(), second.result(), first.name[-2:], second.name[-2:]]

        assert calling() == [True, 1, 2, "-0", "-1"]

    def test_a_copy_with_another_name_counts_for_itself(self) -> None:
        @task
        def once(x):
            return x

        @flow
        def calling():
            return [once(1).name[-2:], once.with_options(name="other")(2).name[-2:], once(3).name[-2:]]

        assert calling() == ["-0", "-0", "-1"]

    def test_a_function_with_keywords_of_any_name_does_not_see_wait_for(self) -> None:
        @task
        def keywords(**given):
            return sorted(given)

        @flow
        def calling():
            first = keywords(a=1)
            return keywords(b=2, wait_for=[first]).result()

        assert calling() == ["b"]

    @pytest.mark.straight
    def test_a_template_of_the_parameters_names_the_runs(self) -> None:
        @task(task_run_name="load {table[0]} of {day:02d}")
        def load(table, day=7):
            return get_run_context().task_run.name

        future = seen_of(load, ["users"])
        assert future.name == future.result() == "load users of 07"

    def test_a_future_in_a_name_is_shown_by_its_name_and_not_waited_for(self) -> None:
        @task(name="one", task_run_name="first")
        def one():
            return 1

        @task(task_run_name="after {x}")
        def two(x):
            return x

        @flow
        def calling():
            future = two(one())
            return future.name, future.result()

        assert calling() == ("after first", 1)

    def test_a_function_of_the_parameters_names_the_runs(self) -> None:
        @task(task_run_name=lambda parameters: f"{sorted(parameters)}")
        def load(x, y=1, **more):
            return 5

        assert seen_of(load, 1, z=2).name == "['more', 'x', 'y']"

    @pytest.mark.parametrize("backend", EVERY_STATE, indirect=True)
    @pytest.mark.parametrize(
        "option",
        [
            {"image": "registry.example/etl:1"},
            {"resources": {"requests": {"cpu": 100, "memory": "1Ti"}}},
            {"env": {"GREETING": "hello"}},
            {"service_account": "reader"},
            {"node_selector": {"disk": "ssd"}},
            {"tolerations": [{"key": "spot", "operator": "Exists"}]},
            {"pod_template": {"labels": {"team": "data"}}},
            {"max_disruptions": 2},
        ],
        ids=lambda option: next(iter(option)),
    )
    def test_what_is_the_clusters_business_is_accepted_and_ignored_elsewhere(self, option) -> None:
        @task(**option)
        def plain():
            import os

            return os.environ.get("GREETING")

        assert seen_of(plain).result() is None


@pytest.mark.parametrize("template", ["{nothing}", "{x", "{0}", "{}"])
def test_a_template_that_no_call_can_fill_in_is_refused_at_the_decoration(template: str) -> None:
    with pytest.raises(ValueError, match="task_run_name of task 'load'"):
        task(task_run_name=template, name="load")(lambda x: x)


@pytest.mark.parametrize("maker", [lambda _: "", lambda _: 5, lambda given: given["none"], "{x:d}"])
def test_a_name_that_cannot_be_made_is_a_value_error_at_the_call(maker) -> None:
    load = task(lambda x: x, name="load", task_run_name=maker)

    @flow(backend="local")
    def calling():
        with pytest.raises(ValueError, match="task_run_name of task 'load'"):
            load("text")
        return "survived"

    assert calling() == "survived"


@pytest.mark.parametrize("name", ["\udcff", 5, b"load"])
def test_a_name_that_is_no_text_is_refused_where_it_is_given(name) -> None:
    for decorated in (task, flow):
        with pytest.raises(ValueError, match="name must be text that UTF-8 can carry, not"):
            decorated(name=name)(lambda: 1)
        with pytest.raises(ValueError, match="name must be text that UTF-8 can carry, not"):
            decorated(lambda: 1).with_options(name=name)
