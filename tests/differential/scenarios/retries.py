"""Task semantics §4: what is retried, how often, when, and which states that goes through."""

import time


def a_retry_goes_on_until_success(p, t):
    mine = _failing(p, 2, retries=3)

    @p.flow
    def f():
        return mine()

    t.run(f)


def after_the_last_retry_the_run_is_failed(p, t):
    mine = _failing(p, 9, retries=2)

    @p.flow
    def f():
        return mine()

    t.run(f)


def without_retries_one_attempt_is_all(p, t):
    mine = _failing(p, 9)

    @p.flow
    def f():
        return mine()

    t.run(f)


def a_returned_failed_state_is_retried(p, t):
    calls = []

    @p.task(retries=2)
    def mine():
        calls.append(1)
        return p.Failed(message="not yet") if len(calls) < 3 else "at last"

    @p.flow
    def f():
        return mine()

    t.run(f)


def a_retry_waits_for_its_delay(p, t):
    starts = []

    @p.task(retries=1, retry_delay_seconds=1)
    def mine():
        starts.append(time.monotonic())
        if len(starts) < 2:
            raise ValueError("no")
        return "at last"

    @p.flow
    def f():
        return mine()

    t.run(f)
    t.tell("waited for a second", starts[1] - starts[0] > 0.9)


def a_delay_below_a_second(p, t):
    starts = []

    @p.task(retries=1, retry_delay_seconds=0.8)
    def mine():
        starts.append(time.monotonic())
        if len(starts) < 2:
            raise ValueError("no")
        return "at last"

    @p.flow
    def f():
        return mine()

    t.run(f)
    t.tell("waited", starts[1] - starts[0] > 0.7)


def a_retried_upstream_is_waited_for(p, t):
    mine, show = _failing(p, 1, retries=1), p.task(lambda x: x, name="show")

    @p.flow
    def f():
        return show(mine()).result()

    t.run(f)


def retries_of_two_tasks_do_not_mix(p, t):
    first, second = _failing(p, 1, retries=1, name="first"), _failing(p, 2, retries=1, name="second")

    @p.flow
    def f():
        first().wait()
        second().wait()
        return "told"

    t.run(f)


def a_task_sees_which_attempt_it_is(p, t):
    seen = []

    @p.task(retries=2)
    def mine():
        seen.append(p.get_run_context().task_run.run_count)
        raise ValueError("no")

    @p.flow
    def f():
        mine()
        return "told"

    t.run(f)
    t.tell("run counts", seen)


def _failing(p, times, **options):
    calls = []

    def mine():
        calls.append(1)
        if len(calls) <= times:
            raise ValueError(f"call {len(calls)}")
        return f"call {len(calls)}"

    return p.task(mine, **options)
