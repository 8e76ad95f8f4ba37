"""What others wrote, before it reaches a terminal: control characters are shown, never carried out. Pure.

Names, messages, tracebacks, Events and logs are written by whoever runs in a pod or creates a TaskRun. A terminal obeys
what is in them: it writes to the clipboard (OSC 52), renames windows, clears or draws over what was there. Colours are
left alone; they change nothing but colours. Asked by: everything of the command that prints, and the live table.
"""

from __future__ import annotations

import re
from typing import Final

_COLOUR: Final = r"\x1b\[(?:0|3[0-7])m"
"""Those that podtask itself writes."""
_CONTROL: Final = re.compile(_COLOUR + r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All of C0 but tab and line feed, DEL, and C1, which many terminals take for ESC and a letter."""
_CONTROL_OF_LOG: Final = re.compile(rb"\x1b\[[0-9;]{0,32}m|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
"""A log may have all colours, and progress bars (carriage returns). C1 as UTF-8 writes it."""


def visible(text: str) -> str:
    """The text with control characters as `\\x1b`; tabs, line feeds and podtask's own colours stay."""
    return _CONTROL.sub(lambda match: match[0] if len(match[0]) > 1 else f"\\x{ord(match[0]):02x}", text)


def visible_log(line: bytes) -> bytes:
    """Bytes of a log with control characters as `\\x1b`; colours, tabs and ends of lines stay."""
    return _CONTROL_OF_LOG.sub(_as_text, line)


def _as_text(match: re.Match[bytes]) -> bytes:
    whole = match[0]
    return whole if whole.endswith(b"m") and whole[:1] == b"\x1b" else b"\\x%02x" % whole[-1]
