"""Task semantics §4: how runs end badly, and which of those ends are crashes."""

import contextlib
import threading


def a_run_that_succeeds_goes_from_pending_to_running_to_completed(p, t):
    mine = p.task(lambda: 42, name="mine")

    @p.flow
    def f():
        return mine().result()

    t.run(f)


def an_exception_is_a_failure_and_is_raised_by_result(p, t):
    fails = _raising(p, ValueError("no"))

    @p.flow
    def f():
        future = fails()
        t.attempt("result", future.result)
        t.attempt("without raising", lambda: future.result(raise_on_failure=False))
        return "told"

    t.run(f)


def an_exception_that_keeps_fewer_arguments_than_its_constructor_takes(p, t):
    class Mine(Exception):
        def __init__(self, a, b):
            super().__init__(a)

    def fails():
        raise Mine("left", "right")

    fails = p.task(fails)

    @p.flow
    def f():
        t.attempt("result", lambda: fails().result())
        return "told"

    p.final_state(f, (), {})
    with contextlib.suppress(TypeError):  # the beta cannot read what it stored
        p.runs(t)


def an_exception_of_ones_own_keeps_its_arguments(p, t):
    class Mine(Exception):
        def __init__(self, code):
            super().__init__(f"code {code}")
            self.code = code

        def __reduce__(self):
            return Mine, (self.code,)

    @p.task
    def fails():
        raise Mine(7)

    @p.flow
    def f():
        error = fails().result(raise_on_failure=False)
        t.tell("code", error.code)
        return "told"

    t.run(f)


def an_exception_with_a_cause(p, t):
    @p.task
    def fails():
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    @p.flow
    def f():
        return fails()

    t.run(f)


def a_base_exception_is_a_crash_without_retry(p, t):
    class Own(BaseException):
        pass

    calls = []

    @p.task(retries=2)
    def crashes():
        calls.append(1)
        raise Own("own")

    @p.flow
    def f():
        crashes()
        return "the flow goes on"

    t.run(f)
    t.tell("calls", len(calls))


def system_exit_crashes_the_task_and_the_flow(p, t):
    calls = []

    @p.task(retries=2)
    def leaves():
        calls.append(1)
        raise SystemExit(3)

    @p.flow
    def f():
        leaves()
        return "the flow goes on"

    t.run(f)
    t.tell("calls", len(calls))


def a_keyboard_interrupt_crashes_the_task_and_the_flow(p, t):
    @p.task(retries=2)
    def interrupted():
        raise KeyboardInterrupt

    @p.flow
    def f():
        interrupted()
        return "the flow goes on"

    t.run(f)


def an_unpicklable_result_is_a_crash_without_retry(p, t):
    calls = []

    @p.task(retries=2)
    def crashes():
        calls.append(1)
        return threading.Lock()

    @p.flow
    def f():
        crashes()
        return "the flow goes on"

    t.run(f)
    t.tell("calls", len(calls))


def an_unpicklable_exception(p, t):
    calls = []

    class Odd(Exception):
        def __reduce__(self):
            raise TypeError("not me")

    @p.task(retries=2)
    def crashes():
        calls.append(1)
        raise Odd("odd")

    @p.flow
    def f():
        crashes()
        return "the flow goes on"

    t.run(f)
    t.tell("calls", len(calls))


def an_exception_in_the_key_function_is_a_crash(p, t):
    def key(context, arguments):
        raise ValueError("no key")

    @p.task(cache_key_fn=key, retries=2)
    def mine():
        return 1

    @p.flow
    def f():
        mine()
        return "the flow goes on"

    t.run(f)


def a_returned_completed_state_is_the_tasks_own(p, t):
    @p.task
    def mine():
        return p.Completed(message="all of them", name="Done")

    @p.flow
    def f():
        return mine()

    t.run(f)


def a_returned_failed_state_is_a_failure(p, t):
    @p.task
    def mine():
        return p.Failed(message="my words")

    @p.flow
    def f():
        mine()
        return "told"

    t.run(f)


def a_returned_cancelled_state(p, t):
    @p.task
    def mine():
        return p.Cancelled(message="enough")

    @p.flow
    def f():
        mine()
        return "told"

    t.run(f)


def returned_states_are_counted(p, t):
    @p.task
    def half():
        return [p.Completed(), p.Failed(message="second")]

    @p.task
    def whole():
        return [p.Completed(), p.Completed()]

    @p.flow
    def f():
        half().wait()
        whole().wait()
        return "told"

    t.run(f)


def a_returned_cancelled_state_and_retries(p, t):
    calls = []

    @p.task(retries=2)
    def mine():
        calls.append(1)
        return p.Cancelled(message="enough")

    @p.flow
    def f():
        mine()
        return "told"

    t.run(f)
    t.tell("calls", len(calls))


def a_returned_iterator_is_a_list(p, t):
    @p.task
    def generator():
        return (n * n for n in range(3))

    @p.task
    def mapped():
        return map(str, range(3))

    @p.task
    def breaks():
        yield 1
        raise ValueError("halfway")

    @p.flow
    def f():
        t.attempt("generator", generator().result)
        t.attempt("map", mapped().result)
        t.attempt("generator function", breaks().result)
        return "told"

    t.run(f)


def a_task_that_returns_none_is_completed(p, t):
    mine = p.task(lambda: None, name="mine")

    @p.flow
    def f():
        t.attempt("result", mine().result)
        return "told"

    t.run(f)


def a_task_that_returns_an_exception_is_completed(p, t):
    mine = p.task(lambda: ValueError("as a value"), name="mine")

    @p.flow
    def f():
        t.attempt("result", mine().result)
        return "told"

    t.run(f)


def _raising(p, error):
    def fails():
        raise error

    return p.task(fails)
