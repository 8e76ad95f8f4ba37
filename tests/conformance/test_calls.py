"""Calling a task in a flow."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import NamedTuple

import pytest

import podtask
from podtask import SequentialTaskRunner, TaskFuture, flow, get_run_context, quote, tags, task, unmapped


@pytest.mark.usefixtures("backend")
class TestCalls:
    @pytest.mark.straight
    def test_a_call_gives_a_future_of_the_result(self) -> None:
        @task
        def double(x: int) -> int:
            return 2 * x

        @flow
        def doubling() -> int:
            future = double(21)
            assert isinstance(future, TaskFuture)
            return future.result()

        assert doubling() == 42

    @pytest.mark.straight
    def test_defaults_positional_and_keyword_arguments_arrive_as_they_would_without_podtask(self) -> None:
        @task
        def seen(a, b=2, *rest, c=3, **more):
            return [a, b, list(rest), c, more]

        @flow
        def calls():
            return [seen(1), seen(1, 5, 6, 7, c=8, d=9)]

        assert calls() == [[1, 2, [], 3, {}], [1, 5, [6, 7], 8, {"d": 9}]]

    def test_a_wrong_call_is_a_type_error_at_the_call(self) -> None:
        @task
        def one(x):
            return x

        @flow
        def wrong():
            with pytest.raises(TypeError, match="missing a required argument: 'x'"):
                one()
            with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
                one(1, y=2)
            return "survived"

        assert wrong() == "survived"

    @pytest.mark.straight
    def test_an_argument_that_cannot_be_pickled_is_named_at_the_call(self) -> None:
        @task
        def hold(name, lock):
            return name

        @flow
        def locking():
            with pytest.raises(podtask.UnpicklableArgument, match=r"Argument 'lock' of task 'hold'"):
                hold("door", threading.Lock())
            return "survived"

        assert locking() == "survived"

    def test_a_task_cannot_change_its_callers_objects_nor_those_of_other_readers(self) -> None:
        @task
        def grow(items):
            items.append("grown")
            return items

        @flow
        def growing():
            mine = ["mine"]
            future = grow(mine)
            first = future.result()
            first.append("first reader")
            return mine, first, future.result()

        assert growing() == (["mine"], ["mine", "grown", "first reader"], ["mine", "grown"])

    def test_submit_is_a_call(self) -> None:
        @task
        def one():
            return 1

        @flow
        def submitting():
            return one.submit().result()

        assert submitting() == 1

    @pytest.mark.straight
    def test_map_makes_one_run_per_element_and_leaves_unmapped_and_plain_values_alone(self) -> None:
        @task
        def add(x, y, z=0):
            return x + y + z

        @flow
        def mapping():
            return [f.result() for f in add.map([1, 2, 3], unmapped(10), z=range(3))]

        assert mapping() == [11, 13, 15]

    def test_map_over_a_future_goes_over_its_result(self) -> None:
        @task
        def numbers():
            return [1, 2]

        @task
        def double(x):
            return 2 * x

        @flow
        def mapping():
            return [f.result() for f in double.map(numbers())]

        assert mapping() == [2, 4]

    def test_an_iterator_arrives_as_a_list_with_all_its_elements(self) -> None:
        @task
        def total(numbers, nested):
            return [sum(numbers), nested]

        @flow
        def totalling():
            return total((n for n in range(4)), {"n": iter([1, 2])}).result()

        assert totalling() == [6, {"n": [1, 2]}]

    @pytest.mark.straight
    def test_run_names_and_ids_count_the_calls_of_one_task_in_one_flow_run(self) -> None:
        @task(name="The Ultimate Task")
        def ultimate():
            return None

        @flow
        def counting():
            first, second = ultimate(), ultimate.with_options(retries=1)()
            key = ultimate.task_key[:8]
            assert [first.name, second.name] == [f"The Ultimate Task-{key}-0", f"The Ultimate Task-{key}-1"]
            assert first.run_id.startswith("the-ultimate-task-")
            return first.run_id, second.run_id

        ids = {*counting(), *counting()}
        assert len(ids) == 4

    def test_a_sequential_flow_finishes_each_call_before_the_next(self) -> None:
        @task
        def step(x):
            return x

        @flow(task_runner=SequentialTaskRunner())
        def steps():
            return [step(n).done() for n in range(3)]

        assert steps() == [True, True, True]


@pytest.mark.usefixtures("backend")
class TestArguments:
    @pytest.mark.straight
    def test_futures_in_containers_are_replaced_by_results_keys_too(self) -> None:
        @task
        def one():
            return 1

        @task
        def seen(value):
            return value

        @flow
        def nesting():
            a = one()
            return seen([a, (a, {a: [a]}), {a}]).result()

        assert nesting() == [1, (1, {1: [1]}), {1}]

    def test_futures_in_dataclasses_and_named_tuples_are_replaced_too(self) -> None:
        @dataclass
        class Box:
            content: object

        class Pair(NamedTuple):
            left: object
            right: object

        @task
        def one():
            return 1

        @task
        def opened(box, pair):
            return [box.content, pair.left, pair.right]

        @flow
        def boxing():
            a = one()
            return opened(Box(a), Pair(a, 2)).result()

        assert boxing() == [1, 1, 2]

    @pytest.mark.straight
    def test_one_upstream_used_twice_is_one_object_for_the_task(self) -> None:
        @task
        def things():
            return ["thing"]

        @task
        def same(a, b):
            return a is b

        @flow
        def twice():
            a = things()
            return same(a, a).result()

        assert twice() is True

    @pytest.mark.straight
    def test_the_upstreams_of_a_call_are_recorded_by_parameter_and_wait_for_only_where_it_was_given(self) -> None:
        @dataclass
        class Box:
            inside: object

        @task
        def one():
            return 1

        @task
        def show(x, *rest, y=2, **more):
            return 5

        @flow
        def recording():
            first, second = one(), one()
            a, b = first.run_id, second.run_id
            seen = [
                show(1),
                show([first, {first: second}], second, more=first.wait()),
                show(Box([second]), quote(first), y=iter([first])),
                show(first, wait_for=[second]),
            ]
            assert [future.task_run.task_inputs for future in seen] == [
                {"x": [], "rest": [], "y": [], "more": []},
                {"x": [a, b], "rest": [b], "y": [], "more": [a]},
                {"x": [b], "rest": [], "y": [a], "more": []},
                {"x": [a], "rest": [], "y": [], "more": [], "wait_for": [b]},
            ]
            return [future.result() for future in seen]

        assert recording() == [5, 5, 5, 5]

    @pytest.mark.straight
    def test_a_final_state_stands_for_its_result(self) -> None:
        @task
        def one():
            return 1

        @task
        def seen(value):
            return value

        @flow
        def stating():
            return seen([one().wait()]).result()

        assert stating() == [1]

    def test_quote_protects_a_value_and_the_task_gets_it_bare(self) -> None:
        @task
        def one():
            return 1

        @task
        def kinds(plain, state):
            return [plain, type(state).__name__, state.is_completed()]

        @flow
        def quoting():
            return kinds(quote([1, 2]), quote(one().wait())).result()

        assert quoting() == [[1, 2], "State", True]

    @pytest.mark.straight
    def test_wait_for_orders_without_passing_data(self) -> None:
        @task
        def first():
            return "data"

        @task
        def second(**more):
            return more

        @flow
        def ordering():
            a = first()
            b = second(wait_for=[a], x=1)
            b.wait()
            return a.done(), b.result()

        assert ordering() == (True, {"x": 1})


@pytest.mark.usefixtures("backend")
class TestContext:
    @pytest.mark.straight
    def test_a_task_sees_its_run_its_flow_run_and_its_tags(self) -> None:
        @task(tags={"own"})
        def who():
            run = get_run_context().task_run
            return [run.id, run.flow_run_id, run.run_count, sorted(run.tags)]

        @flow
        def asking():
            with tags("outer"), tags("inner"):
                future = who()
            bare = who()
            flow_run = get_run_context().flow_run_id
            assert future.result() == [future.run_id, flow_run, 1, ["inner", "outer", "own"]]
            assert bare.result() == [bare.run_id, flow_run, 1, ["own"]]

        with tags("around"):
            pass
        asking()

    def test_tags_around_a_flow_call_reach_its_tasks(self) -> None:
        @task
        def mine():
            return sorted(get_run_context().task_run.tags)

        @flow
        def tagged():
            return mine().result()

        with tags("around"):
            assert tagged() == ["around"]

    @pytest.mark.straight
    def test_a_task_inside_a_task_fails_with_the_cure(self) -> None:
        @task
        def leaf():
            return None

        @task
        def branch():
            return leaf()

        @flow
        def nesting():
            return branch()

        with pytest.raises(RuntimeError, match=r"Tasks cannot be called from within tasks.*leaf\.fn"):
            nesting()

    def test_a_flow_inside_a_task_fails_with_the_cure(self) -> None:
        @flow
        def inner():
            return None

        @task
        def branch():
            return inner()

        @flow
        def nesting():
            return branch()

        with pytest.raises(RuntimeError, match="Flows cannot be called from within tasks"):
            nesting()
