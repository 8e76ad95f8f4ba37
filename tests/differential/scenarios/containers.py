"""Task semantics §3, §6: futures and states in every kind of container, wherever one is passed or returned."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pydantic


@dataclass(repr=False)
class Box:
    inside: object

    def __repr__(self):
        return "Box"


class Model(pydantic.BaseModel):
    inside: object = None

    def __repr__(self):
        return "Model"


class Pair(namedtuple("Pair", "inside")):  # noqa: PYI024 - the plain kind is the subject
    def __repr__(self):
        return "Pair"


HOLDERS = {
    "list": lambda item: [item],
    "tuple": lambda item: (item,),
    "dict": lambda item: {"inside": item},
    "ordered dict": lambda item: OrderedDict(inside=item),
    "dataclass": Box,
    "model": lambda item: Model(inside=item),
    "lists in a dataclass": lambda item: Box([[item]]),
    "iterator": lambda item: iter([item]),
    "namedtuple": Pair,
}


def wait_for_a_failed_task_wherever_it_stands(p, t):
    one, fails = _one(p), _fails(p)

    @p.flow
    def f():
        for name, hold in HOLDERS.items():
            t.tell(name, one(wait_for=hold(fails())).wait().name)
            t.tell(f"{name} in a list", one(wait_for=[hold(fails())]).wait().name)
        t.tell("nothing around it", one(wait_for=fails()).wait().name)
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def wait_for_a_state_that_no_task_of_the_flow_has(p, t):
    one, show = _one(p), p.task(lambda x: 1, name="show")

    @p.flow
    def good():
        return 1

    @p.flow
    def bad():
        raise ValueError("sub")

    @p.flow
    def f():
        states = {
            "a failed subflow": p.final_state(bad, (), {}),
            "a completed subflow": p.final_state(good, (), {}),
            "failed by hand": p.Failed(message="my words"),
            "cancelled by hand": p.Cancelled(message="my words"),
            "completed by hand": p.Completed(),
        }
        for name, state in states.items():
            t.tell(name, one(wait_for=[state]).wait().name)
            t.tell(f"{name}, in a record", one(wait_for=[Box({"a": state})]).wait().name)
            t.tell(f"{name}, as an argument", show(Box([state])).wait().name)
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def values_in_wait_for(p, t):
    one = _one(p)

    @p.flow
    def f():
        t.attempt("a number", lambda: one(wait_for=[5]).wait().name)
        t.attempt("a text", lambda: one(wait_for=["text"]).wait().name)
        t.attempt("nothing", lambda: one(wait_for=[]).wait().name)
        t.attempt("a value beside a future", lambda: one(wait_for={"a": one(), "b": 5}).wait().name)
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def the_argument_of_a_task_in_every_container(p, t):
    one, fails, show = _one(p), _fails(p), p.task(_inside, name="show")

    @p.flow
    def f():
        for name, hold in HOLDERS.items():
            t.tell(f"future in {name}", show(hold(one())).result())
            t.tell(f"state in {name}", show(hold(one().wait())).result())
            t.tell(f"failed state in {name}", show(hold(fails().wait())).wait().name)
            t.tell(f"failed by hand in {name}", show(hold(p.Failed(message="x"))).wait().name)
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def the_argument_of_a_subflow_in_every_container(p, t):
    one, fails = _one(p), _fails(p)

    @p.flow(validate_parameters=False)
    def child(x):
        return repr(_inside(x))

    @p.flow
    def f():
        for name, hold in HOLDERS.items():
            t.tell(f"future in {name}", p.result(p.final_state(child, (hold(one()),), {})))
            t.tell(f"failed future in {name}", p.result(p.final_state(child, (hold(fails()),), {})))
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def what_a_flow_returns_in_every_container(p, t):
    one, fails = _one(p), _fails(p)
    for name, hold in HOLDERS.items():
        for kind, made in {"future": one, "failed future": fails}.items():
            state = p.final_state(p.flow(_returning(hold, made), name="f"), (), {})
            t.tell(f"{kind} in {name}", f"{state.name}, and inside {_kind(p, _inside(p.data(state)[0]))}")
    p.runs(t)


def an_iterator_inside_the_result_of_a_task(p, t):
    nested = p.task(lambda: [iter([1])], name="nested")

    @p.flow
    def f():
        t.tell("type", type(nested().result()[0]).__name__)
        return "told"

    p.final_state(f, (), {})
    p.runs(t)


def _returning(hold, made):
    return lambda: [hold(made()), 1]


def _kind(p, item):
    return "a state" if p.is_state(item) else "a future" if p.is_future(item) else "something else"


def _inside(x):
    while not isinstance(x, (int, str, BaseException)):
        if isinstance(x, (Box, Model, Pair)):
            x = x.inside
        elif isinstance(x, dict):
            x = x["inside"]
        elif isinstance(x, (list, tuple)):
            x = x[0] if x else "nothing"
        else:
            return x
    return x


def _one(p):
    return p.task(lambda: 1, name="one")


def _fails(p):
    def fails():
        raise ValueError("no")

    return p.task(fails)
