"""Caching. A result that names its run tells who computed it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from podtask import flow, get_run_context, task, task_input_hash


@pytest.mark.usefixtures("backend")
class TestCache:
    @pytest.mark.straight
    def test_the_same_inputs_are_computed_once_and_the_second_run_is_cached(self) -> None:
        @task(cache_key_fn=task_input_hash)
        def computed(x, y=1):
            return [x, y, get_run_context().task_run.id]

        @flow
        def computing(x):
            future = computed(x)
            state = future.wait()
            return state.name, state.is_completed(), future.task_run.status.attempts_total, state.result

        name, _, attempts, first = computing(1)
        assert (name, attempts) == ("Completed", 1)
        assert computing(1) == ("Cached", True, 0, first)
        assert computing(2)[0] == "Completed"

    def test_the_result_of_an_upstream_counts_not_which_run_it_came_from(self) -> None:
        @task
        def one():
            return [1]

        @task(cache_key_fn=task_input_hash)
        def computed(x):
            return get_run_context().task_run.id

        @flow
        def computing():
            return computed(one()).result(), computed([1]).result()

        first, second = computing()
        assert first == second
        assert computing() == (first, first)

    def test_an_argument_that_is_left_out_does_not_count_nor_does_the_upstream_in_it(self) -> None:
        @task
        def text(value):
            return value

        @task(cache_key_fn=task_input_hash(ignore=["label"]))
        def computed(x, label=""):
            return get_run_context().task_run.id

        @flow
        def computing():
            first = computed(1, label="first").result()
            others = [computed(1), computed(1, label=text("later")), computed(text(1), label=["a", text("b")])]
            return first, {other.result() for other in others}, computed(2, label="first").result()

        first, others, another = computing()
        assert others == {first}
        assert another != first

    def test_what_is_added_to_a_key_counts(self) -> None:
        def of(rates):
            @task(name="computed", cache_key_fn=task_input_hash(ignore=["label"], add={"rates": rates}))
            def computed(x, label=""):
                return get_run_context().task_run.id

            return computed

        @flow
        def computing():
            return [of(rates)(1, label=label).result() for rates, label in (("may", "a"), ("may", "b"), ("june", "a"))]

        first, again, another = computing()
        assert first == again
        assert another != first

    def test_other_code_is_another_key(self) -> None:
        def of(number):
            @task(name="computed", cache_key_fn=task_input_hash)
            def computed(x):
                return x + number

            return computed

        @flow
        def computing():
            return [of(1)(1).result(), of(2)(1).result()]

        assert computing() == [2, 3]

    @pytest.mark.straight
    def test_a_key_of_the_users_own_is_shared_by_different_tasks_and_flows(self) -> None:
        @task(cache_key_fn=lambda _, parameters: f"shared-{parameters['x']}")
        def left(x):
            return "left"

        @task(cache_key_fn=lambda _, parameters: f"shared-{parameters['x']}")
        def right(x):
            return "right"

        @flow
        def one():
            return left(1)

        @flow
        def other():
            return right(1)

        assert [one(), other()] == ["left", "left"]

    def test_the_key_function_sees_the_run_and_resolved_parameters_with_defaults(self) -> None:
        seen = []

        def key(context, parameters):
            seen.append((context.task_run.flow_run_id, context.task.name, parameters))
            return "key"

        @task
        def one():
            return 1

        @task(cache_key_fn=key)
        def computed(x, y=2):
            return x

        @flow
        def computing():
            computed([one()]).wait()
            return get_run_context().flow_run_id

        assert seen == [(computing(), "computed", {"x": [1], "y": 2})]

    @pytest.mark.parametrize("key", [None, ""])
    def test_no_key_means_no_lookup_and_no_entry(self, key: str | None) -> None:
        @task(cache_key_fn=lambda *_: key)
        def computed():
            return get_run_context().task_run.id

        @flow
        def computing():
            return computed()

        assert computing() != computing()

    def test_refresh_cache_runs_and_replaces_the_entry(self) -> None:
        @task(cache_key_fn=lambda *_: "key")
        def computed():
            return get_run_context().task_run.id

        @flow
        def computing(refresh: bool):
            return computed.with_options(refresh_cache=refresh)()

        first, second = computing(False), computing(True)
        assert first != second
        assert computing(False) == second

    def test_an_expired_entry_is_a_miss(self) -> None:
        @task(cache_key_fn=lambda *_: "key", cache_expiration=timedelta(seconds=-1))
        def computed():
            return get_run_context().task_run.id

        @flow
        def computing():
            return computed()

        assert computing() != computing()

    def test_a_failure_is_not_cached_a_success_after_retries_is(self) -> None:
        @task(cache_key_fn=lambda *_: "key", retries=1)
        def computed(lucky):
            if not lucky or get_run_context().task_run.run_count == 1:
                raise ValueError("no luck")
            return get_run_context().task_run.id

        @flow
        def computing(lucky):
            return computed(lucky)

        with pytest.raises(ValueError, match="no luck"):
            computing(False)
        assert computing(True) == computing(True)

    @pytest.mark.straight
    def test_a_key_function_that_raises_crashes_the_run_before_any_attempt(self) -> None:
        @task(cache_key_fn=lambda *_: 1 / 0, retries=3)
        def computed():
            return 1

        @flow
        def computing():
            future = computed()
            return future.wait().name, future.task_run.status.attempts_total

        assert computing() == ("Crashed", 0)

    @pytest.mark.straight
    def test_identical_runs_at_the_same_time_are_computed_once(self) -> None:
        @task(cache_key_fn=task_input_hash)
        def computed(x):
            return get_run_context().task_run.id

        @flow
        def computing():
            return [computed(1) for _ in range(4)]

        assert len(set(computing())) == 1

    def test_identical_runs_at_the_same_time_may_be_let_run(self) -> None:
        @task(cache_key_fn=lambda *_: "key", cache_concurrent="run", refresh_cache=True)
        def computed(x):
            return get_run_context().task_run.id

        @flow
        def computing():
            return [computed(1) for _ in range(2)]

        assert len(set(computing())) == 2

    def test_an_unhashable_argument_means_uncached(self) -> None:
        @task(cache_key_fn=task_input_hash)
        def computed(thing):
            return get_run_context().task_run.id

        @flow
        def computing():
            class Thing:
                def __podtask_hash__(self):
                    raise TypeError("no")

            return computed(Thing())

        assert computing() != computing()
