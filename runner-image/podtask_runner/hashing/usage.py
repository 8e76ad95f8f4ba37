"""Which names a piece of code uses, and what they stand for in its module.

Under `podtask_runner.hashing.code`. Functions are asked by their bytecode, which knows locals from globals; classes by
the statements of their bodies, which have run already and left no bytecode.
"""

from __future__ import annotations

import ast
import dis
import functools
import itertools
import types
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from podtask_runner.hashing import modules
from podtask_runner.hashing.notes import Notes

_GLOBAL: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
MISSING: Final = object()
"""Stands for the value of a name that is not there."""
_DISPATCHES: Final = cast("types.FunctionType", functools.singledispatch(lambda _: None)).__code__
"""That of all functions which `functools.singledispatch` makes."""
_OF_THE_INTERPRETER: Final = frozenset(
    {
        "__annotations__",
        "__builtins__",
        "__cached__",
        "__doc__",
        "__file__",
        "__loader__",
        "__name__",
        "__package__",
        "__path__",
        "__spec__",
    }
)
"""Globals that no statement of a module sets: they differ from place to place and mean nothing."""


def registered(fn: types.FunctionType) -> Mapping[type, object] | None:
    """What a `functools.singledispatch` function calls, by type; None of any other function."""
    found: Mapping[type, object] | None = getattr(fn, "registry", None) if fn.__code__ is _DISPATCHES else None
    return found


@dataclass(frozen=True)
class Uses:
    """What the bytecode of one code object names, apart from the codes inside of it."""

    names: tuple[tuple[str, tuple[str, ...]], ...]
    """Globals, each with the attributes that are taken one after the other right behind it."""
    imports: tuple[tuple[str, int, tuple[str, ...]], ...]
    """Modules as the statements name them, the dots before, and what is taken from each."""


_uses: Final[Notes[Uses]] = Notes()


def of_code(code: types.CodeType) -> Uses:
    """Read off the bytecode once: a code object never changes."""
    uses = _uses.get(code)
    if uses is None:
        uses = _read(code)
        _uses.set(code, uses)
    return uses


def _read(code: types.CodeType) -> Uses:
    instructions = [each for each in dis.get_instructions(code) if each.opname != "EXTENDED_ARG"]
    names: dict[tuple[str, tuple[str, ...]], None] = {}
    imported: list[tuple[str, int, tuple[str, ...]]] = []
    for at, instruction in enumerate(instructions):
        if instruction.opname in _GLOBAL:
            following = itertools.takewhile(lambda each: each.opname in _ATTRIBUTE, instructions[at + 1 :])
            names[instruction.argval, tuple(each.argval for each in following)] = None
        elif instruction.opname == "IMPORT_NAME":
            level, wanted = instructions[at - 2].argval, instructions[at - 1].argval
            taken = tuple(each for each in wanted if each != "*") if isinstance(wanted, tuple) else ()
            imported.append((str(instruction.argval), level if isinstance(level, int) else 0, taken))
    return Uses(tuple(names), tuple(imported))


LookedUp = Callable[[Any, str, object], None]
"""Hears of every name that was looked up: where (globals, or a module), the name, and the value or `MISSING`."""


def globals_used(
    code: types.CodeType, values: dict[str, Any], looked_up: LookedUp = lambda *_: None
) -> Iterator[tuple[str, object]]:
    """Globals by name, and what is taken from the user's own modules by dotted name, as deep as modules go."""
    for first, attributes in of_code(code).names:
        if first in _OF_THE_INTERPRETER:
            continue
        name, value = first, values.get(first, MISSING)
        looked_up(values, first, value)
        if value is MISSING:
            continue
        for attribute in attributes:
            if not isinstance(value, types.ModuleType) or not modules.is_own(
                value.__name__, modules.file_of(value.__name__) or ""
            ):
                break
            inner = getattr(value, attribute, MISSING)
            looked_up(value, attribute, inner)
            if inner is MISSING:
                break
            name, value = f"{name}.{attribute}", inner
        yield name, value


def imports(code: types.CodeType, values: dict[str, Any]) -> Iterator[str]:
    """Absolute names that code imports when it runs: `a.b` for `import a.b`, `a` and `a.b` for `from a import b`.

    Of this code alone; see `all_codes`.
    """
    for stated, level, taken in of_code(code).imports:
        name = modules.absolute(stated, level, values)
        yield name
        yield from (f"{name}.{each}" for each in taken)


def all_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code and all codes inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_codes(constant)


def class_names(
    tree: ast.AST, values: dict[str, Any], asked: Container[str], looked_up: LookedUp = lambda *_: None
) -> Iterator[tuple[str, object]]:
    """Globals that the body of a class mentions. `asked`: methods that are asked by their bytecode; of those only the
    decorators and defaults."""
    for name in sorted(set(_mentioned(tree, asked))):
        if name in _OF_THE_INTERPRETER:
            continue
        value = values.get(name, MISSING)
        looked_up(values, name, value)
        if value is not MISSING:
            yield name, value


def _mentioned(tree: ast.AST, asked: Container[str]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in asked:
            for around in (*node.decorator_list, node.args):
                yield from _mentioned(ast.Expression(around) if isinstance(around, ast.expr) else around, ())
        else:
            yield from _mentioned(node, asked)
