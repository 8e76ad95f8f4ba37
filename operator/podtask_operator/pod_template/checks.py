"""Checks of one value inside `spec.podTemplate`: each returns the value or raises `NotAllowed` with a sentence.

Asked by: `template` and `volumes`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

ROOT: Final = "spec.podTemplate"


class NotAllowed(Exception):
    """Something in a podTemplate may not be merged; the text names the field, `cure` says what to do."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


def member(path: str, value: Any, allowed: Collection[str] | None) -> Mapping[str, Any]:
    """An object; with `allowed`, of these keys only. Keys without a value are left out."""
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object", value)
    for key in value:
        if allowed is not None and key not in allowed:
            raise NotAllowed(
                f"{path}.{key!s:.100} is not allowed; allowed are {', '.join(allowed)}", f"Remove {path}.{key!s:.100}."
            )
    return value if allowed is None else {key: item for key, item in value.items() if item is not None}


def listed(path: str, value: Any) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise _wrong(path, "a list", value)
    return value


def objects(path: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    """A list of objects of any keys."""
    return tuple(member(f"{path}[{index}]", entry, None) for index, entry in enumerate(listed(path, value)))


def text(path: str, value: Any) -> str:
    """A string that says something."""
    if not isinstance(value, str) or not value:
        raise _wrong(path, "a text", value)
    return value


def texts(path: str, value: Any) -> Mapping[str, str]:
    """An object whose values are all strings."""
    given = member(path, value, None)
    for key, item in given.items():
        if not isinstance(item, str):
            raise NotAllowed(
                f"{path}[{str(key)[:100]!r}] must be a text, not {_kind(item)}",
                "Quote the value: YAML reads bare numbers, true and false as something else.",
            )
    return given


def integer(path: str, value: Any, least: int, most: int) -> int:
    """A whole number between two others."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        known = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 10**18
        shown = value if known else _kind(value)
        raise NotAllowed(
            f"{path} must be a whole number from {least} to {most}, not {shown}", f"Correct {path}, or remove it."
        )
    return value


def _wrong(path: str, wanted: str, value: Any) -> NotAllowed:
    shown = "an empty one" if value == "" else _kind(value)
    return NotAllowed(f"{path} must be {wanted}, not {shown}", f"Correct {path}, or remove it.")


def _kind(value: Any) -> str:
    """What a value is, in words of YAML."""
    words = {type(None): "nothing", bool: "true or false", str: "a text", list: "a list", dict: "an object"}
    return words.get(type(value), "a number")
