"""Functions of a script taken apart and made again, with the cells of closures, and constants that go by their name.

A function keeps the globals of its script where these are at hand (`podtask_runner.script.main_module`), and
cells are shared as they were. Used by `podtask_runner.serialization.pickler`; what makes them:
`podtask_runner.pickled_names`.
"""

from __future__ import annotations

import copyreg
import inspect
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, Final

from cloudpickle import cloudpickle

from podtask_runner import pickled_names
from podtask_runner.hashing import usage
from podtask_runner.hashing.notes import Notes
from podtask_runner.script import definitions, identity, main_module

if TYPE_CHECKING:
    from podtask_runner.script.definitions import Inside

_GENERIC: Final = tuple(
    found for name in ("TypeVar", "ParamSpec", "TypeVarTuple") if (found := getattr(typing, name, None)) is not None
)
ALIAS: Final[Any] = getattr(typing, "TypeAliasType", None)
CONSTANTS: Final = (typing.NewType, *_GENERIC, *([ALIAS] if ALIAS is not None else []))
"""Types whose objects pickle by their name."""
_KEPT: Final = (
    "__name__",
    "__qualname__",
    "__module__",
    "__doc__",
    "__annotations__",
    "__defaults__",
    "__kwdefaults__",
)

_DEEPEST: Final = 30
"""Functions inside of functions."""


class End:
    """Stands at the end of a function's content; one for each, because pickle writes one object once."""


def taken_apart(pickler: Any, fn: types.FunctionType) -> tuple[Any, ...]:
    """The reduction of a function inside of a chunk. What has the shape of cloudpickle's is put together so, too.

    A function that uses a function that uses a function: pickle goes as deep as that, so from some depth on contents
    follow later. Not inside of a class, whose hooks may call what is in it.
    """
    inside: Inside = pickler.inside
    inside.meet(fn)
    copied = pickler.globals_ref.setdefault(id(fn.__globals__), {})
    if not copied:
        copied.update(
            {k: fn.__globals__[k] for k in ("__package__", "__name__", "__path__", "__file__") if k in fn.__globals__}
        )
    script = main_module.script_of(fn.__globals__)
    names = tuple(name for name in cloudpickle._extract_code_globals(fn.__code__) if name in fn.__globals__)  # noqa: SLF001
    who = identity.of_function(fn)
    cells = fn.__closure__
    for cell in cells or ():
        inside.bare[id(cell)] = cell
    args = (fn.__code__, copied, script, names, tuple(who), cells)
    deep = inside.depth >= _DEEPEST and not inside.in_progress
    if deep:
        inside.unfilled.append(fn)
    if deep or id(fn) in inside.bare:
        state: Any = ({}, {key: getattr(fn, key) for key in ("__name__", "__qualname__", "__module__", "__doc__")})
        return pickled_names.made_function, args, (*state, False), None, None, pickled_names.filled_function
    inside.depth += 1
    attributes, slots = content(pickler, fn)
    slots["(end)"] = End()
    return pickled_names.made_function, args, (attributes, slots), None, None, pickled_names.filled_function


def rest(pickler: Any, what: definitions.Unfilled) -> tuple[Any, ...]:
    """The reduction of what follows."""
    return pickled_names.filled_functions, ([(fn, content(pickler, fn)) for fn in what.functions],)


def ended(inside: Inside) -> tuple[Any, ...]:
    """The content of a function was written."""
    inside.depth -= 1
    return int, ()


def content(pickler: Any, fn: types.FunctionType) -> Any:
    """What a function holds. A class that is being made is left out: it comes when it is there."""
    inside: Inside = pickler.inside
    slots: dict[str, Any] = {key: getattr(fn, key) for key in _KEPT}
    parameters = getattr(fn, "__type_params__", ())
    if parameters:
        slots["__type_params__"] = parameters
    used: dict[str, Any] = {}
    at_home = pickler.home_of(fn) is not None
    for name in cloudpickle._extract_code_globals(fn.__code__):  # noqa: SLF001
        if at_home or name not in fn.__globals__:  # the module has them
            continue
        value = fn.__globals__[name]
        if _is_under_way(inside, value):
            inside.late.setdefault(id(value), []).append((fn, name))
        else:
            used[name] = value
    cells: list[tuple[int, Any]] = []
    for at, cell in enumerate(fn.__closure__ or ()):
        try:
            value = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        if _is_under_way(inside, value):
            inside.late.setdefault(id(value), []).append((fn, at))
        elif not (fn.__code__.co_freevars[at] == "__class__" and _stands_for_one(inside, value)):
            cells.append((at, value))
    values = [*used.values(), *(value for _, value in cells)]
    modules = [] if at_home else cloudpickle._find_imported_submodules(fn.__code__, values)  # noqa: SLF001
    slots.update({"__globals__": used, "_cloudpickle_submodules": modules, "(cells)": cells})
    slots["(name)"] = fn.__name__ if sys.modules.get("__main__") and _is_named(fn) else None
    return dict(fn.__dict__), slots


def _is_under_way(inside: Inside, value: object) -> bool:
    return isinstance(value, type) and any(each is value for each in inside.in_progress)


