"""The end of an attempt's log when its runner could not write it: killed for memory, by SIGKILL, with its node. Pure.

The runner ships what a task prints in chunks, a few seconds late (`podtask_runner.logs`). When it is killed, the
operator adds what the pod's own log still holds beyond the last chunk, and a sentence that says how the log ends.
Key: `podtask.core.keys.AttemptKeys.last_words`. Users: the operator (writes), the SDK (shows the sentence).
"""

from __future__ import annotations

from typing import Final

MARK: Final = b"[podtask: "
"""Starts each line that is not the task's."""
LIMIT: Final = 256 * 1024
"""Bytes of the pod's log that are kept at most: those at its end."""
ANCHOR: Final = 1024
"""Bytes at the end of what is stored by which the place in the pod's log is found; fewer are the whole log so far."""
SURE: Final = 64
"""Bytes in common that are no accident."""

_CUT = MARK + b"output between the lines above and below is not in this log]\n"


def compose(stored: bytes, pod: bytes | None, ended: str, unread: str = "") -> bytes:
    """The last chunk.

    `stored`: the end of the chunks that exist, `ANCHOR` bytes or all; `pod`: the end of the pod's log, None: `unread`.
    `ended` says how the attempt ended, as in "was killed (OutOfMemory, exit code 137)".
    """
    if pod is None:
        why = f"; the pod's own log could not be read ({unread}), so the last seconds of its output are missing"
        return _line(stored, ended + why)
    rest, gap = missing(stored, pod)
    cut = b"" if not gap else _start_of_line(stored) + _CUT
    said = "; the end of its output was taken from the pod, what it printed in its last moment may be missing"
    return cut + rest + _line(rest or stored, ended + said)


def missing(stored: bytes, pod: bytes) -> tuple[bytes, bool]:
    """What of `pod` comes after `stored`, and whether something between the two is lost."""
    cut = len(pod) > LIMIT
    pod = pod[-LIMIT:]
    if not stored:
        return pod, cut
    at = pod.find(stored[-ANCHOR:]) if len(stored) >= ANCHOR else 0 if pod.startswith(stored) else -1
    if at >= 0:
        return pod[at + len(stored[-ANCHOR:]) :], False
    for length in range(min(len(stored), len(pod)), SURE - 1, -1):  # the pod's log begins within what is stored
        if stored.endswith(pod[:length]):
            return pod[length:], False
    return pod, bool(pod)


def sentences(chunk: bytes) -> list[str]:
    """The lines of a last chunk that are not the task's."""
    return [line.decode(errors="replace") for line in chunk.splitlines() if line.startswith(MARK)]


def _line(before: bytes, text: str) -> bytes:
    return _start_of_line(before) + MARK + text.encode() + b"]\n"


def _start_of_line(before: bytes) -> bytes:
    return b"" if not before or before.endswith(b"\n") else b"\n"
