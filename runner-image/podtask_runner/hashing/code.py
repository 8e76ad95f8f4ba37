"""What a piece of code is: its text, and the values and helpers it uses, however far away they stand.

`code_identity` answers for live functions (SDK), `source_identity` for the text of the YAML door (operator: it
parses and never runs). The user's own code counts by what it says, transitively; modules of others count by name
and version. Own is what is neither in the standard library nor in site-packages.

`podtask_runner.hashing.encoder` walks what the `*_parts` functions here name; modules are in
`podtask_runner.hashing.modules`, syntax trees in `podtask_runner.hashing.sources`, the names that code uses in
`podtask_runner.hashing.usage`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from podtask_runner.hashing import modules, sources, usage
from podtask_runner.hashing.notes import Notes
from podtask_runner.names import PYTHON

_MISSING: Final = object()
_OF_NAMEDTUPLES: Final = frozenset({"_make", "_replace", "_asdict"})
_OF_FIELDS: Final = frozenset(
    {"__dataclass_params__", "__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__"}
)
"""Where dataclasses, attrs and pydantic keep what the statements of a class said about its fields."""


@dataclass(frozen=True)
class Parts:
    """A piece of code for the encoder: `facts` are text, `live` are values that it walks on its own."""

    tag: bytes
    facts: tuple[str, ...]
    live: Mapping[str, object] = field(default_factory=dict)
    lookups: Sequence[tuple[Any, str, object]] = ()
    """Which names were looked up: in what (globals, or a module), the name, and the value or `usage.MISSING`."""
    modules: tuple[str, ...] = ()
    """Modules whose texts or versions are among the facts."""
    copied: tuple[object, ...] = ()
    """Containers of which `live` has a copy."""


def full_name(kind: type) -> str:
    """`module:qualified.name` of a class."""
    return f"{kind.__module__}:{kind.__qualname__}"


def function_parts(fn: types.FunctionType) -> Parts:
    """Of a Python function. One of others counts by name and version; what its closure holds is walked all the same."""
    registered = usage.registered(fn)
    if registered is not None:  # besides, it holds a cache
        return Parts(b"singledispatch", (), {"(registered)": dict(registered)}, copied=(registered,))
    home = str(fn.__globals__.get("__name__", ""))
    live: dict[str, object] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        value = _cell(cell)
        if value is not _MISSING:
            live[name] = value
    if not modules.is_own(home, fn.__code__.co_filename):
        return Parts(b"foreign", (home, fn.__qualname__, modules.version(home)), live)
    if fn.__defaults__:
        live["(defaults)"] = fn.__defaults__
    if fn.__kwdefaults__:
        live["(keyword defaults)"] = fn.__kwdefaults__
    attributes = {name: value for name, value in vars(fn).copy().items() if name != "__wrapped__"}
    if attributes:
        live["(attributes)"] = attributes
    facts = []
    text = sources.text_of(fn.__code__, fn.__globals__)
    if text is not None:
        facts.append(text)
    else:
        live["(bytecode)"] = fn.__code__
    lookups: list[tuple[Any, str, object]] = []
    imported: list[str] = []
    for code in usage.all_codes(fn.__code__):
        for name, value in usage.globals_used(code, fn.__globals__, lambda *lookup: lookups.append(lookup)):
            live.setdefault(name, value)
        imported += usage.imports(code, fn.__globals__)
    facts += [fact for name in imported for fact in modules.identity(name)]
    return Parts(b"function", tuple(facts), live, lookups, tuple(imported), (vars(fn),) if attributes else ())


def bytecode_parts(code: types.CodeType) -> Parts:
    """Of code without source: the instructions, which belong to one Python minor."""
    constants = list(code.co_consts)
    if constants and isinstance(constants[0], str) and code.co_flags & _IS_FUNCTION == _IS_FUNCTION:
        constants[0] = None  # the docstring, in Pythons up to 3.13 also the place where it would be
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    facts = (PYTHON, code.co_name)
    return Parts(b"bytecode", facts, {"code": code.co_code, "names": names, "counts": counts, "constants": constants})


def members_of(kind: type) -> dict[str, Any]:
    """What is in a class, copied in one step: other threads write into classes, annotations and caches for example."""
    return vars(kind).copy()


_IS_FUNCTION: Final = 0x3  # CO_OPTIMIZED and CO_NEWLOCALS


def class_parts(kind: type) -> Parts:
    """Of a class: its statement, bases, functions, plain data, and what else its body mentions; one of others by name
    and version."""
    if not isinstance(kind.__module__, str):  # Cython's type of functions: it is machine code, and of no module
        return Parts(b"foreign", (f":{kind.__qualname__}", ""))
    name, members = full_name(kind), members_of(kind)
    methods = {key: [fn for fn in _functions(member) if _written(fn)] for key, member in members.items()}
    filename = _file_of(kind, methods)
    if not modules.is_own(kind.__module__, filename):
        return Parts(b"foreign", (name, modules.version(kind.__module__)))
    tree, stated = _statement(kind, filename)
    live: dict[str, object] = {f"(base {at})": base for at, base in enumerate(kind.__bases__) if base is not object}
    resolved = tree is not None and "<locals>" not in kind.__qualname__
    for key, member in members.items():
        if methods[key]:
            live[key] = methods[key]
        elif not _is_machinery(kind, key, member) and (is_plain(member) or isinstance(member, type) or not resolved):
            live[key] = member
    lookups: list[tuple[Any, str, object]] = []
    copied: tuple[object, ...] = ()
    if tree is not None:
        asked = {key for key, functions in methods.items() if functions}
        values = _globals_of(kind, methods)
        for used, value in usage.class_names(tree, values, asked, lambda *lookup: lookups.append(lookup)):
            live.setdefault(f"(uses {used})", value)
    else:
        live.update(_stated(kind))
        copied = tuple(members[key] for key in ("__annotations__", *_OF_FIELDS) if key in members)
    return Parts(b"class", (name, stated), live, lookups, copied=copied)


_statements: Final[Notes[tuple[str, ast.AST | None, str]]] = Notes()


def _statement(kind: type, filename: str) -> tuple[ast.AST | None, str]:
    """The class statement and its normal text. Read once: what the file says later is about another class."""
    kept = _statements.get(kind)
    if kept is None or kept[0] != filename:
        tree = sources.class_tree(filename, kind.__qualname__)
        kept = filename, tree, sources.normal(tree) if tree is not None else ""
        _statements.set(kind, kept)
    return kept[1:]


def statement_of(kind: type) -> ast.AST | None:
    """The class statement, where it can be found and its functions are still those of the text."""
    methods = {key: [fn for fn in _functions(member) if _written(fn)] for key, member in members_of(kind).items()}
    tree = sources.class_tree(_file_of(kind, methods), kind.__qualname__)
    own = [fn for found in methods.values() for fn in found if fn.__qualname__.startswith(f"{kind.__qualname__}.")]
    return tree if all(sources.tree_of(fn.__code__, fn.__globals__) is not None for fn in own) else None


def is_written(kind: type) -> bool:
    """Whether a class is of the user's own code."""
    return kind is not object and isinstance(kind.__module__, str) and modules.is_own(kind.__module__)