def _stands_for_one(inside: Inside, value: object) -> bool:
    """A decorator such as `dataclass(slots=True)` makes a class anew, and its methods keep the cell of the first."""
    return isinstance(value, type) and any(
        each.__qualname__ == value.__qualname__ and each.__module__ == value.__module__ for each in inside.in_progress
    )


def _is_named(fn: types.FunctionType) -> bool:
    return vars(sys.modules["__main__"]).get(fn.__name__) is fn


def made(
    code: types.CodeType,
    copied: dict[str, Any],
    script: str | None,
    names: tuple[str, ...],
    who: identity.Identity,
    cells: tuple[types.CellType, ...] | None,
) -> types.FunctionType:
    """The reader's own function, or a new one without content."""
    own = identity.find(who)
    if isinstance(own, types.FunctionType):
        return own
    values = main_module.globals_for(script, names, copied)
    values.setdefault("__builtins__", __builtins__)
    fn = types.FunctionType(code, values, None, None, cells)
    if who.stamp:
        identity.note_function(fn, who.stamp)
    _scripts.set(fn, script)
    definitions.begin(fn)
    return fn


_scripts: Final[Notes[str | None]] = Notes()


def filled(fn: types.FunctionType, attributes: dict[str, Any], slots: dict[str, Any], *, whole: bool) -> None:
    """Put in what a function holds, if it was made just now. `whole`: nothing follows."""
    if not definitions.finishes(fn):
        return
    if not whole:
        definitions.begin(fn)
    fn.__dict__.update(attributes)
    for name, value in slots.get("__globals__", {}).items():
        fn.__globals__.setdefault(name, value)
    for at, value in slots.get("(cells)", ()):
        fill_cell((fn.__closure__ or ())[at], value)
    for key in (*_KEPT, "__type_params__"):
        if key in slots:
            setattr(fn, key, slots[key])
    if slots.get("(name)"):
        main_module.install(_scripts.get(fn), slots["(name)"], fn)


def fill_cell(cell: types.CellType, value: object) -> None:
    """Unless it is filled: closures share cells."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        cell.cell_contents = value


def dispatching(pickler: Any, fn: types.FunctionType) -> tuple[Any, ...]:
    """A `functools.singledispatch` function with its implementations; its cache of types cannot be pickled."""
    registered = usage.registered(fn)
    assert registered is not None
    start = _own(pickler, fn, identity.of_named(fn), pickled_names.dispatching, ())
    return (*start, dict(registered), None, None, pickled_names.filled_dispatching)


def cached(pickler: Any, obj: Any) -> tuple[Any, ...]:
    """A function under `functools.lru_cache`: its cache is made anew."""
    parts = (obj.__wrapped__, obj.cache_parameters())
    return _own(pickler, obj, identity.of_named(obj), pickled_names.cached_again, parts)


def constant(pickler: Any, obj: Any) -> tuple[Any, ...]:
    """A `NewType`, a type variable or a type alias."""
    who = identity.of_named(obj, obj.__name__)
    name, home = obj.__name__, obj.__module__
    if isinstance(obj, typing.NewType):
        return _own(pickler, obj, who, pickled_names.new_type, (name, home, obj.__supertype__))
    if ALIAS is not None and isinstance(obj, ALIAS):
        if obj.__type_params__:
            parts = (ALIAS, (name, obj.__value__), {"type_params": obj.__type_params__})
            return _own(pickler, obj, who, pickled_names.at_home, (home, *parts))
        start = _own(pickler, obj, who, pickled_names.alias, (name, home))
        return (*start, (obj.__value__,), None, None, pickled_names.filled_alias)
    if isinstance(obj, typing.TypeVar):
        make, args = pickler.dispatch_table[typing.TypeVar](obj)
        return _own(pickler, obj, who, pickled_names.at_home, (home, make, args))
    return _own(pickler, obj, who, pickled_names.at_home, (home, type(obj), (name,)))


def by_its_word(pickler: Any, obj: Any, name: str) -> tuple[Any, ...]:
    """An object of the script that says it is to be found by a name."""
    make = copyreg.__newobj__  # type: ignore[attr-defined]
    start = _own(pickler, obj, identity.of_named(obj, name), make, (type(obj),))
    return (*start, (getattr(obj, "__dict__", {}),), None, None, pickled_names.filled_constant)


def _own(pickler: Any, obj: Any, who: identity.Identity, make: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    pickler.inside.meet(obj)
    script = main_module.script_of(vars(sys.modules["__main__"])) if who.module == "__main__" else None
    return pickled_names.own, (tuple(who), script, make, args)


def word_of(obj: Any) -> str | None:
    """The name by which an object of the script is pickled, if it is."""
    kind = type(obj)
    if kind.__module__ != "__main__" or vars(object)["__reduce__"] is getattr(kind, "__reduce__", None):
        return None
    try:
        reduced = obj.__reduce_ex__(4) if not inspect.isclass(obj) else None
    except Exception:  # noqa: BLE001 - pickle will ask again, and say what is wrong
        return None
    return reduced if isinstance(reduced, str) else None
