"""By value, in the bundle, or by name: how what a pickle meets gets to where the pickle is opened.

    VALUE    functions and classes of the script, of closures and of modules without a text: their content
    BUNDLE   modules of the project, whose files travel beside the pickle: their name (`by_reference`)
    NAME     everything else: its name, and the module must be there

A `Packing` is asked for each module and notes what one pickling met. cloudpickle's registry of modules by value is
global: here a module stands in it for the moment in which one object is looked at, never longer. Used by
`podtask_runner.serialization.pickling`; policy: `podtask.payloads.module_policy`.
"""

from __future__ import annotations

import enum
import functools
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import cloudpickle

from podtask_runner import pickled_names
from podtask_runner.hashing import usage
from podtask_runner.script.lending import Lender
from podtask_runner.serialization import by_reference
from podtask_runner.serialization.pickler import Pickler

Reference = Callable[[object], "str | None"]

_registry: Final = threading.RLock()
_CACHED: Final = type(functools.lru_cache(lambda: None))
_STAYS: Final = frozenset({"__builtins__", "__loader__", "__spec__", "__cached__"})
"""What of a module belongs to the interpreter that loaded it."""


class Travel(enum.Enum):
    """Where a module's objects are for whoever opens the pickle."""

    VALUE = enum.auto()
    BUNDLE = enum.auto()
    NAME = enum.auto()


@dataclass
class Packing:
    """Which modules travel how, and what one pickling met."""

    place: Callable[[str], Travel]
    """Asked by a module's name."""
    shared: Callable[[object], tuple[str, str] | None] | None = None
    """For code: the module and the name of an object that is a global of the project's, and no function or class."""
    by_name: set[str] = field(default_factory=set)
    """Modules that must be importable where the pickle is opened."""
    reached: set[str] = field(default_factory=set)
    """Modules of the bundle that will be imported there."""
    imported: set[str] = field(default_factory=set)
    """Modules and names that functions which the pickle holds or names import when they are called."""

    def imported_elsewhere(self) -> set[str]:
        """Of what is imported inside of functions, what does not travel: its absence may be handled."""
        return {name for name in self.imported if self.place(name.partition(".")[0]) is Travel.NAME}

    def names(self, module: str) -> None:
        """The pickle names something of this module."""
        (self.reached if self.place(module) is Travel.BUNDLE else self.by_name).add(module)


class PackingPickler(Pickler):
    """cloudpickle's pickler that asks `packing` whose module an object is of."""

    def __init__(
        self, stream: Any, packing: Packing, reference: Reference | None, lender: Lender | None = None
    ) -> None:
        super().__init__(stream)
        self._packing = packing
        self._reference = reference
        self.lender = lender
        self._globals = functools.cache(by_reference.Globals)  # one object, so that pickle writes it once

    def beside(self, stream: Any) -> Pickler:
        other = PackingPickler(stream, self._packing, self._reference)
        other._globals = self._globals
        return other

    def persistent_id(self, obj: object) -> Any:
        if self._packing.shared is not None and (found := self._packing.shared(obj)) is not None:
            self._packing.names(found[0])
            return (by_reference.GLOBAL, *found)
        return self._reference(obj) if self._reference is not None else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.ModuleType):
            return self._module(obj)
        if isinstance(obj, (type, types.FunctionType, TypeVar, _CACHED)):
            return self._named(obj)
        if isinstance(obj, types.BuiltinFunctionType) and isinstance(obj.__self__, types.ModuleType):
            self._packing.names(obj.__self__.__name__)
        elif "__module__" in getattr(obj, "__dict__", ()) and (found := self._by_path(obj)) is not None:
            return found  # a task, a flow, a NewType, what a decorator of the user's made
        return super().reducer_override(obj)

    def _module(self, module: types.ModuleType) -> Any:
        name = module.__name__
        if name not in sys.modules:  # made by hand; cloudpickle knows what to do
            return super().reducer_override(module)
        if self._packing.place(name) is not Travel.VALUE:
            self._packing.names(name)
            return super().reducer_override(module)
        state = {key: value for key, value in vars(module).copy().items() if key not in _STAYS}
        return pickled_names.new_module, (name,), state, None, None, pickled_names.filled

    def _named(self, obj: Any) -> Any:
        """A function, class or type variable: by value, or by the name of its module."""
        name = getattr(obj, "__module__", None) or ""
        place = self._packing.place(name) if name in sys.modules else Travel.NAME
        if place is Travel.BUNDLE and (found := self._by_path(obj)) is not None:
            return found
        own = place is Travel.VALUE and name != "__main__"
        if isinstance(obj, _CACHED):
            return super().reducer_override(obj) if place is Travel.NAME else self.by_value(obj)
        with _registered(name) if own else _registry:
            reduced = super().reducer_override(obj)
            if reduced is NotImplemented and own and isinstance(obj, TypeVar):
                reduced = self.dispatch_table[TypeVar](obj)
        if reduced is NotImplemented and not own:
            self._packing.by_name.add(name)
        elif isinstance(obj, types.FunctionType) and reduced is not NotImplemented:
            reduced = self._bound(obj, reduced)
            self._note_imports(obj)
        return reduced

    def _note_imports(self, fn: types.FunctionType) -> None:
        for code in usage.all_codes(fn.__code__):
            self._packing.imported.update(usage.imports(code, fn.__globals__))

    def _by_path(self, obj: Any) -> Any:
        """By the name of its module, and from there by what decorators keep; None where that leads elsewhere."""
        module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
        if not isinstance(module, str) or not isinstance(name, str) or self._packing.place(module) is not Travel.BUNDLE:
            return None
        steps = by_reference.steps_to(obj, module, name)
        if steps is None:
            return None
        self._packing.reached.add(module)
        if isinstance(obj, types.FunctionType):
            self._note_imports(obj)
        if not steps and isinstance(obj, (type, types.FunctionType, TypeVar, _CACHED)):
            return NotImplemented  # as pickle does
        return pickled_names.followed, (module, name, steps)

    def _bound(self, fn: types.FunctionType, reduced: Any) -> Any:
        """A function by value goes on working on the globals of its module, where that is there."""
        if reduced[0] is not pickled_names.made_function:  # where a chunk is referred to, or of another kind
            return reduced
        home = self.home_of(fn)
        if home is None:
            return reduced
        self._packing.names(home)
        return by_reference.bound(reduced, home, self._globals)

    def home_of(self, fn: types.FunctionType) -> str | None:
        home = by_reference.home_of(fn)
        if home is None or self._packing.place(home) is Travel.VALUE or _is_registered(home):
            return None
        return home


def _is_registered(module: str) -> bool:
    """Whether somebody told cloudpickle that this module goes by value."""
    registry = cloudpickle.list_registry_pickle_by_value()
    return bool(registry) and any(module == name or module.startswith(f"{name}.") for name in registry)


@contextmanager
def _registered(name: str) -> Iterator[None]:
    module = sys.modules[name]
    with _registry:
        if module.__name__ in cloudpickle.list_registry_pickle_by_value():  # by the user, and so it stays
            yield
            return
        cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            cloudpickle.unregister_pickle_by_value(module)
