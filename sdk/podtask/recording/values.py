"""Values of a user's as bounded JSON text, for people to read. Pure; no code of a value's class is called.

Exact types only: a subclass may print itself in any way. What may be a secret is hidden: by the name it has, by its
type (pydantic's Secret types carry no JSON anyway), and the password in a URL. A long value is read only so far as it
is shown, so a list of ten million costs nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

TEXT_LIMIT = 1024
"""Characters of one text, as `podtask.core.api.flow_run.TEXT_LIMIT` (not imported: no model library in a driver)."""
TOTAL_LIMIT = 14 * 1024
PARAMETERS_KEPT = 64
NAME_LIMIT = 128
MARK = "(hidden)"

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|api_?key|access_?key|private_?key|credential|dsn$|authorization|cookie",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@\"]*:)[^/\s@\"]+(@)")
_READ = TEXT_LIMIT * 4
"""Characters of a text, and items of a container, that are looked at."""
_DEPTH = 16


class _NotJson(Exception):
    """No JSON carries the value."""


def parameters(values: Mapping[str, Any], *, record: bool = True) -> list[Object]:
    """The arguments of a flow as `spec.parameters`. `record=False`: names and types only."""
    kept, left = [], TOTAL_LIMIT
    for name, value in list(values.items())[:PARAMETERS_KEPT]:
        entry: Object = {"name": plain(name, NAME_LIMIT), "type": plain(type(value).__qualname__, NAME_LIMIT)}
        left -= len(entry["name"].encode()) + len(entry["type"].encode())
        if left <= 0:
            break
        text, omitted = (None, "Hidden") if not record or _SECRET_NAME.search(name) else as_text(value)
        if text is not None and len(text.encode()) > left:
            text, omitted = None, "Cut"
        if text is not None:
            entry["value"], left = text, left - len(text.encode())
        if omitted is not None:
            entry["omitted"] = omitted
        kept.append(entry)
    return kept


def as_text(value: Any) -> tuple[str | None, str | None]:
    """The value as JSON text, and why it is not all of it: Cut, Hidden, NotJSON or None."""
    reader = _BoundedCopy()
    try:
        pruned = reader.read(value, 0)
        text = json.dumps(pruned, ensure_ascii=False, allow_nan=False)
    except (_NotJson, ValueError):  # also an integer of more digits than Python writes
        return None, "NotJSON"
    if plain(text, len(text)) != text:
        text = json.dumps(pruned)
    if len(text) > TEXT_LIMIT:
        text, reader.cut = text[:TEXT_LIMIT], True
    return text, "Hidden" if reader.hidden else "Cut" if reader.cut else None


def plain(text: str, limit: int) -> str:
    """At most `limit` characters, all of which UTF-8 can carry."""
    return text[:limit].encode("utf-8", "replace").decode()


def without_passwords(text: str) -> str:
    """With the passwords of URLs hidden."""
    return _URL_PASSWORD.sub(rf"\1{MARK}\2", text)


class _BoundedCopy:
    """A copy of a value that is not much longer than what is shown of it."""

    def __init__(self) -> None:
        self.hidden = False
        self.cut = False
        self._left = _READ

    def read(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if depth > _DEPTH:
            raise _NotJson
        self._left -= 1
        if value is None or kind in (bool, int):
            return value
        if kind is float:
            if not math.isfinite(value):
                raise _NotJson
            return value
        if kind is str:
            return self._string(value)
        if kind in (list, tuple):
            return self._items(value, depth)
        if kind is dict:
            return self._entries(value, depth)
        raise _NotJson

    def _string(self, value: str) -> str:
        text = value[:_READ]
        self.cut = self.cut or len(value) > _READ
        self._left -= len(text)
        shown = without_passwords(text)
        self.hidden = self.hidden or shown != text
        return shown

    def _items(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        copy: list[Any] = []
        for item in value:
            if self._left <= 0:
                self.cut = True
                break
            copy.append(self.read(item, depth + 1))
        return copy

    def _entries(self, value: dict[Any, Any], depth: int) -> Object:
        copy: Object = {}
        for name, item in value.items():
            if type(name) is not str:
                raise _NotJson
            if self._left <= 0:
                self.cut = True
                break
            if _SECRET_NAME.search(name[:_READ]):
                self.hidden, copy[self._string(name)] = True, MARK
            else:
                copy[self._string(name)] = self.read(item, depth + 1)
        return copy
