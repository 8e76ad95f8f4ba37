"""What stands before a pickle, and how to tell without unpickling whether it may be opened here.

Every pickled payload starts with one line of JSON (`Header`). Across Python minors a pickled function can
kill the interpreter, so the header is checked before the first pickle byte is looked at. Values that JSON
carries exactly are stored as JSON instead, without a header, so that any language reads them.

No cloudpickle in this file: the operator and the supervisor use it too. The other half:
`podtask_runner.serialization.pickling`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

from podtask_runner.errors import EnvironmentMismatch, InputCorrupted
from podtask_runner.names import CLOUDPICKLE, JSON, PYTHON
from podtask_runner.storage.spool import Buffer

FORMAT: Final = 2
"""The newest that is read here. 1: header and pickle. 2: header that says `gzip`, and the pickle compressed."""
PLATFORM: Final = f"{sys.platform}-{os.uname().machine}"

_MAGIC: Final = b'{"podtask":'
LONGEST_HEADER: Final = 1024
_DEEPEST_JSON: Final = 100
"""Levels of nesting; a reader deeper in its own stack must still be able to parse it."""


@dataclass(frozen=True)
class Header:
    """Who wrote a pickle: payload format, Python minor ("3.11"), cloudpickle version, platform ("linux-x86_64")."""

    format: int
    python: str
    cloudpickle: str
    platform: str
    gzip: int | None = None
    """Bytes of the pickle before it was compressed; None: it was not."""

    def line(self) -> bytes:
        """The header as it stands in a payload, newline included."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"podtask": fields.pop("format"), **fields}, separators=(",", ":")).encode() + b"\n"


def split(data: Buffer) -> tuple[Header, memoryview]:
    """The header and, not copied, the pickle behind it. Raises `InputCorrupted` when there is no header."""
    head = bytes(memoryview(data)[:LONGEST_HEADER])
    end = head.find(b"\n")
    if end < 0 or not head.startswith(_MAGIC):
        raise InputCorrupted(
            "This is not a podtask payload: it does not start with a podtask header line.",
            "Write payloads with podtask_runner.serialization.pickling.dumps (the SDK does).",
        )
    try:
        fields = json.loads(head[:end])
        header = Header(
            int(fields["podtask"]),
            str(fields["python"]),
            str(fields["cloudpickle"]),
            str(fields["platform"]),
            int(fields["gzip"]) if "gzip" in fields else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputCorrupted(f"The header line of this payload cannot be read: {error!r}.") from None
    return header, memoryview(data)[end + 1 :]


def serializer_of(head: bytes, ours: str) -> str:
    """How an object of the same task was written, told from its first bytes; `ours` where they are no pickle's."""
    if head.startswith(_MAGIC):
        return CLOUDPICKLE
    return JSON if ours == CLOUDPICKLE else ours


def check(header: Header, cloudpickle: str | None = None) -> None:
    """Raise `EnvironmentMismatch` unless a pickle with this header may be opened by this interpreter.

    Fatal are another Python minor, a newer payload format and another cloudpickle major (`cloudpickle` is the
    version here, where known). Another platform is not: a laptop ships to Linux pods.
    """
    there = f"Python {header.python} (cloudpickle {header.cloudpickle}, {header.platform})"
    here = f"Python {PYTHON}" + (f" (cloudpickle {cloudpickle}, {PLATFORM})" if cloudpickle else f" ({PLATFORM})")
    if header.format > FORMAT:
        raise EnvironmentMismatch(
            f"This payload has format {header.format}; this runner ({here}) reads up to {FORMAT}.",
            "Use a runner image that is at least as new as the SDK.",
        )
    if header.python != PYTHON:
        raise EnvironmentMismatch(
            f"This payload was pickled by {there} and cannot be opened by {here}.",
            f"Use an image with Python {header.python}, or pickle with Python {PYTHON}.",
        )
    if cloudpickle is not None and header.cloudpickle.split(".")[0] != cloudpickle.split(".")[0]:
        raise EnvironmentMismatch(
            f"This payload was pickled by {there} and cannot be opened by {here}.",
            "Install the same major version of cloudpickle on both sides.",
        )


def check_python(made_with: str | None) -> None:
    """Raise `EnvironmentMismatch` when code made with Python `made_with` ("3.11") was sent to another minor."""
    if made_with is not None and made_with != PYTHON:
        raise EnvironmentMismatch(
            f"The task was made with Python {made_with} and this image has Python {PYTHON}.",
            f"Use an image with Python {made_with}, or run the flow with Python {PYTHON}.",
        )


def encode_json_exact(value: object) -> bytes | None:
    """The value as JSON (UTF-8) when reading it back gives an equal value of exactly the same types, else None.

    Exact are None, bool, int, finite float, str without lone surrogates, and list and dict (with str keys) of
    these; subclasses, tuples, NaN, cycles and nesting beyond 100 levels are not.
    """
    if not _is_exact(value):
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:  # NaN, infinities, a lone surrogate, an integer beyond Python's limit of digits
        return None


_SCALARS: Final = frozenset({type(None), bool, int, float, str})


def _is_exact(value: object) -> bool:
    """Walk level by level: no recursion, and a cycle ends at the depth limit."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST_JSON):
        deeper: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is list:
                deeper.extend(item)
            elif kind is dict:
                if any(type(key) is not str for key in item):
                    return False
                deeper.extend(item.values())
            elif kind not in _SCALARS:
                return False
        if not deeper:
            return True
        level = deeper
    return False
