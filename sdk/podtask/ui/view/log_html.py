"""Text of tenants made harmless for people: colours of terminals as classes, other control characters shown. Pure.

Everything that a template prints goes through `visible`; lines of logs go through `line_html`. Both are linear in time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

LINE_LIMIT = 16 * 1024
"""Characters of a line that are shown."""
_ESCAPES = re.compile(r"\x1b(?:\[([0-9;:]*)m|\[[0-9;?]*[ -/]*[@-ln-~])")
"""Colours, and movements of the cursor, which say nothing on a page."""
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, what turns the direction of text around, what is not seen at all, and halves of characters."""
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STYLES = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 9: "strike"}
_OFF = {22: ("bold", "faint"), 23: ("italic",), 24: ("underline",), 29: ("strike",)}


def visible(text: str) -> str:
    """The text with every character that is not seen, or that changes how others are seen, as its number."""
    return _CONTROL.sub(_picture, text)


def line_html(text: str) -> Markup:
    """One line of a log as HTML: only `span` elements with our own classes."""
    cut = len(text) - LINE_LIMIT
    text = text[:LINE_LIMIT]
    out: list[str] = []
    style: dict[str, str] = {}
    at = 0
    for match in _ESCAPES.finditer(text):
        out.append(_styled(text[at : match.start()], style))
        at = match.end()
        if match[1] is not None:
            _apply(match[1], style)
    out.append(_styled(text[at:], style))
    if cut > 0:
        out.append(f'<span class="cut"> … {cut:,} more characters</span>')
    return Markup("".join(out))  # noqa: S704 - every part was escaped by `_styled`, or has no text of others


def lines_html(lines: Iterable[bytes]) -> list[Markup]:
    """Lines as they were read."""
    return [line_html(line.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]) for line in lines]


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _styled(text: str, style: dict[str, str]) -> str:
    if not text:
        return ""
    shown = escape(visible(text))
    return f'<span class="{" ".join(style.values())}">{shown}</span>' if style else str(shown)


def _apply(codes: str, style: dict[str, str]) -> None:
    """Select Graphic Rendition: sixteen colours and five styles; of others nothing is left."""
    numbers = [int(part) if part.isdigit() and len(part) < 4 else 0 for part in re.split("[;:]", codes)]
    at = 0
    while at < len(numbers):
        code = numbers[at]
        at += 1
        if code == 0:
            style.clear()
        elif code in _STYLES:
            style[_STYLES[code]] = f"a-{_STYLES[code]}"
        elif code in _OFF:
            for name in _OFF[code]:
                style.pop(name, None)
        elif code in (38, 48):
            at += 2 if numbers[at : at + 1] == [5] else 4
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["fg"] = f"a-{_COLOURS[code % 10]}"
        elif code == 39:
            style.pop("fg", None)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style["bg"] = f"a-on-{_COLOURS[code % 10]}"
        elif code == 49:
            style.pop("bg", None)
