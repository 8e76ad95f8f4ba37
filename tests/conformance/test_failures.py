"""Failures, retries, crashes, timeouts and what they do downstream."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from tests.conformance.suite import EVERY_STATE, REMOTE

from podtask import TaskCancelled, TaskCrashed, TaskTimedOut, UpstreamNotReady, flow, get_run_context, task
from podtask.states import Completed, Failed


@pytest.mark.usefixtures("backend")
class TestFailures:
    @pytest.mark.straight
    def test_the_tasks_own_exception_is_raised_by_result_and_by_state_result(self) -> None:
        @task
        def fail():
            raise ValueError("no luck", 7)

        @flow
        def failing():
            future = fail()
            with pytest.raises(ValueError, match="no luck") as caught:
                future.result()
            assert caught.value.args == ("no luck", 7)
            state = future.wait()
            assert state.is_failed()
            assert str(state.message).startswith("Task run encountered an exception.")
            with pytest.raises(ValueError, match="no luck"):
                _ = state.result
            assert isinstance(future.result(raise_on_failure=False), ValueError)
            return "survived"

        assert failing() == "survived"

    def test_the_traceback_of_where_it_was_raised_is_the_cause(self) -> None:
        @task
        def fail():
            {}["nothing"]

        @flow
        def failing():
            return fail()

        with pytest.raises(KeyError) as caught:
            failing()
        assert '{}["nothing"]' in str(caught.value.__cause__) or "in fail" in str(caught.value.__cause__)

    @pytest.mark.straight
    def test_causes_of_an_exception_travel_with_it(self) -> None:
        @task
        def fail():
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise RuntimeError("outer") from error

        @flow
        def failing():
            return fail()

        with pytest.raises(RuntimeError, match="outer") as caught:
            failing()
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.straight
    def test_a_returned_failed_state_is_a_failure_and_a_returned_completed_state_a_success(self) -> None:
        @task
        def verdict(which):
            return {"failed": Failed("on purpose"), "completed": Completed(5), "both": [Completed(1), Failed("x")]}[
                which
            ]

        @flow
        def judging():
            failed, completed, both = verdict("failed").wait(), verdict("completed").wait(), verdict("both").wait()
            return [failed.name, failed.message, completed.name, completed.result, both.name, both.message]

        assert judging() == ["Failed", "on purpose", "Completed", 5, "Failed", "1/2 states failed."]


@pytest.mark.usefixtures("backend")
class TestRetries:
    def test_retries_3_means_up_to_four_attempts(self) -> None:
        @task(retries=3)
        def stubborn():
            if get_run_context().task_run.run_count < 4:
                raise ValueError("not yet")
            return get_run_context().task_run.run_count

        @flow
        def trying():
            return stubborn()

        assert trying() == 4

    @pytest.mark.straight
    def test_after_the_last_retry_the_run_is_failed(self) -> None:
        @task(retries=1)
        def hopeless():
            raise ValueError(f"attempt {get_run_context().task_run.run_count}")

        @flow
        def trying():
            return hopeless()

        with pytest.raises(ValueError, match="attempt 2"):
            trying()

    @pytest.mark.parametrize("backend", EVERY_STATE, indirect=True)
    def test_states_go_from_running_over_awaiting_retry_and_retrying_to_the_end(self) -> None:
        @task(retries=1)
        def second_time_lucky():
            if get_run_context().task_run.run_count == 1:
                raise ValueError("first")

        @flow
        def trying():
            future = second_time_lucky()
            future.wait()
            return [state.name for state in future.history]

        assert trying() == ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]

    @pytest.mark.straight
    def test_a_retry_waits_for_its_delay_and_never_starts_early(self) -> None:
        @task(retries=1, retry_delay_seconds=0.3)
        def delayed():
            if get_run_context().task_run.run_count == 1:
                raise ValueError("first")

        @flow
        def trying():
            future = delayed()
            future.wait()
            first, second = future.task_run.status.attempts
            return (second.recorded_at - first.finished_at).total_seconds()

        assert trying() >= 0.3

    @pytest.mark.straight
    def test_the_retry_condition_decides_with_the_exception_and_the_attempt(self) -> None:
        @task(retries=5, retry_condition_fn=lambda error, number: "again" in str(error) and number < 3)
        def picky():
            raise ValueError(f"again {get_run_context().task_run.run_count}")

        @flow
        def trying():
            return picky()

        with pytest.raises(ValueError, match="again 3"):
            trying()

    def test_a_callable_delay_sees_the_exception_and_the_attempt(self) -> None:
        delays = {("first", 1): 0.1, ("second", 2): 0.2}  # asked for any other, it raises, and nothing is retried

        @task(retries=2, retry_delay_seconds=lambda error, number: delays[str(error), number])
        def computed():
            number = get_run_context().task_run.run_count
            if number < 3:
                raise ValueError({1: "first", 2: "second"}[number])

        @flow
        def trying():
            future = computed()
            future.wait()
            one, two, three = future.task_run.status.attempts
            return [(b.recorded_at - a.finished_at).total_seconds() for a, b in ((one, two), (two, three))]

        waited = trying()
        assert waited[0] >= 0.1
        assert waited[1] >= 0.2

    def test_every_attempt_gets_fresh_arguments(self) -> None:
        @task(retries=1)
        def spoil(items):
            items.append("spoiled")
            if get_run_context().task_run.run_count == 1:
                raise ValueError("first")
            return items

        @flow
        def trying():
            return spoil(["fresh"])

        assert trying() == ["fresh", "spoiled"]

    def test_a_returned_failed_state_is_retried_exactly_like_an_exception(self) -> None:
        @task(retries=2)
        def returning():
            return Failed("not yet") if get_run_context().task_run.run_count < 3 else "done"

        @flow
        def trying():
            return returning()

        assert trying() == "done"


@pytest.mark.usefixtures("backend")
class TestCrashes:
    @pytest.mark.straight
    def test_an_unpicklable_result_is_crashed_and_not_retried(self) -> None:
        @task(retries=3)
        def generating():
            return threading.Lock()

        @flow
        def crashing():
            future = generating()
            state = future.wait()
            assert state.is_crashed()
            assert state.is_failed()
            with pytest.raises(TaskCrashed, match="cannot be pickled"):
                future.result()
            return future.task_run.status.attempts_total

        assert crashing() == 1

    @pytest.mark.straight
    @pytest.mark.parametrize("end", ["sys.exit", "sys.exit(0)", "a message", "an interrupt", "a click of its own"])
    def test_a_task_that_ends_its_process_is_crashed_and_the_flow_goes_on(self, end: str) -> None:
        @task(retries=3)
        def leave(end):
            import sys

            if end == "an interrupt":
                raise KeyboardInterrupt
            if end == "a click of its own":

                class Exit(SystemExit):
                    pass

                raise Exit(0)
            sys.exit({"sys.exit": 3, "sys.exit(0)": 0}.get(end, "enough"))

        @task
        def other():
            return 5

        @flow
        def leaving():
            future = leave(end)
            return future.wait().name, future.task_run.status.attempts_total, other().result()

        assert leaving() == ("Crashed", 1, 5)

    @pytest.mark.parametrize("how", ["reads it", "returns it", "returns nothing", "reads its state", "awaits it"])
    def test_a_flow_that_needs_a_task_that_called_sys_exit_fails_with_task_crashed(self, how: str) -> None:
        @task
        def leave():
            raise SystemExit(0)

        @task
        async def leave_async():
            raise KeyboardInterrupt

        @flow
        def leaving():
            future = leave()
            if how == "reads its state":
                return future.wait().result
            return None if how == "returns nothing" else future.result() if how == "reads it" else future

        @flow
        async def awaiting():
            return await (await leave_async()).result()

        with pytest.raises(TaskCrashed, match="aborted by") as caught:
            asyncio.run(awaiting()) if how == "awaits it" else leaving()
        assert isinstance(caught.value.__cause__, KeyboardInterrupt if how == "awaits it" else SystemExit)

    def test_a_base_exception_of_the_users_is_crashed_and_does_not_crash_the_flow(self) -> None:
        @task(retries=3)
        def odd():
            class Odd(BaseException):
                pass

            raise Odd("odd")

        @flow
        def crashing():
            state = odd().wait()
            return [state.name, "unexpected exception" in state.message]

        assert crashing() == ["Crashed", True]

    @pytest.mark.straight
    @pytest.mark.parametrize("backend", REMOTE, indirect=True)
    def test_a_dead_interpreter_is_crashed(self) -> None:
        @task
        def die():
            os.kill(os.getpid(), 9)

        @flow
        def crashing():
            return die().wait().name

        assert crashing() == "Crashed"


@pytest.mark.usefixtures("backend")
class TestTimeouts:
    @pytest.mark.straight
    def test_an_attempt_over_its_timeout_is_timed_out(self) -> None:
        @task(timeout_seconds=0.3)
        def slow():
            time.sleep(20)

        @flow
        def waiting():
            future = slow()
            state = future.wait()
            assert state.is_failed()
            with pytest.raises(TaskTimedOut):
                future.result()
            with pytest.raises(TimeoutError):
                future.result()
            return state.name

        assert waiting() == "TimedOut"

    def test_a_timeout_uses_retries(self) -> None:
        @task(timeout_seconds=3, retries=1)  # enough for the second attempt, on whatever machine
        def slow_once():
            if get_run_context().task_run.run_count == 1:
                time.sleep(60)
            return "second"

        @flow
        def waiting():
            return slow_once()

        assert waiting() == "second"

    def test_a_deadline_holds_for_all_attempts_together(self) -> None:
        @task(deadline_seconds=1.0, retries=50)  # no delay: a retry due after the deadline is another end, see below
        def never_done():
            if get_run_context().task_run.run_count > 1:
                time.sleep(20)
            raise ValueError("again")

        @flow
        def waiting():
            state = never_done().wait()
            assert state.is_failed()
            return state.name

        assert waiting() == "TimedOut"

    def test_no_retry_is_planned_that_would_be_due_after_the_deadline(self) -> None:
        @task(deadline_seconds=20, retries=3, retry_delay_seconds=60)
        def failing():
            raise ValueError("boom")

        @flow
        def waiting():
            future = failing()
            with pytest.raises(ValueError, match="boom"):
                future.result()
            return future.wait().name

        assert waiting() == "Failed"

    def test_waiting_has_a_timeout_of_its_own(self) -> None:
        @task
        def slow():
            time.sleep(1)
            return "done"

        @flow
        def impatient():
            future = slow()
            assert future.wait(timeout=0.01) is None
            with pytest.raises(TimeoutError, match="not finished after"):
                future.result(timeout=0.01)
            return future.result()

        assert impatient() == "done"


@pytest.mark.usefixtures("backend")
class TestCancel:
    def test_a_cancelled_run_ends_as_cancelled_and_is_not_retried(self) -> None:
        @task(retries=3)
        def slow():
            time.sleep(20)

        @flow
        def cancelling():
            future = slow()
            future.cancel()
            with pytest.raises(TaskCancelled):
                future.result()
            return future.wait().name

        assert cancelling() == "Cancelled"

    def test_cancelling_what_is_finished_changes_nothing(self) -> None:
        @task
        def one():
            return 1

        @flow
        def cancelling():
            future = one()
            future.wait()
            future.cancel()
            return future

        assert cancelling() == 1


@pytest.mark.usefixtures("backend")
class TestUpstreams:
    @pytest.mark.straight
    def test_a_failed_upstream_makes_a_chain_not_ready_and_nothing_of_it_runs(self) -> None:
        @task
        def fail():
            raise ValueError("the root")

        @task(retries=3)
        def after(x):
            return x

        @flow
        def chaining():
            a = fail()
            b = after([a])
            c = after(b)
            states = [f.wait() for f in (b, c)]
            assert [state.name for state in states] == ["NotReady", "NotReady"]
            assert all(state.is_pending() for state in states)
            assert states[0].message.startswith(f"Upstream task run '{a.run_id}' did not reach a 'COMPLETED' state")
            with pytest.raises(UpstreamNotReady) as caught:
                c.result()
            assert isinstance(caught.value.__cause__, UpstreamNotReady)
            assert isinstance(caught.value.__cause__.__cause__, ValueError)
            return [f.task_run.status.attempts_total for f in (b, c)]

        assert chaining() == [0, 0]

    def test_a_failed_run_in_wait_for_makes_not_ready_too(self) -> None:
        @task
        def fail():
            raise ValueError("no")

        @task
        def after():
            return 1

        @flow
        def ordering():
            return after(wait_for=[fail()]).wait().name

        assert ordering() == "NotReady"

    def test_a_long_chain_is_followed_to_its_end(self, backend: str) -> None:
        length = 300 if backend == "local" else 5

        @task
        def more(x):
            return x + 1

        @flow
        def chain():
            x = more(0)
            for _ in range(length - 1):
                x = more(x)
            return x

        assert chain() == length
