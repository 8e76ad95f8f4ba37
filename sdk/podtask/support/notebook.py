"""How podtask looks in a notebook: small tables with a picture, every text escaped, states as words; own frames folded.

Used by: `podtask.futures`, `podtask.states` and `podtask.flows` (for notebooks), `podtask.display.notebook_table`, and
whatever gives an exception of a task to the cell that asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from types import FrameType, TracebackType
from typing import Any

_LONGEST = 300
_LEFT = "style='text-align:left'"
COLOURS = {
    "Completed": "#3aa76d",
    "Cached": "#3aa76d",
    "Failed": "#e05263",
    "Crashed": "#e05263",
    "TimedOut": "#e05263",
    "NotReady": "#e05263",
    "Running": "#4b86ee",
    "Retrying": "#4b86ee",
    "AwaitingRetry": "#e0a03a",
    "Cancelled": "#959dab",
}
"""Seen on light and dark; a colour never says anything that a word beside it does not."""
_OTHER = "#b9c1ce"
_OWN = ("podtask", "podtask_runner")
_BETWEEN = ("contextlib", "concurrent", "asyncio", "threading", "functools")
"""Modules of Python through which our frames call each other."""


class Html(str):
    """A text that is HTML already; its parts were escaped by whoever made it."""

    __slots__ = ()


def shell() -> Any:
    """The IPython of a kernel that shows HTML; None elsewhere."""
    module = sys.modules.get("IPython")
    found = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    return found if getattr(found, "kernel", None) is not None else None


def table(title: str, rows: Iterable[tuple[str, object]]) -> Html:
    """A heading and a line per row; rows without a value are left out."""
    lines = "".join(
        f"<tr><th {_LEFT}>{escape(_short(name))}</th><td {_LEFT}>{_text(value)}</td></tr>"
        for name, value in rows
        if value not in (None, "", ())
    )
    return Html(f"<table><caption {_LEFT}><b>{escape(_short(title))}</b></caption>{lines}</table>")


def share(counts: Mapping[str, int]) -> Html:
    """How many are in which state: a bar, and the words beside it."""
    parts = [(state, count, f"{state} {count:,}") for state, count in counts.items() if count]
    return Html(f"{strip(parts)} {escape(', '.join(words for _, _, words in parts))}")


def strip(parts: Sequence[tuple[str, float, str]]) -> Html:
    """A bar of pieces side by side: state, length, and what it is. What is there at all can be seen."""
    whole = sum(length for _, length, _ in parts)
    if not parts:
        return Html("")
    wide = [max(2.0, 100.0 * length / whole) if whole > 0 else 100.0 / len(parts) for _, length, _ in parts]
    scale, at, drawn = 100.0 / sum(wide), 0.0, []
    for (state, _, words), width in zip(parts, wide, strict=True):
        drawn.append(
            f"<rect x='{at:.2f}' y='0' width='{width * scale:.2f}' height='10' fill='{COLOURS.get(state, _OTHER)}'>"
            f"<title>{escape(_short(words))}</title></rect>"
        )
        at += width * scale
    picture = "".join(drawn)
    return Html(f"<svg width='160' height='10' viewBox='0 0 100 10' preserveAspectRatio='none'>{picture}</svg>")


def fold(error: BaseException) -> None:
    """In a notebook, mark our frames in the error's traceback, so that IPython says how many it does not show.

    `get_ipython().InteractiveTB.skip_hidden = False` shows them. IPython always shows the last frame: where the error
    came from a task, so that the last frames only hand it over, they are taken out behind the user's own.
    """
    if shell() is None:
        return
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        todo += [one.__cause__, one.__context__]
        _mark(_frames(one))
        if type(one.__cause__).__name__ == "RemoteTraceback":
            _cut(one.__traceback__)
    _mark(_around(sys._getframe(1)))  # noqa: SLF001 - the one way to the frames that the traceback will have


@contextmanager
def folded() -> Iterator[None]:
    """`fold` for what is raised inside."""
    try:
        yield
    except BaseException as error:
        fold(error)
        raise


def from_users(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is not ours, for a log; all of it where none is the user's."""
    at = error.__traceback__
    while at is not None and _root(at.tb_frame) in (*_OWN, *_BETWEEN):
        at = at.tb_next
    return at or error.__traceback__


def _frames(error: BaseException) -> Iterator[FrameType]:
    at = error.__traceback__
    while at is not None:
        yield at.tb_frame
        at = at.tb_next


def _cut(at: TracebackType | None) -> None:
    """What is behind the last frame of the user's."""
    last = None
    while at is not None:
        last = at if _root(at.tb_frame) not in (*_OWN, *_BETWEEN) else last
        at = at.tb_next
    if last is not None:
        last.tb_next = None


def _around(frame: FrameType | None) -> Iterator[FrameType]:
    """Our callers, up to the first that is not ours."""
    while frame is not None and (_root(frame) in _OWN or _root(frame) in _BETWEEN):
        yield frame
        frame = frame.f_back


def _mark(frames: Iterable[FrameType]) -> None:
    inside = False
    for frame in frames:
        inside = _root(frame) in _OWN or (inside and _root(frame) in _BETWEEN)
        if inside:
            frame.f_locals["__tracebackhide__"] = True


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _text(value: object) -> str:
    return value if isinstance(value, Html) else escape(_short(str(value)))