def module_parts(name: str) -> Parts:
    """Of a module that is used as a whole: the text of it and of the own modules it imports, or its version."""
    return Parts(b"module", modules.identity(name), modules=(name,))


def foreign_parts(builtin: types.BuiltinFunctionType) -> Parts:
    """Of a function without Python code."""
    home = builtin.__module__ or getattr(builtin.__self__, "__name__", "")
    own = modules.is_own(home)
    what = modules.identity(home) if own else (modules.version(home),)
    return Parts(b"foreign", (f"{home}:{builtin.__qualname__}", *what), modules=(home,) if own else ())


def _file_of(kind: type, methods: Mapping[str, list[types.FunctionType]]) -> str:
    """Where the class statement stands: beside its methods (notebooks have a file per cell), else in its module."""
    beside = [fn for found in methods.values() for fn in found if fn.__globals__.get("__name__") == kind.__module__]
    return beside[0].__code__.co_filename if beside else modules.file_of(kind.__module__) or ""


def _globals_of(kind: type, methods: Mapping[str, list[types.FunctionType]]) -> dict[str, Any]:
    beside = [fn.__globals__ for found in methods.values() for fn in found]
    module = sys.modules.get(kind.__module__)
    return next((known for known in beside if known.get("__name__") == kind.__module__), None) or vars(module or object)


def _is_machinery(kind: type, key: str, member: object) -> bool:
    """What Python itself keeps in a class; no statement of the user's says it."""
    sunder = key.startswith("_") and key.endswith("_")  # dunder, too
    named = issubclass(kind, tuple) and (key in _OF_NAMEDTUPLES or key in getattr(kind, "_fields", ()))
    slot = isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType)
    return sunder or named or slot or key == "_abc_impl"


def inside(member: object) -> list[object]:
    """What stands behind a member of a class."""
    if isinstance(member, (staticmethod, classmethod)):
        return [member.__func__]
    if isinstance(member, functools.cached_property):
        return [member.func]
    return [member.fget, member.fset, member.fdel] if isinstance(member, property) else [member]


def _functions(member: object) -> Iterator[types.FunctionType]:
    """The Python functions behind a member of a class."""
    yield from (fn for fn in inside(member) if isinstance(fn, types.FunctionType))


def _written(fn: types.FunctionType) -> bool:
    """By the user; what dataclasses, attrs, enum and NamedTuple generate follows from the class statement."""
    filename = fn.__code__.co_filename
    generated = filename == "<string>" or filename.startswith("<attrs generated")
    return not generated and modules.is_own(str(fn.__globals__.get("__name__", "")), filename)


def is_plain(value: object) -> bool:
    """Whether a value is made of numbers, texts and containers only."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return all(is_plain(item) for item in value)  # type: ignore[attr-defined]
    if kind is dict:
        return all(is_plain(key) and is_plain(item) for key, item in value.items())  # type: ignore[attr-defined]
    return kind in (type(None), bool, int, float, complex, str, bytes)


def _stated(kind: type) -> dict[str, object]:
    """What remains of a class statement that cannot be found, as that of a class without methods in a notebook cell:
    annotations and fields in their order, options of the dataclass, the metaclass."""
    stated: dict[str, object] = {"(annotations)": _annotated(kind)}
    if type(kind) is not type and isinstance(type(kind).__module__, str):  # that of Cython's functions is of no module
        stated["(metaclass)"] = type(kind)
    members = members_of(kind)
    for key in _OF_FIELDS & members.keys():
        kept = members[key]
        stated[f"({key})"] = list(kept.items()) if isinstance(kept, dict) else kept
    return stated


def _annotated(kind: type) -> list[tuple[str, object]]:
    try:
        return list(inspect.get_annotations(kind).items())  # the attribute would write into the class
    except Exception:  # noqa: BLE001 - lazily evaluated annotations run user code
        return []


def _cell(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return _MISSING
