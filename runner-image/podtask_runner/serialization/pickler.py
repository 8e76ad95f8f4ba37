"""cloudpickle's pickler, with what it does not know by itself.

Below `podtask_runner.serialization.by_value` and `podtask_runner.serialization.pickling`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
import types
from collections import ChainMap
from typing import Any, ClassVar, Final

import cloudpickle
from cloudpickle.cloudpickle import _should_pickle_by_reference as is_by_reference

from podtask_runner import pickled_names
from podtask_runner.hashing import code, usage
from podtask_runner.names import SOURCE_MODULE
from podtask_runner.script import classes, definitions, functions, identity
from podtask_runner.script.lending import Lender
from podtask_runner.serialization import source_lines


def _mark(name: str, _: object) -> str:
    return name


def _cached_property(obj: functools.cached_property[Any]) -> tuple[Any, ...]:
    state = {name: value for name, value in vars(obj).copy().items() if name != "lock"}
    return functools.cached_property, (obj.func,), state


_BY_NAME: Final = (dataclasses.MISSING, dataclasses.KW_ONLY, dataclasses._HAS_DEFAULT_FACTORY)  # type: ignore[attr-defined]  # noqa: SLF001
"""Marks that dataclasses compare by identity."""
_MARKS: Final = {
    type(mark): name for mark, name in zip(_BY_NAME, ("MISSING", "KW_ONLY", "_HAS_DEFAULT_FACTORY"), strict=True)
}
_HEAP_TYPE: Final = 1 << 9
_SOMETIMES: Final = (identity.CACHED, *functions.CONSTANTS)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's; what a script defined is in chunks (`definitions`), and is made of its parts there.

    It keeps the files and lines of code, and also takes a `functools.cached_property`, which holds a lock before
    Python 3.12.
    """

    dispatch_table: ClassVar[Any] = ChainMap(
        {
            functools.cached_property: _cached_property,
            types.CodeType: source_lines.reduced,
            **{kind: functools.partial(_mark, name) for kind, name in _MARKS.items()},
        },
        cloudpickle.Pickler.dispatch_table,
    )
    inside: definitions.Inside | None = None
    """Of the pickler of chunks."""
    lender: Lender | None = None
    """Takes what the content only names."""
    stamps: bool = False
    """Whether classes of modules go with their stamps: what is stored may be read by a later state of the project."""
    _chunks: definitions.Chunks | None = None

    def beside(self, stream: Any) -> Pickler:
        """Another one that decides alike."""
        other = Pickler(stream)
        other.stamps = self.stamps
        return other

    def home_of(self, _: types.FunctionType) -> str | None:
        """The module whose globals a function by value works on where the pickle is opened; None for copies."""
        return None

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.FunctionType or issubclass(kind, type):
            if (origin := _origin(obj)) is not None:
                return operator.getitem, origin
            if _is_defined(obj):
                return self.by_value(obj)
            if self.stamps and kind is not types.FunctionType and _is_of_project(obj):
                return pickled_names.project_class, (obj.__module__, obj.__qualname__, identity.of_class(obj).stamp)
        elif isinstance(obj, _SOMETIMES):
            if _is_of_script(obj):
                return self.by_value(obj)
        elif kind is types.CellType:
            if self.inside is not None and id(obj) in self.inside.bare:
                return pickled_names.empty_cell, ()
        elif kind is classes.Rest:
            return classes.rest(self, obj)
        elif kind is definitions.Unfilled:
            return functions.rest(self, obj)
        elif kind is functions.End and self.inside is not None:
            return functions.ended(self.inside)
        elif isinstance(obj, enum.Enum):
            if code.is_written(kind) and _goes_by_name(kind):
                return pickled_names.member, (kind, obj._name_, obj._value_)
        elif (word := functions.word_of(obj)) is not None:
            return self.by_value(obj, word)
        return super().reducer_override(obj)

    def by_value(self, obj: Any, word: str | None = None) -> tuple[Any, ...]:
        """The reduction of what a script defined."""
        if self.inside is None:
            if self.lender is not None and (named := self._lent(obj)) is not None:
                return named
            if self._chunks is None:
                self._chunks = definitions.Chunks(self.beside)
            return self._chunks.reduced(obj, _identity(obj, word))
        if isinstance(obj, type):
            return classes.taken_apart(self, obj)
        if isinstance(obj, types.FunctionType):
            dispatches = usage.registered(obj) is not None
            return functions.dispatching(self, obj) if dispatches else functions.taken_apart(self, obj)
        if word is not None:
            return functions.by_its_word(self, obj, word)
        return functions.cached(self, obj) if isinstance(obj, identity.CACHED) else functions.constant(self, obj)

    def _lent(self, obj: Any) -> tuple[Any, ...] | None:
        """How the content names a class or a function that travels beside it; constants are not worth it."""
        if self.lender is None or not isinstance(obj, (type, types.FunctionType)):
            return None
        who = _identity(obj, None)
        return (pickled_names.lent, (tuple(who),)) if self.lender.lends(obj, who) else None


def _identity(obj: Any, word: str | None) -> identity.Identity:
    if isinstance(obj, type):
        return identity.of_class(obj)
    if isinstance(obj, types.FunctionType) and usage.registered(obj) is None:
        return identity.of_function(obj)
    return identity.of_named(obj, word or getattr(obj, "__name__", None))


def _is_defined(obj: Any) -> bool:
    """Whether no module has the function or class by its name; classes of the interpreter are everywhere."""
    return not is_by_reference(obj) and (not isinstance(obj, type) or obj.__flags__ & _HEAP_TYPE != 0)


def _origin(obj: Any) -> tuple[Any, Any] | None:
    """Of a model of pydantic with its parameters filled in, such as `Page[int]`: `Page` and `(int,)`.

    Each process makes that class of its own `Page`, once; no module has it by a name.
    """
    about = vars(obj).get("__pydantic_generic_metadata__") if isinstance(obj, type) else None
    return (about["origin"], about["args"]) if isinstance(about, dict) and about.get("origin") is not None else None


def _is_of_project(kind: type) -> bool:
    """Whether a class that its module has by its name is the user's own."""
    return code.is_written(kind) and any(each is kind for each in identity.named(kind.__module__, kind.__qualname__))


def _is_of_script(obj: Any) -> bool:
    """Of an object that pickles by its name: whether that name is of a script."""
    return getattr(obj, "__module__", None) in ("__main__", SOURCE_MODULE)


def _goes_by_name(kind: type) -> bool:
    """Whether it is the standard library that says how members of an enum are pickled."""
    reduce = kind.__reduce_ex__
    return not isinstance(reduce, types.FunctionType) or reduce.__module__ == "enum"
