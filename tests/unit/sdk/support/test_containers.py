"""Something replaced wherever it stands, in containers that hold themselves and each other."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from podtask.support.containers import replaced


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


def in_objects(value: Any) -> Any:
    return replaced(value, lambda item: isinstance(item, Old), lambda _: "new", objects=True)


def test_objects_that_know_each_other_know_the_copies() -> None:
    parent, plain = Node(1), Node(2)
    child = Node(Old(), [parent, plain])
    parent.others.append(child)
    made = in_objects(parent)
    assert made.others[0].value == "new"
    assert made.others[0].others[0] is made
    assert made.others[0].others[1] is plain
    assert parent.others == [child]


def test_an_object_that_holds_nothing_old_stays_that_object() -> None:
    node = Node(1)
    node.others.append(node)
    assert in_objects([node])[0] is node
    assert new_for_old([Node(Old()), Old()])[0].value != "new"
