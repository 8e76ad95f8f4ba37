"""How runs end, what is said of it, and what a retry is."""

from __future__ import annotations

import threading
import types

import pytest

from podtask import flow, get_run_context, get_run_logger, task
from podtask.states import Cancelled, Completed, Failed


class Broken:
    def __reduce__(self):
        raise TypeError("never")


class Picky(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one}{two}")
        self.both = (one, two)


def raising(error):
    """A task body that raises."""

    def body():
        raise error

    return body


def picky():
    raise Picky("a", "b")


class Own(Exception):
    pass


class Strong(BaseException):
    pass


INTERRUPTED = "Execution was interrupted by an unexpected exception"
ENDS = {
    # what the body does: type, name, and how the message begins
    "returns a value": (lambda: 5, "COMPLETED", "Completed", ""),
    "returns nothing": (lambda: None, "COMPLETED", "Completed", ""),
    "raises": (raising(ValueError("bad")), "FAILED", "Failed", "Task run encountered an exception"),
    "raises an exception of its own": (raising(Own("own")), "FAILED", "Failed", "Task run encountered an exception"),
    "fails an assertion": (raising(AssertionError("no")), "FAILED", "Failed", "Task run encountered an exception"),
    "stops an iteration": (raising(StopIteration(1)), "FAILED", "Failed", "Task run encountered an exception"),
    "raises a base exception": (raising(Strong("strong")), "FAILED", "Crashed", INTERRUPTED),
    "returns what cannot be pickled": (lambda: Broken(), "FAILED", "Crashed", INTERRUPTED),  # noqa: PLW0108 - travels by value
    "returns a generator expression": (lambda: (n for n in "ab"), "COMPLETED", "Completed", ""),
    "returns a completed state": (lambda: Completed(5), "COMPLETED", "Completed", ""),
    "returns a failed state": (lambda: Failed("my words"), "FAILED", "Failed", "my words"),
    "returns good states": (lambda: [Completed(1), Completed(2)], "COMPLETED", "Completed", ""),
    "returns a bad one among three": (lambda: (Completed(), Failed(), Completed()), "FAILED", "Failed", "1/3 states"),
    "returns a cancelled state": (lambda: Cancelled("enough"), "FAILED", "Failed", "enough"),
    "returns states and values": (lambda: [Completed(1), 5], "COMPLETED", "Completed", ""),
}


def by_value(body, **options):
    """A task of a function of this module that travels as one of a script does."""
    copied = types.FunctionType(body.__code__, body.__globals__, "body", None, body.__closure__)
    copied.__module__ = "__main__"
    return task(copied, **options)


@pytest.mark.usefixtures("backend")
class TestEnds:
    @pytest.mark.straight
    @pytest.mark.parametrize("what", ENDS)
    def test_the_end_of_a_task_has_its_type_its_name_and_its_words(self, what: str) -> None:
        body, kind, name, words = ENDS[what]

        @flow
        def ending():
            state = by_value(body)().wait()
            return state.type.value, state.name, state.message or ""

        kind_, name_, message = ending()
        assert (kind_, name_) == (kind, name)
        assert message.startswith(words)

    @pytest.mark.parametrize("what", ["raises a base exception", "returns what cannot be pickled"])
    def test_a_crash_uses_no_retry_a_failure_uses_them_all(self, what: str) -> None:
        @flow
        def ending():
            crash, failure = by_value(ENDS[what][0], retries=2)(), by_value(ENDS["raises"][0], retries=2)()
            crash.wait(), failure.wait()
            return crash.task_run.status.attempts_total, failure.task_run.status.attempts_total

        assert ending() == (1, 3)

    def test_an_exception_keeps_its_arguments_and_its_attributes(self) -> None:
        @task
        def failing():
            error = ValueError("one", 2)
            error.detail = {"a": 1}
            raise error

        @flow
        def ending():
            error = failing().result(raise_on_failure=False)
            return type(error).__name__, error.args, error.detail

        assert ending() == ("ValueError", ("one", 2), {"a": 1})

    def test_an_exception_that_cannot_be_made_again_is_told_in_its_own_words(self) -> None:
        @flow
        def ending():
            future = by_value(picky)()
            with pytest.raises(Exception, match="ab"):
                future.result()
            return future.wait().is_failed()

        assert ending()

    def test_type_predicates_of_states_agree_with_their_types(self) -> None:
        @flow
        def ending():
            good, bad = by_value(ENDS["returns a value"][0])().wait(), by_value(ENDS["raises"][0])().wait()
            return [
                (state.is_completed(), state.is_failed(), state.is_crashed(), state.is_final(), state.is_pending())
                for state in (good, bad)
            ]

        assert ending() == [(True, False, False, True, False), (False, True, False, True, False)]

    def test_the_attempts_of_a_run_are_counted_where_it_runs_and_where_it_is_watched(self) -> None:
        @task(retries=2)
        def third_time_lucky():
            if get_run_context().task_run.run_count < 3:
                raise ValueError("not yet")
            return get_run_context().task_run.run_count

        @flow
        def trying():
            future = third_time_lucky()
            return future.result(), future.task_run.status.attempts_total, future.task_run.status.retries_used

        assert trying() == (3, 3, 2)

    def test_a_list_of_delays_repeats_its_last_one(self) -> None:
        @task(retries=3, retry_delay_seconds=[0.3, 0])
        def times():
            import time

            raise ValueError(str(time.time()))

        @flow
        def trying():
            future = times()
            future.wait()
            return [(attempt.finished_at, attempt.recorded_at) for attempt in future.task_run.status.attempts]

        attempts = trying()
        assert len(attempts) == 4
        assert (attempts[1][1] - attempts[0][0]).total_seconds() >= 0.3

    def test_a_retry_condition_that_says_no_ends_the_run_at_once(self) -> None:
        @task(retries=3, retry_condition_fn=lambda error, attempt: "again" in str(error))
        def failing():
            raise ValueError("again" if get_run_context().task_run.run_count == 1 else "enough")

        @flow
        def trying():
            future = failing()
            future.wait()
            return future.task_run.status.attempts_total, str(future.result(raise_on_failure=False))

        assert trying() == (2, "enough")

    def test_a_retry_after_a_timeout_may_succeed(self) -> None:
        @task(retries=1, timeout_seconds=3)  # enough for the second attempt, on whatever machine
        def slow_at_first():
            import time

            if get_run_context().task_run.run_count == 1:
                time.sleep(60)
            return "in time"

        @flow
        def trying():
            return slow_at_first().result()

        assert trying() == "in time"

    def test_prints_of_a_task_that_logs_them_and_its_logger_do_not_change_its_result(self) -> None:
        @task(log_prints=True)
        def talking():
            print("printed", 5)
            get_run_logger().info("logged")
            return "done"

        @flow
        def listening():
            return talking().result()

        assert listening() == "done"


