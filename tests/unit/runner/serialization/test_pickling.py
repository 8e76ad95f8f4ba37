"""Objects and exceptions through payloads."""

from __future__ import annotations

import functools
import pickle
import threading
from typing import Any

import pytest

from podtask_runner.errors import EnvironmentMismatch
from podtask_runner.pickled_names import RemoteError
from podtask_runner.serialization import header, pickling
from podtask_runner.serialization.registry import NotReadable


class Future:
    def __init__(self, name: str) -> None:
        self.name = name


def refer(obj: object) -> str | None:
    return obj.name if isinstance(obj, Future) else None


def test_functions_travel_by_value() -> None:
    factor = 3
    assert pickling.loads(pickling.dumps(lambda x: x * factor))(2) == 6


def test_a_cached_property_travels() -> None:
    class Circle:
        radius = 3

        @functools.cached_property
        def area(self) -> int:
            """About."""
            return self.radius * self.radius * 3

    there = pickling.loads(pickling.dumps(vars(Circle)["area"]))
    assert (there.attrname, there.__doc__) == ("area", "About.")
    assert there.__get__(Circle()) == 27


def test_references_are_resolved_wherever_they_stand() -> None:
    value = {"deep": [(Future("a"),)], "set": {Future("b")}}
    data = pickling.dumps(value, reference=refer)
    assert pickling.loads(data, resolve={"a": 1, "b": 2}.__getitem__) == {"deep": [(1,)], "set": {2}}


def test_references_without_a_resolver_are_an_error_that_names_them() -> None:
    with pytest.raises(pickle.UnpicklingError, match="'a'"):
        pickling.loads(pickling.dumps(Future("a"), reference=refer))


def test_the_header_is_checked_before_a_pickle_byte_is_read() -> None:
    bomb = pickle.dumps(Bomb())
    with pytest.raises(EnvironmentMismatch):
        pickling.loads(header.Header(1, "2.7", "3.1.2", "linux").line() + bomb)


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ("the pickle was opened",)


@pytest.mark.parametrize("value", [None, 1.5, {"a": [1]}, {1, 2}, (1, 2), b"x", {1: 2}, float("inf")], ids=repr)
def test_results_come_back_equal_and_of_the_same_type(value: object) -> None:
    data, serializer = pickling.serialize_result(value)
    back = pickling.deserialize(data, serializer)
    assert back == value
    assert type(back) is type(value)


def test_an_unknown_serializer_is_named() -> None:
    with pytest.raises(NotReadable, match=r"'arrow'.*register_serializer"):
        pickling.deserialize(b"", "arrow")


@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_any_buffer_is_read(buffer: Any) -> None:
    big = list(range(10_000)), b"x" * 1_000_000
    assert pickling.loads(buffer(pickling.dumps(big))) == big


class Picky(Exception):
    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} is not {right}")


class Locked(Exception):
    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def caught(raising: Any) -> BaseException:
    try:
        raising()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def fail_with(exc: BaseException, cause: BaseException | None = None) -> Any:
    def raising() -> None:
        raise exc from cause

    return raising


def restored(exc: BaseException) -> Any:
    return pickling.loads(pickling.dump_exception(exc))


def test_an_exception_brings_its_traceback_as_text() -> None:
    back = restored(caught(fail_with(KeyError("k"))))
    assert isinstance(back, KeyError)
    assert back.args == ("k",)
    assert "raise exc from cause" in back.__podtask_traceback__


def test_causes_and_notes_travel_too() -> None:
    exc = ValueError("outer")
    exc.__notes__ = ["look here"]  # type: ignore[attr-defined]
    back = restored(caught(fail_with(exc, caught(fail_with(KeyError("inner"))))))
    assert isinstance(back.__cause__, KeyError)
    assert back.__notes__ == ["look here"]
    assert back.__suppress_context__


def test_a_context_travels_too() -> None:
    def raising() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904

    assert isinstance(restored(caught(raising)).__context__, KeyError)


@pytest.mark.parametrize(
    ("exc", "text", "picklable"),
    [
        pytest.param(Picky(1, 2), "Picky: 1 is not 2", True, id="that cannot be rebuilt"),
        pytest.param(Locked(), "Locked: locked", False, id="that cannot be pickled"),
        pytest.param(
            ValueError(threading.Lock()), "ValueError: <unlocked", False, id="whose arguments cannot be pickled"
        ),
    ],
)
def test_a_plain_stand_in_keeps_what_people_need_of_an_exception(
    exc: BaseException, text: str, picklable: bool
) -> None:
    data, faithful = pickling.carry_exception(caught(fail_with(exc)))
    back = pickling.loads(data)
    assert isinstance(back, RemoteError)
    assert str(back).startswith(text)
    assert "raise exc from cause" in back.__podtask_traceback__
    assert faithful is picklable


def test_a_stand_in_below_leaves_the_exception_above_as_it_is() -> None:
    back = restored(caught(fail_with(ValueError("outer"), caught(fail_with(Locked())))))
    assert type(back) is ValueError
    assert isinstance(back.__cause__, RemoteError)


def test_an_exception_that_cannot_even_say_what_it_is() -> None:
    assert "RuntimeError" in pickling.message_of(Mute())
    assert type(restored(caught(fail_with(Mute())))).__name__ == "Mute"


def test_a_cycle_of_contexts_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert restored(one).__context__.args == ("two",)


def test_base_exceptions_travel_too() -> None:
    assert isinstance(restored(caught(fail_with(KeyboardInterrupt()))), KeyboardInterrupt)
