"""Which serializer a value gets, and who opens what another one wrote.

    a user's own, by exact type > npy, parquet (`tables`, where exact) > cloudpickle

JSON comes before all of them (`execute`), a `File` is stored as it is. The word in the status says which one it was,
so that readers need no guess; one that is not known here is an error with its cure. Used by
`podtask_runner.serialization.pickling`; public as `podtask.register_serializer`.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Final

from podtask_runner import pickled_names
from podtask_runner.names import NPY, PARQUET
from podtask_runner.serialization.format import Word
from podtask_runner.serializers import REGISTERED, Serializer

_TABLES: Final = frozenset({"numpy", "pandas", "polars", "pyarrow"})


class NotReadable(Exception):
    """A result cannot be opened here: its serializer, or a library that it needs, is not known."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(f"{message} {cure}")
        self.cure = cure


class Equipped:
    """Pickles as its content; where it is opened, the serializers are registered from then on."""

    def __init__(self, serializers: tuple[Serializer, ...], content: object) -> None:
        self._serializers, self._content = serializers, content

    def __reduce__(self) -> tuple[Any, ...]:
        given = tuple((each.name, each.kind, each.dumps, each.loads) for each in self._serializers)
        return pickled_names.equipped, (given, self._content)


def write(value: Any, sink: Any) -> Word | None:
    """The value into a writer by the format that is meant for it; None where there is none. Raises what that raises."""
    for serializer in REGISTERED.values():
        if type(value) is serializer.kind:
            sink.write(serializer.dumps(value))
            return Word(serializer.name)
    if type(value).__module__.partition(".")[0] not in _TABLES:
        return None
    from podtask_runner.serialization import tables

    word = tables.word_for(value)
    if word is not None:
        tables.write(value, word, sink)
    return word


def read(data: Any, word: Word) -> Any:
    """The value of a stored payload, in memory or in a file. Raises `NotReadable`, and what the format raises."""
    if word.format in REGISTERED:
        whole = Path(data).read_bytes() if isinstance(data, os.PathLike) else bytes(data)
        return REGISTERED[word.format].loads(whole)
    if word.format not in (NPY, PARQUET):
        raise NotReadable(
            f"The result was stored by the serializer {word.format!r}, which is not known here.",
            f"Call podtask.register_serializer({word.format!r}, ...) before it is read.",
        )
    from podtask_runner.serialization import tables

    try:
        return tables.read(Path(data) if isinstance(data, os.PathLike) else io.BytesIO(data), word)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        what = f"{word.format} of {word.details['of']}" if "of" in word.details else word.format
        raise NotReadable(
            f"The result was stored as {what}; reading it needs the package {package!r}, which is not installed here.",
            f"Install it (pip install {package}), or use an image that has it.",
        ) from error
