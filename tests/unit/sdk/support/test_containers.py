"""Something replaced wherever it stands, in containers that hold themselves and each other."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import attrs
import pydantic
import pytest

from podtask.support.containers import leaves, listed, replaced


class Old:
    pass


def new_for_old(value: Any) -> Any:
    return replaced(value, lambda item: isinstance(item, Old), lambda _: "new")


def test_everything_is_replaced_keys_too() -> None:
    old = Old()
    value = [old, (old, 1), {"a": old}, {old: 2}, OrderedDict(b=old), {old}]
    assert new_for_old(value) == ["new", ("new", 1), {"a": "new"}, {"new": 2}, OrderedDict(b="new"), {"new"}]


def test_what_holds_nothing_of_it_is_the_same_object() -> None:
    value = [[1], {"a": [2.5, None]}, object()]
    assert new_for_old(value) is value


def test_a_list_in_itself_stays_one() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert new_for_old(value) is value
    value.append(Old())
    made = new_for_old(value)
    assert made is not value
    assert made[1] is made
    assert made[2] == "new"


def test_what_was_one_list_is_one_afterwards() -> None:
    shared = [Old()]
    made = new_for_old({"a": shared, "b": (shared,)})
    assert made["a"] is made["b"][0]


def test_a_tuple_in_its_own_list_ends() -> None:
    inner: list[Any] = [Old()]
    value = (inner,)
    inner.append(value)
    assert new_for_old(value)[0][0] == "new"


def test_everything_is_asked_for_in_its_order() -> None:
    asked: list[object] = []
    replaced([object, {"a": len, "b": (max,)}], lambda item: bool(asked.append(item)), str)
    assert asked == [object, len, max]


@dataclass(frozen=True)
class Node:
    value: object
    others: list[Any] = field(default_factory=list)


def test_objects_that_know_each_other_know_the_copies() -> None:
    parent, plain = Node(1), Node(2)
    child = Node(Old(), [parent, plain])
    parent.others.append(child)
    made = new_for_old(parent)
    assert made.others[0].value == "new"
    assert made.others[0].others[0] is made
    assert made.others[0].others[1] is plain
    assert parent.others == [child]


def test_an_object_that_holds_nothing_old_stays_that_object() -> None:
    node = Node(1)
    node.others.append(node)
    assert new_for_old([node])[0] is node


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    value: Any = None


@attrs.frozen
class Attrs:
    value: Any


@dataclass(frozen=True, slots=True)
class Slotted:
    value: Any


class Typed(NamedTuple):
    value: Any
    other: int = 1


Plain = namedtuple("Plain", "value")  # noqa: PYI024 - the plain kind is the subject

HOLDERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda value: [value],
    "tuple": lambda value: (1, value),
    "set": lambda value: {value},
    "frozenset": lambda value: frozenset([value]),
    "deque": lambda value: deque([value], maxlen=3),
    "dict": lambda value: {"a": value},
    "dict key": lambda value: {value: 1},
    "ordered dict": lambda value: OrderedDict(a=value),
    "default dict": lambda value: defaultdict(list, a=value),
    "namedtuple": Plain,
    "typing's namedtuple": Typed,
    "dataclass": Node,
    "dataclass with slots": Slotted,
    "attrs": Attrs,
    "model": lambda value: Model(value=value),
    "extra field of a model": lambda value: Model(more=value),  # type: ignore[call-arg] # pyright: ignore
    "default of a model": lambda value: Model.model_construct(value=value),
}


@pytest.mark.parametrize("outer", HOLDERS)
@pytest.mark.parametrize("inner", HOLDERS)
def test_whatever_holds_it_is_made_anew_as_what_it_was(outer: str, inner: str) -> None:
    def hold(value: Any) -> Any:
        held = HOLDERS[inner](value)
        return [HOLDERS["list"](held)] if not _hashable(held) and outer in HASHED else HOLDERS[outer](held)

    given = hold(Old())
    made = new_for_old(given)
    assert made == hold("new")
    assert type(made) is type(given)
    assert [type(item) for item in leaves(given)] == [Old]
    unchanged = hold("new")
    assert new_for_old(unchanged) is unchanged


HASHED = {"set", "frozenset", "dict key"}


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def test_what_a_container_is_like_stays() -> None:
    made = new_for_old(defaultdict(list, a=Old()))
    assert made.default_factory is list
    assert new_for_old(deque([Old(), 1], maxlen=2)).maxlen == 2


def test_no_property_and_no_constructor_is_asked() -> None:
    @dataclass
    class Careful:
        value: Any
        computed: Any = field(init=False, default=None)

        def __post_init__(self) -> None:
            if not isinstance(self.value, Old):
                raise TypeError

    Careful.computed = property(lambda _: 1 / 0, lambda *_: None)  # type: ignore[assignment]
    assert new_for_old(Careful(Old())).value == "new"


def test_a_class_a_mock_and_a_string_are_not_looked_into() -> None:
    values = [Node, Model, mock.MagicMock(), "text"]
    assert new_for_old(values) is values


def test_the_same_thing_in_two_places_is_replaced_by_one() -> None:
    old = Old()
    made = replaced([old, {"a": old}], lambda item: item is old, lambda _: [1])
    assert made == [[1], {"a": [1]}]
    assert made[0] is made[1]["a"]


def test_iterators_become_lists_wherever_they_stand_and_files_do_not(tmp_path: Path) -> None:
    made = listed({"a": iter([1, iter([2])]), "b": Node(n for n in (3,)), "c": [map(str, [4])]})
    assert made == {"a": [1, [2]], "b": Node([3]), "c": [["4"]]}
    (tmp_path / "x").write_text("line")
    with (tmp_path / "x").open() as file:
        assert listed([file])[0] is file
