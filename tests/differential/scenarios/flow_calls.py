"""Task semantics §6, §9: what a flow may be called, what it accepts, and what its body may do."""

import logging
from typing import Dict  # noqa: UP035 - as scripts of that time say it

from tests.differential.scenarios.run_context import written


def a_default_of_none(p, t):
    @p.flow
    def f(x: int = None, *, y: str = None):  # noqa: RUF013 - that is the subject
        return [x, y]

    t.run(f)
    t.run(f, None, y=None)
    t.run(f, "5", y="text")


def a_value_of_another_type(p, t):
    @p.flow
    def text(x: str):
        return x

    @p.flow
    def whole(x: int):
        return x

    @p.flow
    def pairs(x: Dict[str, int]):  # noqa: UP006 - as scripts of that time say it
        return x

    t.run(text, 5)
    t.run(whole, 1.5)
    t.run(pairs, {1: 1})


def the_version_of_a_flow(p, t):
    t.tell("there is one", bool(p.flow(lambda: None, name="f").version))
    t.tell("given", p.flow(lambda: None, name="f", version="7").version)


def signs_in_the_name_of_a_flow(p, t):
    for sign in "/%&<>":
        t.attempt(sign, lambda sign=sign: p.flow(lambda: None, name=f"a{sign}b").name)


def a_timeout_of_zero(p, t):
    given = p.flow(lambda: None, name="f", timeout_seconds=3)
    t.tell("with_options", given.with_options(timeout_seconds=0).timeout_seconds)
    t.tell("with_options, and nothing about it", given.with_options(name="g").timeout_seconds == 3)
    t.attempt("at the definition", lambda: p.flow(lambda: None, name="f", timeout_seconds=0).timeout_seconds)


def a_generator_function_as_a_flow(p, t):
    @p.flow
    def f():
        yield 1
        yield 2

    t.run(f)


def a_returned_generator(p, t):
    t.run(p.flow(lambda: (n * n for n in range(3)), name="generator"))
    t.run(p.flow(lambda: {"a": iter([1])}, name="inside"))


def a_returned_generator_that_calls_tasks(p, t):
    one = p.task(lambda: 1, name="one")
    t.run(p.flow(lambda: (one() for _ in range(2)), name="f"))


def a_returned_generator_that_raises(p, t):
    def f():
        yield 1
        raise ValueError("halfway")

    t.run(p.flow(f))


def what_is_logged_of_a_flow_that_fails(p, t):
    def f():
        raise ValueError("the flow's own")

    with written(p, "flow_runs") as records:
        p.final_state(p.flow(f), (), {})
    t.tell("its exception", [str(record.exc_info[1]) for record in records if record.exc_info])
    t.tell("the words", [r.getMessage() for r in records if r.levelno == logging.ERROR and r.exc_info])
    t.tell("its end", [r.getMessage() for r in records if r.levelno == logging.ERROR and not r.exc_info])


def a_flow_that_raises_what_means_something_else(p, t):
    def late():
        raise TimeoutError("not the flow's own time")

    def stop():
        raise StopIteration("enough")

    t.run(p.flow(late))
    t.run(p.flow(stop))


def a_flow_that_calls_itself(p, t):
    @p.flow
    def f(n):
        return n if n == 0 else p.result(p.final_state(f, (n - 1,), {}))

    t.run(f, 2)


def a_subflow_called_with_states(p, t):
    one = p.task(lambda: 1, name="one")

    def fails():
        raise ValueError("no")

    fails = p.task(fails)

    @p.flow(validate_parameters=False)
    def child(x):
        return "a state" if p.is_state(x) else repr(x)

    @p.flow
    def f():
        t.tell("completed", p.result(p.final_state(child, (one().wait(),), {})))
        t.tell("failed", p.result(p.final_state(child, (fails().wait(),), {})))
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def a_task_called_with_the_state_of_a_subflow(p, t):
    one, show = p.task(lambda: 1, name="one"), p.task(lambda x: x, name="show")
    value, future = p.flow(lambda: 5, name="value"), p.flow(lambda: one(), name="future")

    @p.flow
    def f():
        t.tell("a value", show(p.final_state(value, (), {})).result())
        found = show(p.final_state(future, (), {})).result()
        t.tell("a future", "a state" if p.is_state(found) else found)
        return "told"

    t.run(f)
