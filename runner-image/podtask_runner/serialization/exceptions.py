"""What the user's code raised, as a payload that loads as the exception again, and as text for people.

Written by the child (`podtask_runner.attempt.execute`) and the SDK, read by the SDK (`podtask.engine.task_result`).
Nothing here raises: whatever a class of the user's does while it is pickled or shown, an exception travels.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from podtask_runner import pickled_names, shown_paths
from podtask_runner.pickled_names import RemoteError
from podtask_runner.serialization.pickling import dumps, loads


def dump_exception(exc: BaseException) -> bytes:
    """A payload that loads as the exception, with `__cause__`, `__context__`, notes and `__podtask_traceback__`.

    Never fails: what cannot be pickled, or not be rebuilt, travels as `RemoteError`.
    """
    try:
        return dumps(_Carried(exc, seen=set()))
    except Exception:  # noqa: BLE001 - user classes may do anything while they are pickled
        bare = RemoteError(type(exc).__qualname__, message_of(exc))
        return dumps(_Carried(bare, seen=set(), of=exc))


def carried(exc: BaseException) -> object:
    """Stands for the exception where it is pickled among other values, and loads as `dump_exception` says."""
    return _Carried(exc, seen=set())


def traceback_text(exc: BaseException) -> str:
    """The formatted traceback with its causes, without the runner's own frames at the top; paths as in the project."""
    if isinstance(exc, pickled_names.BatchFailed):  # each item has told of itself
        return f"{exc}\n"
    frame = exc.__traceback__
    while frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("podtask_runner."):
        frame = frame.tb_next
    try:
        found = traceback.TracebackException(type(exc), exc, frame or exc.__traceback__, compact=True)
        shown_paths.rename(found)
        text = shown_paths.in_text("".join(found.format()))
    except Exception as error:  # noqa: BLE001 - a __str__ or a source line of the user's may fail
        return f"{type(exc).__qualname__} (its traceback could not be formatted: {type(error).__name__})\n"
    if sys.version_info < (3, 11):  # which shows no notes by itself
        text += "".join(f"{note}\n" for note in notes_of(exc))
    return text


def message_of(exc: BaseException) -> str:
    """`str(exc)`, even when the user's `__str__` raises."""
    try:
        return shown_paths.in_text(str(exc))
    except Exception as error:  # noqa: BLE001 - a user's __str__ may do anything
        return f"(its message could not be formatted: {type(error).__name__})"


def notes_of(exc: BaseException) -> list[str]:
    """What `add_note` was told; anything may have been put there by hand."""
    try:
        return [str(note) for note in getattr(exc, "__notes__", None) or ()]
    except Exception:  # noqa: BLE001 - a user's property or __str__ may do anything
        return []


class _Carried:
    """Pickles as a call of `pickled_names.exception`, so that what exceptions lose when pickled arrives too."""

    def __init__(self, exc: BaseException, seen: set[int], of: BaseException | None = None) -> None:
        """`of`: whose traceback and notes to take, where `exc` stands in for another."""
        seen.add(id(exc))
        self.exc = exc if _survives(exc) else RemoteError(type(exc).__qualname__, message_of(exc))
        self.text = traceback_text(of or exc)
        self.notes = notes_of(of or exc)
        self.suppress = exc.__suppress_context__
        linked = [exc.__cause__, None if exc.__suppress_context__ else exc.__context__]
        self.links = [_Carried(link, seen) if link is not None and id(link) not in seen else None for link in linked]

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.exception, (self.exc, self.text, self.notes, self.suppress, *self.links)


def _survives(exc: BaseException) -> bool:
    """Whether the exception comes back as what it was (a custom `__init__` often makes that fail)."""
    try:
        return type(loads(dumps(exc))).__qualname__ == type(exc).__qualname__
    except Exception:  # noqa: BLE001 - pickling it, or the user's constructor, may raise anything
        return False
