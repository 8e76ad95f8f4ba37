"""What the user's code raised, as a payload that loads as the exception again, and as text for people.

Written by the child (`podtask_runner.attempt.execute`) and the SDK, read by the SDK (`podtask.engine.task_result`).
Nothing here raises: whatever a class of the user's does while it is pickled or shown, an exception travels.
"""

from __future__ import annotations

import traceback
from typing import Any

from podtask_runner import pickled_names
from podtask_runner.pickled_names import RemoteError
from podtask_runner.serialization.pickling import dumps, loads


def dump_exception(exc: BaseException) -> bytes:
    """A payload that loads as the exception, with `__cause__`, `__context__`, notes and `__podtask_traceback__`.

    Never fails: what cannot be pickled, or not be rebuilt, travels as `RemoteError`.
    """
    return carry_exception(exc)[0]


def carry_exception(exc: BaseException) -> tuple[bytes, bool]:
    """As `dump_exception`, and whether the exception itself could be pickled (seed: if not, the run is Crashed)."""
    picklable = _dumps_or_none(exc) is not None
    try:
        return dumps(_Carried(exc, seen=set())), picklable
    except Exception:  # noqa: BLE001 - user classes may do anything while they are pickled
        bare = RemoteError(type(exc).__qualname__, message_of(exc))
        return dumps(_Carried(bare, seen=set(), text=traceback_text(exc))), False


def traceback_text(exc: BaseException) -> str:
    """The formatted traceback with its causes, without the runner's own frames at the top."""
    frame = exc.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("podtask_runner."):
        frame = frame.tb_next
    try:
        return "".join(traceback.format_exception(type(exc), exc, frame or exc.__traceback__))
    except Exception as error:  # noqa: BLE001 - a __str__ or a source line of the user's may fail
        return f"{type(exc).__qualname__} (its traceback could not be formatted: {type(error).__name__})\n"


def message_of(exc: BaseException) -> str:
    """`str(exc)`, even when the user's `__str__` raises."""
    try:
        return str(exc)
    except Exception as error:  # noqa: BLE001 - a user's __str__ may do anything
        return f"(its message could not be formatted: {type(error).__name__})"


class _Carried:
    """Pickles as a call of `pickled_names.exception`, so that what exceptions lose when pickled arrives too."""

    def __init__(self, exc: BaseException, seen: set[int], text: str | None = None) -> None:
        seen.add(id(exc))
        self.exc = exc if _survives(exc) else RemoteError(type(exc).__qualname__, message_of(exc))
        self.text = traceback_text(exc) if text is None else text
        self.notes = [str(note) for note in getattr(exc, "__notes__", None) or ()]
        self.suppress = exc.__suppress_context__
        linked = [exc.__cause__, None if exc.__suppress_context__ else exc.__context__]
        self.links = [_Carried(link, seen) if link is not None and id(link) not in seen else None for link in linked]

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.exception, (self.exc, self.text, self.notes, self.suppress, *self.links)


def _survives(exc: BaseException) -> bool:
    """Whether the exception comes back as what it was (a custom `__init__` often makes that fail)."""
    data = _dumps_or_none(exc)
    if data is None:
        return False
    try:
        return type(loads(data)).__qualname__ == type(exc).__qualname__
    except Exception:  # noqa: BLE001 - the user's constructor may raise anything
        return False


def _dumps_or_none(obj: object) -> bytes | None:
    try:
        return dumps(obj)
    except Exception:  # noqa: BLE001 - user classes may do anything while they are pickled
        return None
