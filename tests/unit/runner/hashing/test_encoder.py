"""Which values are equal for the canonical encoder, and which are not."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import functools
import math
import pathlib
import threading
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.runner.hashing.sample import Access, Colour, Pair, Plain, Point, Words, cyclic
from tests.unit.runner.hashing.values import KEYS, VALUES, hashes, neighbours, typed

from podtask_runner.hashing import tokens
from podtask_runner.hashing.content_hash import content_hash
from podtask_runner.hashing.tokens import Unhashable, register_hasher

UTC = dt.timezone.utc
PLUS1 = dt.timezone(dt.timedelta(hours=1))


def built_at_run_time(word: str) -> str:
    return "".join(list(word))


def shuffled(mapping: dict[Any, Any]) -> dict[Any, Any]:
    return dict(reversed(list(mapping.items())))


def _loop(to: int) -> list[Any]:
    outer: list[Any] = []
    inner: list[Any] = []
    outer.append(inner)
    inner.append((outer, inner)[to])
    return outer


shared = [1, 2]

EQUAL: dict[str, tuple[Any, Any]] = {
    "dicts in another order": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "dicts with mixed keys in another order": ({1: 1, "1": 2, None: 3}, {None: 3, "1": 2, 1: 1}),
    "sets in another order": ({"a", "b", "c"}, {"c", "b", "a"}),
    "the same list twice, and two equal lists": ([shared, shared], [[1, 2], [1, 2]]),
    "strings that are not the same object": ("abc", built_at_run_time("abc")),
    "all NaNs": (math.nan, -math.nan),
    "many NaNs": ([math.nan] * 64, [-math.nan] * 64),
    "copies of an object": (Plain(a=[1]), copy.deepcopy(Plain(a=[1]))),
    "attributes set in another order": (Plain(a=1, b=2), Plain(b=2, a=1)),
    "cycles of the same shape": (cyclic(), cyclic()),
    "paths that are spelled alike": (pathlib.Path("a//b"), pathlib.PurePosixPath("a/b")),
    "defaultdicts in another order": (collections.defaultdict(int, a=1, b=2), collections.defaultdict(int, b=2, a=1)),
    "read-only views of dicts": (MappingProxyType({"a": 1, "b": 2}), MappingProxyType({"b": 2, "a": 1})),
    "equal partials": (functools.partial(Plain, a=1, b=2), functools.partial(Plain, b=2, a=1)),
}

DIFFERENT: dict[str, list[Any]] = {
    "numbers that are equal for Python": [1, 1.0, True, 1 + 0j, decimal.Decimal(1)],
    "zeros": [0, 0.0, -0.0, False, None, "", b"", (), [], {}, set(), frozenset()],
    "sequences": [(1, 2), [1, 2], {1, 2}, frozenset({1, 2}), range(1, 3), Pair(1, 2), collections.deque([1, 2])],
    "keys": [{1: 0}, {"1": 0}, {1.0: 0}, {True: 0}, {(1,): 0}, {None: 0}],
    "text and bytes": ["a", b"a", bytearray(b"a")],
    "where the border runs": [["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"], [["a"], "bc"], [["a", "bc"]]],
    "keys and values": [{"a": "b"}, {"b": "a"}, {"a": "b", "b": "a"}, ["a", "b"]],
    "long strings": ["x" * 1000, "x" * 1001, b"x" * 1000],
    "decimals that print differently": [decimal.Decimal("1.0"), decimal.Decimal("1.00")],
    "moments": [
        dt.datetime(2024, 1, 1),  # noqa: DTZ001 - without a zone on purpose
        dt.datetime(2024, 1, 1, tzinfo=UTC),
        dt.datetime(2024, 1, 1, 1, tzinfo=PLUS1),
        dt.datetime(2024, 1, 1, fold=1),  # noqa: DTZ001
        dt.date(2024, 1, 1),
    ],
    "paths": [pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), "a"],
    "enums": [Colour.RED, Colour.BLUE, Access.READ, Access.READ | Access.WRITE, 1],
    "objects": [Plain(a=1), Plain(a=2), Plain(b=1), Plain(), {"a": 1}],
    "dataclasses": [Point(1), Point(2), Point(1, {"a"})],
    "order where order counts": [
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
        {"a": 1, "b": 2},
    ],
    "subclasses": [{1}, Words({1})],
    "slices": [slice(1), slice(None, 1, 1), slice(1, None)],
    "cycles": [cyclic(), [1, {"self": [1]}], [1, {"self": cyclic()}]],
    "where a cycle returns to": [_loop(0), _loop(1)],
    "types": [int, float, Point, Plain],
    "functions": [len, max, sorted, Point.far],
    "many of one type": [
        [1] * 64,
        (1,) * 64,
        [1] * 65,
        [1.0] * 64,
        [True] * 64,
        ["1"] * 64,
        [b"1"] * 64,
        [1] * 63 + [2],
        [1] * 63 + [1.0],
        [1] * 63 + [2**64],
        [0.0] * 64,
        [0.0] * 63 + [-0.0],
        [0.0] * 63 + [math.nan],
        [""] * 64,
        ["", "ab"] * 32,
        ["a", "b"] * 32,
        ["\ud83d\ude00"] * 64,
        ["\U0001f600"] * 64,
    ],
    "maxlen of a deque": [collections.deque([1], 2), collections.deque([1], 3)],
}


@pytest.mark.parametrize("case", EQUAL)
def test_equal_are(case: str) -> None:
    assert len(hashes(*EQUAL[case])) == 1


@pytest.mark.parametrize("case", DIFFERENT)
def test_different_are(case: str) -> None:
    assert len(hashes(*DIFFERENT[case])) == len(DIFFERENT[case])


@given(VALUES, VALUES)
def test_hashes_are_equal_exactly_when_values_and_types_are(one: Any, other: Any) -> None:
    assert (content_hash(one) == content_hash(other)) == (typed(one) == typed(other))


@given(VALUES)
def test_copies_are_equal(value: Any) -> None:
    assert content_hash(copy.deepcopy(value)) == content_hash(value)


@given(st.lists(st.integers() | st.floats() | st.text(), min_size=60, max_size=68), st.randoms(use_true_random=False))
def test_long_lists_are_equal_exactly_when_values_and_types_are(items: list[Any], random: Any) -> None:
    of_one_type = [item for item in items if type(item) is type(items[0])] * 64
    for many in (items, of_one_type):
        other = copy.deepcopy(many)
        other[random.randrange(len(many))] = random.choice(items)
        assert (content_hash(many) == content_hash(other)) == (typed(many) == typed(other))


@given(VALUES)
def test_what_is_almost_the_value_has_another_hash(value: Any) -> None:
    own = content_hash(value)
    for near in neighbours(value):
        assert (content_hash(near) == own) == (typed(near) == typed(value)), (near, value)


@given(st.dictionaries(KEYS, VALUES), st.sets(KEYS), st.randoms(use_true_random=False))
def test_order_does_not_count_where_there_is_none(mapping: dict[Any, Any], items: set[Any], random: Any) -> None:
    keys, members = list(mapping), list(items)
    random.shuffle(keys)
    random.shuffle(members)
    assert content_hash({key: mapping[key] for key in keys}) == content_hash(mapping)
    assert content_hash(set(members)) == content_hash(items)


def test_sharing_does_not_cost_exponential_time() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value, value]
    assert content_hash(value) == content_hash(value)


LOCK = threading.Lock()


class Holder:
    def __init__(self) -> None:
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param({"df": [1, 2, 3, Holder()]}, "args['df'][3].lock", id="inside containers and objects"),
        pytest.param(Point(threading.Lock()), "args.x", id="in a field"),  # type: ignore[arg-type]
        pytest.param((x for x in ()), "args", id="at the top"),
        pytest.param(functools.partial(len, threading.Lock()), "args.args[0]", id="in a partial"),
        pytest.param(lambda lock=LOCK: lock, "args → (defaults)[0]", id="in a default"),
    ],
)
def test_what_cannot_be_hashed_is_named_with_the_path_to_it(value: object, path: str) -> None:
    with pytest.raises(Unhashable) as caught:
        content_hash(value, name="args")
    assert caught.value.path == path
    assert "cannot be hashed" in caught.value.why
    assert str(caught.value).startswith(path)


class Broken:
    def __podtask_hash__(self) -> object:
        raise ZeroDivisionError("no luck")


def test_a_hasher_that_fails_makes_the_value_unhashable_and_is_quoted() -> None:
    with pytest.raises(Unhashable, match=r"^args\[0\]: a .*:Broken cannot be hashed \(no luck\)"):
        content_hash([Broken()], name="args")


def test_nesting_beyond_the_stack_is_unhashable() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Unhashable, match="too deeply"):
        content_hash(value)


@pytest.mark.parametrize("value", [[1] * 101, {"a": [[1] * 60, [2] * 60]}, dict.fromkeys(range(101)), set(range(101))])
def test_a_walk_may_be_limited(value: object) -> None:
    content_hash(value)
    with pytest.raises(Unhashable, match="more elements"):
        content_hash(value, limit=100)


def test_a_class_may_say_what_stands_for_it() -> None:
    class Model:
        def __init__(self, version: int) -> None:
            self.version, self.lock = version, threading.Lock()

        def __podtask_hash__(self) -> object:
            return self.version

    assert content_hash(Model(1)) == content_hash(Model(1))
    assert content_hash(Model(1)) != content_hash(Model(2))
    assert content_hash(Model(1)) != content_hash(1)
    assert content_hash(Model) == content_hash(Model)


@pytest.fixture
def registry() -> Iterator[None]:
    before = dict(tokens.REGISTERED)
    yield
    tokens.REGISTERED.clear()
    tokens.REGISTERED.update(before)


@pytest.mark.usefixtures("registry")
def test_a_hasher_may_be_registered_for_a_class_of_others() -> None:
    with pytest.raises(Unhashable):
        content_hash(Holder())
    register_hasher(Holder, lambda _: "always the same")
    assert content_hash(Holder()) == content_hash(Holder())


def test_a_method_that_changed_makes_another_value() -> None:
    def make(answer: int) -> Any:
        class Thing:
            def ask(self) -> int:
                return answer

        return Thing()

    assert content_hash(make(1)) != content_hash(make(2))
    assert content_hash(make(1)) == content_hash(make(1))


class TestClassesOfLibraries:
    def test_attrs(self) -> None:
        import attrs

        @attrs.define
        class Item:
            names: Any

        assert content_hash(Item({"a", "b"})) == content_hash(Item({"b", "a"}))
        assert content_hash(Item(1)) != content_hash(Item(2))

    def test_pydantic(self) -> None:
        import pydantic

        class Item(pydantic.BaseModel):  # type: ignore[name-defined, misc]
            names: Any
            _cache: int = pydantic.PrivateAttr(default=0)

        assert content_hash(Item(names={"a", "b"})) == content_hash(Item(names={"b", "a"}))
        assert content_hash(Item(names=1)) != content_hash(Item(names=2))


def test_what_cython_made_can_be_hashed() -> None:
    """Nothing tells whose the class of its functions is, and the module of their metaclass is no text."""
    import numpy as np

    one, again, two = (np.random.default_rng(seed) for seed in (1, 1, 2))
    assert content_hash(one) == content_hash(again) != content_hash(two)


def test_a_class_that_is_of_no_module_counts_by_its_name() -> None:
    """As the type of Cython's functions, whose `__module__` is a descriptor."""
    one, again, other = type("One", (), {}), type("One", (), {}), type("Other", (), {})
    for kind in (one, again, other):
        kind.__module__ = property(lambda _: "of its objects")  # type: ignore[assignment]
    assert content_hash(one) == content_hash(again) != content_hash(other)


@dataclasses.dataclass
class Batch(list[int]):
    unit: str = "m"


@dataclasses.dataclass(init=False, eq=False)
class Amount(float):
    unit: str = "m"


def test_a_dataclass_that_is_a_list_or_a_number_counts_with_what_it_holds() -> None:
    long, other = Batch("m"), Batch("m")
    long.extend([1, 2])
    other.extend([1, 3])
    assert len({content_hash(each) for each in (Batch("m"), Batch("km"), long, other)}) == 4
    assert len({content_hash(each) for each in (Amount(1), Amount(2), 1.0)}) == 3
    assert content_hash(long) == content_hash(copy.deepcopy(long))


@dataclasses.dataclass(frozen=True)
class Node:
    children: tuple[Any, ...] = ()


@given(st.recursive(st.just(Node()), lambda inner: st.lists(inner, max_size=3).map(lambda found: Node(tuple(found)))))
def test_trees_of_dataclasses(tree: Node) -> None:
    assert content_hash(tree) == content_hash(copy.deepcopy(tree))
    assert content_hash(Node((tree,))) != content_hash(tree)
