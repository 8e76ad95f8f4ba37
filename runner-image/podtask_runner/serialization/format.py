"""How a stored result is written: one word, with what a reader must know to open it.

    json   cloudpickle   file;name=model.bin   json+gzip;size=70000   npy   parquet;of=pandas

The word stands in outcomes, statuses and cache pointers, and travels with every grant to read the object. A word names
a format, never code: who reads looks it up here. Values are percent-encoded. Used by runner and SDK.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, unquote

from podtask_runner.names import FILE

GZIP: Final = "+gzip"
_LONGEST_NAME: Final = 80
"""Characters of a file's name that travel; the status allows a word of 1024."""


@dataclass(frozen=True)
class Word:
    """`format[+gzip][;key=value…]`."""

    format: str
    gzipped: bool = False
    details: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Word:
        """From the text in a status; anything is a word, whether its format is known here or not."""
        head, *pairs = text.split(";")
        details = {key: unquote(value) for key, _, value in (pair.partition("=") for pair in pairs)}
        return cls(head.removesuffix(GZIP), head.endswith(GZIP), details)

    def __str__(self) -> str:
        details = "".join(f";{key}={quote(value, safe='')}" for key, value in self.details.items())
        return f"{self.format}{GZIP if self.gzipped else ''}{details}"

    def compressed(self, size: int) -> Word:
        """The same, gzipped; `size` is what it has unpacked."""
        return replace(self, gzipped=True, details={**self.details, "size": str(size)})

    @property
    def plain(self) -> Word:
        """The same, unpacked."""
        return Word(self.format, details={key: value for key, value in self.details.items() if key != "size"})

    @property
    def size(self) -> int:
        """What a gzipped object has unpacked. Raises `ValueError`."""
        return int(self.details["size"]) if self.details.get("size", "").isdecimal() else _no_size(self)


def _no_size(word: Word) -> int:
    raise ValueError(f"the serializer {str(word)!r} does not say how large the object is unpacked")


def file_word(name: str) -> Word:
    """Of a `File`: raw bytes, and the name they had."""
    stem, dot, suffix = name.rpartition(".")
    tail = f"{dot}{suffix}"[-20:] if stem else ""
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - len(tail)] + tail
    return Word(FILE, details={"name": short})
