"""From bytes as they come to lines that are handed on: of a progress bar that never ends its line, a piece at a time.

Asked by: `cluster` (a pod's log), `log_sources` (the bucket's).
"""

from __future__ import annotations

LONGEST = 64 * 1024
"""Bytes of a line that are handed on at once."""

Line = tuple[bytes, bytes]
"""Time (RFC 3339), and text with its end; without one it is a piece of a line, and the next goes on with it."""


def cut(data: bytes) -> list[bytes]:
    """Lines with their ends, longer ones in pieces; last what has no end yet, which is b"" only behind an end."""
    *ended, rest = data.split(b"\n")
    found = []
    for line in ended:
        found += _parts(line)
        found[-1] += b"\n"
    return found + _parts(rest)


def _parts(line: bytes) -> list[bytes]:
    return [line[at : at + LONGEST] for at in range(0, len(line) or 1, LONGEST)]
