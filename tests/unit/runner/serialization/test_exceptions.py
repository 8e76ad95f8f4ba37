"""Exceptions through payloads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from podtask_runner.pickled_names import RemoteError
from podtask_runner.serialization import exceptions, pickling


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
    return pickling.loads(exceptions.dump_exception(exc))


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
    ("exc", "text"),
    [
        pytest.param(Picky(1, 2), "Picky: 1 is not 2", id="that cannot be rebuilt"),
        pytest.param(Locked(), "Locked: locked", id="that cannot be pickled"),
        pytest.param(ValueError(threading.Lock()), "ValueError: <unlocked", id="whose arguments cannot be pickled"),
    ],
)
def test_a_plain_stand_in_keeps_what_people_need_of_an_exception(exc: BaseException, text: str) -> None:
    exc.__notes__ = ["look here"]  # type: ignore[attr-defined]
    back = restored(caught(fail_with(exc)))
    assert isinstance(back, RemoteError)
    assert str(back).startswith(text)
    assert "raise exc from cause" in back.__podtask_traceback__  # type: ignore[attr-defined]
    assert "look here" in back.__podtask_traceback__  # type: ignore[attr-defined]
    assert back.__notes__ == ["look here"]


@pytest.mark.parametrize("notes", [5, [Mute()], "text"], ids=["a number", "one that has no words", "a text"])
def test_notes_may_be_anything_at_all(notes: Any) -> None:
    exc = ValueError("x")
    exc.__notes__ = notes  # type: ignore[attr-defined]
    assert restored(caught(fail_with(exc))).args == ("x",)


def test_a_stand_in_below_leaves_the_exception_above_as_it_is() -> None:
    back = restored(caught(fail_with(ValueError("outer"), caught(fail_with(Locked())))))
    assert type(back) is ValueError
    assert isinstance(back.__cause__, RemoteError)


def test_an_exception_that_cannot_even_say_what_it_is() -> None:
    assert "RuntimeError" in exceptions.message_of(Mute())
    assert type(restored(caught(fail_with(Mute())))).__name__ == "Mute"


def test_a_cycle_of_contexts_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert restored(one).__context__.args == ("two",)


def test_base_exceptions_travel_too() -> None:
    assert isinstance(restored(caught(fail_with(KeyboardInterrupt()))), KeyboardInterrupt)
