"""What the traces of the original (tests/differential) taught beyond the other cases, on every backend."""

from __future__ import annotations

import pytest

from podtask import OutsideFlow, flow, task
from podtask.states import Cancelled, Completed, Failed, State


@pytest.mark.usefixtures("backend")
class TestParity:
    def test_a_returned_iterator_is_a_list(self) -> None:
        @task
        def squares():
            return (n * n for n in range(3))

        @task
        def texts():
            return map(str, range(2))

        @flow
        def iterating():
            return [squares().result(), texts().result()]

        assert iterating() == [[0, 1, 4], ["0", "1"]]

    def test_what_a_generator_raises_is_raised_by_the_task_and_retried(self) -> None:
        @task(retries=1)
        def halfway():
            yield 1
            raise ValueError("halfway")

        @flow
        def iterating():
            future = halfway()
            return future.wait().name, str(future.result(raise_on_failure=False)), future.task_run.status.attempts_total

        assert iterating() == ("Failed", "halfway", 2)

    def test_a_returned_cancelled_state_is_not_retried(self) -> None:
        @task(retries=2)
        def giving_up():
            return Cancelled("enough")

        @flow
        def watching():
            future = giving_up()
            return future.wait().message, future.task_run.status.attempts_total

        assert watching() == ("enough", 1)

    def test_the_message_of_a_crash_begins_with_what_happened(self) -> None:
        class Own(BaseException):
            pass

        @task
        def crashing():
            raise Own("own")

        @flow
        def watching():
            return crashing().wait().message

        assert watching().startswith("Execution was interrupted by an unexpected exception: ")

    def test_the_state_of_a_flow_that_returns_nothing_carries_those_of_its_runs(self) -> None:
        @task
        def one():
            return 1

        @flow
        def counting():
            one()
            one()

        assert counting() is None
        state = counting(return_state=True)
        assert [inner.result for inner in state.result] == [1, 1]
        assert state.message == "All states completed."

    def test_a_key_function_sees_empty_variadic_parameters(self) -> None:
        def key(context, arguments):
            return repr(sorted(arguments.items()))

        @task(cache_key_fn=key)
        def variadic(x, y=2, *rest, **more):
            return x

        @flow
        def calling():
            return [variadic(1).wait().name, variadic(1, 2).wait().name, variadic(1, 2, 3).wait().name]

        assert calling() == ["Completed", "Cached", "Completed"]


def test_a_flow_without_tasks_that_returns_nothing_is_completed_without_a_message() -> None:
    state = flow(lambda: None)(return_state=True)
    assert (state.name, state.message, state.result) == ("Completed", None, None)


def test_a_returned_state_of_a_subflow_is_judged() -> None:
    @flow
    def inner():
        return 5

    @flow
    def outer():
        state = inner(return_state=True)
        assert state.run_id
        return state

    assert outer() == 5
    state = outer(return_state=True)
    assert state.message == "All states completed."
    assert isinstance(state.result, State)
    assert state.result.result == 5


def test_a_state_made_by_hand_stays_the_users_own_object() -> None:
    verdict = Completed(5, message="well enough")
    judged = flow(lambda: verdict)(return_state=True)
    assert (judged.message, judged.result, verdict.run_id) == ("well enough", 5, None)
    assert flow(lambda: Failed("my words"))(return_state=True).message == "my words"


def test_a_call_that_does_not_fit_is_a_type_error_outside_of_a_flow_too() -> None:
    lonely = task(lambda: 1, name="lonely")
    with pytest.raises(TypeError, match="too many positional arguments"):
        lonely(1)
    with pytest.raises(OutsideFlow):
        lonely()


def test_the_name_of_a_flow_is_that_of_its_function_with_dashes() -> None:
    @flow
    def my_flow():
        pass

    assert my_flow.name == "my-flow"
    assert my_flow.with_options(name="my_own").name == "my_own"
