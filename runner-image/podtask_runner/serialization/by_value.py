"""By value or by name: what of the user's own modules goes into a pickle, and what must be there where it is opened.

cloudpickle takes functions and classes of `__main__` and closures by value, everything else by name. A `Packing` lets
whole modules travel by value too, with all they refer to; imports inside of functions are followed as well, and the
modules they name travel along whole. cloudpickle's registry for this is global: here a module stands in it for the
moment in which one object is looked at, never longer. Used by `podtask_runner.serialization.pickling`; policy:
`podtask.payloads.module_policy`.
"""

from __future__ import annotations

import functools
import importlib
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
from podtask_runner.serialization.pickling import Pickler

Reference = Callable[[object], "str | None"]

_registry: Final = threading.RLock()
_CACHED: Final = type(functools.lru_cache(lambda: None))
_STAYS: Final = frozenset({"__builtins__", "__loader__", "__spec__", "__cached__"})
"""What of a module belongs to the interpreter that loaded it."""


@dataclass
class Packing:
    """Which modules travel by value, and what one pickling met."""

    by_value: Callable[[str], bool]
    """Asked by a module's name."""
    by_name: set[str] = field(default_factory=set)
    """Modules that must be importable where the pickle is opened."""
    imported: set[str] = field(default_factory=set)
    """Modules and names that functions which travel by value import when they are called."""

    def imported_elsewhere(self) -> set[str]:
        """Of what is imported inside of functions, the modules that do not travel: their absence may be handled."""
        return {name for name in self.imported if not self.by_value(name.partition(".")[0])}

    def whole_modules(self) -> dict[str, types.ModuleType]:
        """The modules of ours among `imported`, with the packages around them."""
        found: dict[str, types.ModuleType] = {}
        for name in sorted(self.imported):
            parts = name.split(".")
            for end in range(len(parts)):
                module = self._own(".".join(parts[: end + 1]))
                if module is not None:
                    found[module.__name__] = module
        return found

    def _own(self, name: str) -> types.ModuleType | None:
        if name not in sys.modules and not self.by_value(name.partition(".")[0]):
            return None
        try:
            module = importlib.import_module(name)
        except ImportError:  # a name inside of a module, or an import that the function is prepared to see fail
            return None
        return module if self.by_value(name) else None


class Packed:
    """Pickles as its content; where it is opened, the modules can be imported from then on."""

    def __init__(self, modules: dict[str, types.ModuleType], content: object) -> None:
        self._modules, self._content = modules, content

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled_names.with_modules, (self._modules, self._content)


class PackingPickler(Pickler):
    """cloudpickle's pickler that asks `packing` whose module an object is of."""

    def __init__(self, stream: Any, packing: Packing, reference: Reference | None) -> None:
        super().__init__(stream)
        self._packing = packing
        self._reference = reference

    def beside(self, stream: Any) -> Pickler:
        return PackingPickler(stream, self._packing, self._reference)

    def persistent_id(self, obj: object) -> str | None:
        return self._reference(obj) if self._reference is not None else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.ModuleType):
            return self._module(obj)
        if isinstance(obj, (type, types.FunctionType, TypeVar, _CACHED)):
            return self._named(obj)
        if isinstance(obj, types.BuiltinFunctionType) and isinstance(obj.__self__, types.ModuleType):
            self._packing.by_name.add(obj.__self__.__name__)
        return super().reducer_override(obj)

    def _module(self, module: types.ModuleType) -> Any:
        name = module.__name__
        if name not in sys.modules:  # made by hand; cloudpickle knows what to do
            return super().reducer_override(module)
        if not self._packing.by_value(name):
            self._packing.by_name.add(name)
            return super().reducer_override(module)
        state = {key: value for key, value in vars(module).items() if key not in _STAYS}
        return pickled_names.new_module, (name,), state, None, None, pickled_names.filled

    def _named(self, obj: Any) -> Any:
        """A function, class or type variable: by value, or by the name of its module."""
        name = getattr(obj, "__module__", None) or ""
        own = name in sys.modules and self._packing.by_value(name)
        if isinstance(obj, _CACHED):
            return self.by_value(obj) if own else super().reducer_override(obj)
        with _registered(name) if own else _registry:
            reduced = super().reducer_override(obj)
            if reduced is NotImplemented and own and isinstance(obj, TypeVar):
                reduced = self.dispatch_table[TypeVar](obj)
        if reduced is NotImplemented and not own:
            self._packing.by_name.add(name)
        elif isinstance(obj, types.FunctionType) and reduced is not NotImplemented:
            for code in usage.all_codes(obj.__code__):
                self._packing.imported.update(usage.imports(code, obj.__globals__))
        return reduced


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
