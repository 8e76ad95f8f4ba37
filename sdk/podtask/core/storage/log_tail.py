"""The end of an attempt's log when its runner could not write it: killed for memory, by SIGKILL, with its node. Pure.

The runner ships what a task prints in chunks, a few seconds late (`podtask_runner.process.log_shipping`). When it is
killed, the operator adds what the pod's own log still holds beyond the last chunk, and a sentence that says how the log
ends. Key: `podtask.core.storage.layout.AttemptKeys.log_tail`. Users: the operator (writes), the SDK (shows the
sentence).
"""

from __future__ import annotations

from typing import Final, NamedTuple

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
    rest, gap, repeats = missing(stored, pod)
    cut = b"" if not gap else _start_of_line(stored) + _CUT
    said = "; the end of its output was taken from the pod, what it printed in its last moment may be missing"
    if repeats:
        said += ", and of the lines that it printed again and again some more"
    return cut + rest + _line(rest or stored, ended + said)


class Missing(NamedTuple):
    """What of the pod's log comes after what is stored."""

    rest: bytes
    gap: bool = False
    """Something between the two is lost."""
    repeats: bool = False
    """The output repeats itself, so it follows at several places; `rest` is the least: nothing is there twice."""


def missing(stored: bytes, pod: bytes) -> Missing:
    """Where the end of `stored` is in `pod`, and what follows."""
    cut = len(pod) > LIMIT
    pod = pod[-LIMIT:]
    if not stored:
        return Missing(pod, cut)
    if len(stored) < ANCHOR and pod.startswith(stored):  # what is stored is all of its log so far
        return Missing(pod[len(stored) :])
    anchor = stored[-ANCHOR:]
    at = pod.rfind(anchor) if len(stored) >= ANCHOR else -1
    if at >= 0:
        return Missing(pod[at + ANCHOR :], repeats=pod.find(anchor) != at)
    # The pod's log begins within the anchor: the longest overlap leaves the least.
    overlaps = (n for n in range(min(len(anchor), len(pod)), SURE - 1, -1) if anchor.endswith(pod[:n]))
    longest = next(overlaps, None)
    if longest is None:
        return Missing(pod, bool(pod))
    return Missing(pod[longest:], repeats=next(overlaps, None) is not None)


def sentences(chunk: bytes) -> list[str]:
    """The lines of a last chunk that are not the task's."""
    return [line.decode(errors="replace") for line in chunk.splitlines() if line.startswith(MARK)]


def _line(before: bytes, text: str) -> bytes:
    return _start_of_line(before) + MARK + text.encode() + b"]\n"


def _start_of_line(before: bytes) -> bytes:
    return b"" if not before or before.endswith(b"\n") else b"\n"
