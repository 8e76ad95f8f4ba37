"""Task semantics §6: what a flow returned, and the state it ends in."""

import time


def nothing_returned_and_no_tasks(p, t):
    t.run(p.flow(lambda: None, name="empty"))


def nothing_returned_and_all_tasks_completed(p, t):
    one = _one(p)

    @p.flow
    def f():
        one()
        one()

    t.run(f)


def nothing_returned_and_one_task_failed(p, t):
    one, fails = _one(p), _fails(p)

    @p.flow
    def f():
        one()
        fails()

    t.run(f)


def nothing_returned_and_a_task_not_ready(p, t):
    fails, show = _fails(p), p.task(lambda x: x, name="show")

    @p.flow
    def f():
        show(fails())

    t.run(f)


def a_result_that_is_none_counts_as_nothing_returned(p, t):
    nothing, fails = p.task(lambda: None, name="nothing"), _fails(p)

    @p.flow
    def f():
        fails()
        return nothing().result()

    t.run(f)


def one_future_returned(p, t):
    one = _one(p)
    t.run(p.flow(lambda: one(), name="completed"))


def one_failed_future_returned(p, t):
    fails = _fails(p)
    t.run(p.flow(lambda: fails(), name="failed"))


def one_future_that_is_not_ready_returned(p, t):
    fails, show = _fails(p), p.task(lambda x: x, name="show")
    t.run(p.flow(lambda: show(fails()), name="not ready"))


def a_list_of_futures_returned(p, t):
    one, fails = _one(p), _fails(p)
    t.run(p.flow(lambda: [one(), one()], name="completed"))
    t.run(p.flow(lambda: [one(), fails(), fails()], name="failed"))


def a_tuple_and_a_set_of_futures_returned(p, t):
    one, fails = _one(p), _fails(p)
    t.run(p.flow(lambda: (one(), fails()), name="tuple"))
    t.run(p.flow(lambda: {one()}, name="set"))


def states_returned(p, t):
    one, fails = _one(p), _fails(p)
    t.run(p.flow(lambda: one().wait(), name="completed"))
    t.run(p.flow(lambda: [one().wait(), fails().wait()], name="failed"))


def a_mixed_list_is_not_judged(p, t):
    fails = _fails(p)
    t.run(p.flow(lambda: [fails(), 1], name="mixed"))


def a_dict_is_not_judged(p, t):
    one, fails = _one(p), _fails(p)
    t.run(p.flow(lambda: {"good": one(), "bad": fails()}, name="dict"))


def a_value_completes_whatever_its_tasks_did(p, t):
    fails = _fails(p)

    def f():
        fails()
        return 5

    t.run(p.flow(f))


def an_empty_list_and_falsy_values_are_values(p, t):
    fails = _fails(p)
    for name, value in {"list": [], "zero": 0, "text": "", "false": False}.items():

        def f(value=value):
            fails()
            return value

        t.run(p.flow(f, name=name))


def a_state_made_by_hand_is_the_flows_own(p, t):
    fails = _fails(p)

    def completed():
        fails()
        return p.Completed(message="well enough")

    t.run(p.flow(completed))
    t.run(p.flow(lambda: p.Failed(message="my words"), name="failed"))
    t.run(p.flow(lambda: p.Cancelled(message="enough"), name="cancelled"))


def states_made_by_hand_in_a_list_are_counted(p, t):
    t.run(p.flow(lambda: [p.Completed(), p.Failed(message="second")], name="failed"))
    t.run(p.flow(lambda: [p.Completed(), p.Cancelled(message="second")], name="cancelled"))


def an_exception_fails_the_flow(p, t):
    def f():
        raise ValueError("the flow's own")

    t.run(p.flow(f))


def an_exception_of_a_task_raised_in_the_flow(p, t):
    fails = _fails(p)
    t.run(p.flow(lambda: fails().result(), name="f"))


def parameters_are_coerced(p, t):
    @p.flow
    def f(x: int, y: float = 1):
        return [x, y]

    t.run(f, "5")
    t.run(f, x=3, y="2.5")


def bad_parameters_fail_the_flow(p, t):
    @p.flow
    def f(x: int):
        return x

    t.run(f, "many")


def a_call_that_does_not_fit_the_flow_raises(p, t):
    @p.flow
    def f(x):
        return x

    t.run(f)


def validation_can_be_switched_off(p, t):
    @p.flow(validate_parameters=False)
    def f(x: int):
        return x

    t.run(f, "5")


def an_async_flow_follows_the_same_rule(p, t):
    @p.task
    async def one():
        return 1

    @p.flow
    async def plain():
        await one()
        return "value"

    @p.flow
    async def nothing():
        await one()

    t.run(plain)
    t.run(nothing)


def a_flow_over_its_time_is_timed_out(p, t):
    one = _one(p)

    @p.flow(timeout_seconds=0.5)
    def f():
        one().wait()
        time.sleep(1.5)
        return "too late"

    t.run(f)


def the_next_call_of_a_timed_out_flow_raises(p, t):
    one, seen = _one(p), []

    @p.flow(timeout_seconds=0.5)
    def f():
        time.sleep(1)
        try:
            one()
        except TimeoutError as error:
            seen.append(isinstance(error, TimeoutError))

    t.run(f)
    deadline = time.monotonic() + 5
    while not seen and time.monotonic() < deadline:
        time.sleep(0.05)
    t.tell("raised a TimeoutError", seen)


def a_flow_takes_name_and_description_from_its_function(p, t):
    @p.flow
    def my_flow():
        """What it does."""

    t.tell("name", my_flow.name)
    t.tell("description", my_flow.description)
    t.tell("options", my_flow.with_options(name="other", timeout_seconds=3).timeout_seconds == 3)
    t.tell("other name", my_flow.with_options(name="other").name)


def what_calling_a_flow_gives(p, t):
    fails = _fails(p)
    t.attempt("value", lambda: p.flow(lambda: 5, name="value")())
    t.attempt("failure", lambda: p.flow(lambda: fails(), name="failure")())
    p.runs(t)


def _one(p):
    return p.task(lambda: 1, name="one")


def _fails(p):
    def fails():
        raise ValueError("no")

    return p.task(fails)