@pytest.mark.usefixtures("backend")
class TestFutures:
    """Waiting for futures and asking for their results."""

    def test_a_wait_that_is_too_short_gives_none_and_a_result_a_timeout(self) -> None:
        @task
        def slow():
            import time

            time.sleep(60)

        @flow
        def waiting():
            future = slow()
            with pytest.raises(TimeoutError, match="was not finished after 0"):
                future.result(timeout=0.01)
            waited, done = future.wait(timeout=0.01), future.done()
            future.cancel()
            return waited, done, future.wait().name

        assert waiting() == (None, False, "Cancelled")

    def test_futures_are_hashable_and_equal_by_their_run(self) -> None:
        @task
        def one():
            return 1

        @flow
        def comparing():
            first, second = one(), one()
            return len({first, second, first}), first == second, first == first

        assert comparing() == (2, False, True)

    def test_a_future_is_true_with_a_warning_and_shows_its_name(self) -> None:
        @task(name="one")
        def one():
            return 1

        @flow
        def asking():
            future = one()
            with pytest.warns(UserWarning, match="A future is always true"):
                assert future
            return repr(future) == f"TaskFuture('{future.name}')"

        assert asking()

    def test_a_callback_is_called_once_whether_it_comes_before_or_after_the_end(self) -> None:
        @task
        def one():
            return 1

        called, calls = [], threading.Semaphore(0)

        def tell(value):
            called.append(value)
            calls.release()

        @flow
        def listening():
            future = one()
            future.add_done_callback(lambda done: tell(done.result()))
            future.wait()
            future.add_done_callback(lambda done: tell(done.result() + 1))

        listening()
        for _ in range(2):  # one of them on another thread, which nobody waited for
            assert calls.acquire(timeout=30)
        assert sorted(called) == [1, 2]

    def test_several_threads_may_wait_for_one_run(self) -> None:
        @task
        def one():
            return 1

        seen = []

        @flow
        def waiting():
            future = one()
            threads = [threading.Thread(target=lambda: seen.append(future.result())) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        waiting()
        assert seen == [1] * 4

    def test_the_exception_can_be_asked_for_without_raising_it(self) -> None:
        @flow
        def asking():
            future = by_value(ENDS["raises"][0])()
            error = future.result(raise_on_failure=False)
            return type(error).__name__, str(error), str(future.wait().exception())

        assert asking() == ("ValueError", "bad", "bad")

    def test_the_state_as_text_has_name_message_and_type(self) -> None:
        @flow
        def asking():
            good, bad = (
                by_value(ENDS["returns a value"][0])().wait(),
                by_value(ENDS["raises a base exception"][0])().wait(),
            )
            return str(good), str(bad)

        good, bad = asking()
        assert good == "Completed()"
        assert bad.startswith(f"Crashed('{INTERRUPTED}")
        assert bad.endswith("type=FAILED)")

    def test_the_history_begins_pending_and_ends_with_the_final_state(self) -> None:
        @task
        def one():
            return 1

        @flow
        def asking():
            future = one()
            future.wait()
            names = [state.name for state in future.history]
            times = [state.timestamp for state in future.history]
            return names[0], names[-1], times == sorted(times)

        assert asking() == ("Pending", "Completed", True)

    def test_a_task_called_from_a_thread_of_the_users_own_is_outside_of_the_flow(self) -> None:
        @task
        def one():
            return 1

        errors = []

        def calling():
            try:
                one()
            except RuntimeError as error:
                errors.append(str(error))

        @flow
        def starting():
            thread = threading.Thread(target=calling)
            thread.start()
            thread.join()

        starting()
        assert errors[0].startswith("Tasks cannot be called outside of a flow. 'one' was")
