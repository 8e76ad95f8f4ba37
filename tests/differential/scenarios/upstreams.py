"""Task semantics §3: futures and states as arguments, wait_for, NotReady, quote."""

import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - the plain kind is the subject


@dataclass
class Box:
    inside: object


class Plain:
    def __init__(self, inside):
        self.inside = inside


def a_future_as_an_argument_is_its_result(p, t):
    one, add = _one(p), p.task(lambda x, y: x + y, name="add")

    @p.flow
    def f():
        return add(one(), y=add(one(), 1)).result()

    t.run(f)


def futures_in_containers_are_replaced(p, t):
    one, show = _one(p), p.task(lambda x: x, name="show")

    @p.flow
    def f():
        future = one()
        t.tell("list", show([future, [future]]).result())
        t.tell("tuple", show((future, 2)).result())
        t.tell("set", show({future, 2}).result())
        t.tell("dict", show({"a": future, "b": {"c": future}}).result())
        t.tell("key", show({future: "value"}).result())
        t.tell("ordered", list(show(OrderedDict(a=future)).result().items()))

    t.run(f)


def a_future_in_a_dataclass_is_replaced(p, t):
    one, show = _one(p), p.task(lambda x: x.inside, name="show")

    @p.flow
    def f():
        return show(Box([one()])).result()

    t.run(f)


def a_future_in_a_namedtuple(p, t):
    one, kind = _one(p), p.task(lambda x: "a future" if p.is_future(x.left) else f"{x.left!r}", name="kind")

    @p.flow
    def f():
        return kind(Pair(one(), 2)).result()

    t.run(f)


def a_future_in_an_object_of_ones_own(p, t):
    one, kind = _one(p), p.task(lambda x: "a future" if p.is_future(x.inside) else f"{x.inside!r}", name="kind")

    @p.flow
    def f():
        return kind(Plain(one())).result()

    t.run(f)


def a_state_as_an_argument_is_its_result(p, t):
    one, add = _one(p), p.task(lambda x, y: x + y, name="add")

    @p.flow
    def f():
        return add(one().wait(), 1).result()

    t.run(f)


def a_generator_as_an_argument(p, t):
    total = p.task(lambda x: list(x), name="total")

    @p.flow
    def f():
        return total(n * n for n in range(3)).result()

    t.run(f)


def a_range_and_plain_objects_pass_as_they_are(p, t):
    kind = p.task(lambda x: type(x).__name__, name="kind")

    @p.flow
    def f():
        return [kind(x).result() for x in (range(3), "text", b"bytes", 1.5, None, Plain(1))]

    t.run(f)


def wait_for_orders_without_data(p, t):
    order = []

    @p.task
    def first():
        import time

        time.sleep(0.2)
        order.append("first")

    @p.task
    def second():
        order.append("second")

    @p.flow
    def f():
        second(wait_for=[first()]).wait()

    t.run(f)
    t.tell("order", order)


def a_failed_upstream_makes_the_task_not_ready(p, t):
    fails, show = _fails(p), p.task(lambda x: x, name="show", retries=3)

    @p.flow
    def f():
        future = show([fails()])
        t.tell("state", future.wait().name)
        t.attempt("result", future.result)
        return "told"

    t.run(f)


def not_ready_goes_down_a_chain(p, t):
    fails, show = _fails(p), p.task(lambda x: x, name="show")

    @p.flow
    def f():
        show(show(fails()))
        return "told"

    t.run(f)


def a_failed_task_in_wait_for_makes_the_task_not_ready(p, t):
    fails, one = _fails(p), _one(p)

    @p.flow
    def f():
        one(wait_for=[fails()])
        return "told"

    t.run(f)


def a_crashed_upstream_makes_the_task_not_ready(p, t):
    @p.task
    def unpicklable():
        return threading.Lock()

    show = p.task(lambda x: "ran", name="show")

    @p.flow
    def f():
        show(unpicklable())
        return "told"

    t.run(f)


def a_failed_state_as_an_argument(p, t):
    fails, show = _fails(p), p.task(lambda x: "ran", name="show")

    @p.flow
    def f():
        show(fails().wait())
        return "told"

    t.run(f)


def a_quoted_value_arrives_bare(p, t):
    show = p.task(lambda x: x, name="show")

    @p.flow
    def f():
        return show(p.quote([1, 2])).result()

    t.run(f)


def a_quoted_future_is_not_resolved(p, t):
    one = _one(p)
    kind = p.task(lambda x: [isinstance(x, int), hasattr(x, "get_state")], name="kind")

    @p.flow
    def f():
        return kind(p.quote(one())).result()

    t.run(f)


def a_quoted_failed_state_is_allowed(p, t):
    fails, show = _fails(p), p.task(lambda x: x.name, name="show")

    @p.flow
    def f():
        return show(p.quote(fails().wait())).result()

    t.run(f)


def one_upstream_used_by_many(p, t):
    one, add = _one(p), p.task(lambda x, y: x + y, name="add")

    @p.flow
    def f():
        shared = one()
        return [add(shared, n).result() for n in range(3)]

    t.run(f)


def the_state_of_a_subflow_as_an_argument(p, t):
    show = p.task(lambda x: x, name="show")
    child = p.flow(lambda: 5, name="child")

    @p.flow
    def f():
        return show(p.final_state(child, (), {})).result()

    t.run(f)


def _one(p):
    return p.task(lambda: 1, name="one")


def _fails(p):
    def fails():
        raise ValueError("no")

    return p.task(fails)
