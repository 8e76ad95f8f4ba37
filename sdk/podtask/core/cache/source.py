"""What identifies the inline source of a TaskRun: its normalised text, or beyond a size its text as it is.

The source is parsed, never run, and it is a stranger's: parsing costs up to some tenths of a second, so its size is
bounded, and an answer is remembered, because the operator looks at a run that waits again and again. Used by: `entry`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

PARSED_AT_MOST: Final = 16 * 1024
"""Characters. Of a longer source layout and comments count, too."""
REMEMBERED: Final = 4096


class NotCacheable(Exception):
    """No key can be made, and the text says why and what to do: `status.cache.missReason` of an uncached run."""


_remembered: OrderedDict[bytes, str | NotCacheable] = OrderedDict()


def source_identity(source: str, function: str) -> str:
    """Identity of inline source and the function that is called. Raises `NotCacheable`: also that is remembered."""
    text = f"{function}\0{source}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(text).digest()
    if len(source) > PARSED_AT_MOST:
        return f"sha256:{digest.hex()}"
    answer = _remembered.pop(digest, None) or _parsed(source, function)
    _remembered[digest] = answer
    if len(_remembered) > REMEMBERED:
        _remembered.popitem(last=False)
    if isinstance(answer, NotCacheable):
        raise NotCacheable(*answer.args)
    return answer


def _parsed(source: str, function: str) -> str | NotCacheable:
    """Whatever parsing a user's text may raise is a reason, not an error."""
    from podtask_runner.hashing.content_hash import source_identity

    try:
        return source_identity(source, function)
    except SyntaxError as error:
        return NotCacheable(f"task.source is not Python: {error.msg} (line {error.lineno})")
    except (RecursionError, MemoryError):
        return NotCacheable("task.source is nested too deeply to be analysed; set cache.key")
    except ValueError as error:
        return NotCacheable(f"task.source cannot be analysed: {error}; set cache.key")
