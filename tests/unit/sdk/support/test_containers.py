"""Something replaced wherever it stands, in containers that hold themselves and each other."""

from __future__ import annotations

from collections import OrderedDict
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
