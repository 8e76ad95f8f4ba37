"""Task semantics §2: calling a task, and what surrounds a call."""

import dataclasses
import threading


@dataclasses.dataclass
class Point:
    x: int


def arguments_and_defaults_arrive(p, t):
    @p.task
    def show(a, b=2, *rest, c=3, **more):
        return [a, b, rest, c, more]

    @p.flow
    def f():
        t.tell("defaults", show(1).result())
        t.tell("all", show(1, 5, 6, 7, c=8, d=9).result())
        t.tell("keywords", show(b=1, a=2).result())

    t.run(f)


def a_wrong_call_is_a_type_error_at_the_call(p, t):
    @p.task
    def add(x, y):
        return x + y

    @p.flow
    def f():
        t.attempt("missing", lambda: add(1))
        t.attempt("unexpected", lambda: add(1, 2, z=3))
        t.attempt("too many", lambda: add(1, 2, 3))
        return "no run was made"

    t.run(f)


def a_function_with_keywords_does_not_see_wait_for(p, t):
    @p.task
    def one():
        return 1

    @p.task
    def show(**more):
        return more

    @p.flow
    def f():
        return show(wait_for=[one()], x=1).result()

    t.run(f)


def outside_of_a_flow_a_call_is_refused(p, t):
    t.attempt("call", lambda: p.task(lambda: 1, name="lonely")())
    try:
        p.task(lambda: 1, name="lonely")()
    except RuntimeError:
        t.tell("a RuntimeError", "yes")
    t.attempt("a wrong call", lambda: p.task(lambda: 1, name="lonely")(1))


def a_task_inside_a_task_fails_the_outer_one(p, t):
    @p.task
    def inner():
        return 1

    @p.task
    def outer():
        return inner()

    @p.flow
    def f():
        outer()

    t.run(f)


def an_error_about_a_call_in_a_task_is_a_runtime_error(p, t):
    inner = p.task(lambda: 1, name="inner")
    outer = p.task(lambda: inner(), name="outer")

    @p.flow
    def f():
        return isinstance(outer().result(raise_on_failure=False), RuntimeError)

    t.tell("data", p.data(p.final_state(f, (), {})))
    p.runs(t)


def a_flow_inside_a_task_fails_the_task(p, t):
    @p.flow
    def inner():
        return 1

    @p.task
    def outer():
        return inner()

    @p.flow
    def f():
        outer()

    t.run(f)


def runs_are_named_by_task_key_and_number(p, t):
    @p.task(name="My Task")
    def mine(x):
        return x

    @p.flow
    def f():
        for x in range(3):
            mine(x).wait()

    t.run(f)


def the_number_of_a_call_in_the_next_flow_run(p, t):
    @p.task
    def mine():
        return 1

    @p.flow
    def f():
        mine().wait()

    t.run(f)
    t.run(f)


def two_objects_of_one_function_in_one_flow(p, t):
    @p.task
    def mine(x):
        return x

    @p.flow
    def f():
        first = mine(1)
        second = mine.with_options(retries=1)(2)
        t.tell("a run for each", first.run_id != second.run_id)

    p.final_state(f, (), {})
    p.runs(t)  # not told: in the beta two calls race for one run


def tags_of_task_and_contexts_add_up(p, t):
    @p.task(tags={"own"})
    def mine():
        return 1

    @p.flow
    def f():
        mine().wait()
        with p.tags("outer"):
            mine().wait()
            with p.tags("inner", "own"):
                mine().wait()
        mine().wait()

    with p.tags("around"):
        t.run(f)


def a_task_sees_its_run_in_the_context(p, t):
    @p.task(tags={"own"})
    def mine():
        context = p.get_run_context()
        return [context.task_run.name, sorted(context.task_run.tags), context.task_run.dynamic_key, context.task.name]

    @p.flow
    def f():
        t.tell("in the flow", [p.in_flow_context(), p.in_task_context()])
        return mine().result()

    t.tell("outside", [p.in_flow_context(), p.in_task_context()])
    t.run(f)


def outside_of_any_run_there_is_no_context(p, t):
    try:
        p.get_run_context()
    except RuntimeError as error:
        t.tell("a RuntimeError", isinstance(error, RuntimeError))


def a_sequential_flow_finishes_each_call_before_the_next(p, t):
    order = []

    @p.task
    def mine(x):
        order.append(f"task {x}")

    @p.flow(task_runner=p.SequentialTaskRunner())
    def f():
        for x in range(3):
            mine(x)
            order.append(f"flow {x}")

    t.run(f)
    t.tell("order", order)


def a_flow_that_raises_waits_for_its_tasks(p, t):
    done = []

    @p.task
    def slow():
        import time

        time.sleep(0.3)
        done.append("slow")

    @p.flow
    def f():
        slow()
        raise ValueError("the flow's own")

    t.run(f)
    t.tell("done at the end", done)


def a_task_does_not_see_changes_made_after_the_call(p, t):
    @p.task
    def show(items):
        return len(items)

    @p.task
    def append(items):
        items.append(1)
        return items

    @p.flow
    def f():
        mine = [0]
        t.tell("in the task", append(mine).result())
        t.tell("in the flow", mine)
        return show(mine).result()

    t.run(f)


def an_argument_that_cannot_be_pickled(p, t):
    show = p.task(lambda lock: type(lock).__name__, name="show")

    @p.flow
    def f():
        t.attempt("a lock", lambda: show(threading.Lock()).result())
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def an_argument_that_is_changed_after_the_call(p, t):
    class Bag:
        items = 1

    go, bag = threading.Event(), Bag()

    @p.task
    def late(given):
        go.wait(5)
        return [given.items, given is bag]

    @p.flow
    def f():
        future = late(bag)
        bag.items = 2
        go.set()
        t.tell("what the task sees, and whether it is the same object", future.result())
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def a_class_of_the_script_after_its_objects_travelled(p, t):
    same = p.task(lambda item: item, name="same")

    @p.flow
    def f():
        t.tell("the object", same(Point(1)).result() == Point(1))
        return "told"

    p.final_state(f, (), {})
    p.runs(t)
    t.tell("the mark of a field without default", dataclasses.fields(Point)[0].default is dataclasses.MISSING)

    @dataclasses.dataclass
    class Sub(Point):
        z: int = 3

    t.attempt("a subclass of it", lambda: Sub(1))
    t.tell("needs what it needs", _refuses(Sub))


def _refuses(made):
    try:
        made()
    except TypeError:
        return True
    return False
