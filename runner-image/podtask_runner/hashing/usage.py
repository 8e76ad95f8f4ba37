"""Which names a piece of code uses, and what they stand for in its module.

Under `podtask_runner.hashing.code`. Functions are asked by their bytecode, which knows locals from globals; classes by
the statements of their bodies, which have run already and left no bytecode.
"""

from __future__ import annotations

import ast
import dis
import functools
import types
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final, cast

from podtask_runner.hashing import modules

_GLOBAL: Final = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATTRIBUTE: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_IMPORT_NAME: Final = dis.opmap["IMPORT_NAME"]
_MISSING: Final = object()
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


def globals_used(code: types.CodeType, values: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Globals by name, and what is taken from the user's own modules by dotted name, as deep as modules go."""
    instructions = _instructions(code)
    for at, instruction in enumerate(instructions):
        name = instruction.argval
        if instruction.opname not in _GLOBAL or name not in values or name in _OF_THE_INTERPRETER:
            continue
        value: object = values[name]
        while isinstance(value, types.ModuleType) and modules.is_own(
            value.__name__, modules.file_of(value.__name__) or ""
        ):
            at += 1  # noqa: PLW2901 - walks along the chain of attributes
            following = instructions[at] if at < len(instructions) else None
            if following is None or following.opname not in _ATTRIBUTE:
                break
            inner = getattr(value, following.argval, _MISSING)
            if inner is _MISSING:
                break
            name, value = f"{name}.{following.argval}", inner
        yield name, value


def imports(code: types.CodeType, values: dict[str, Any]) -> Iterator[str]:
    """Absolute names that code imports when it runs: `a.b` for `import a.b`, `a` and `a.b` for `from a import b`.

    Of this code alone; see `all_codes`.
    """
    if _IMPORT_NAME not in code.co_code[::2]:  # opcodes stand at even places; most code need not be disassembled
        return
    instructions = _instructions(code)
    for at, instruction in enumerate(instructions):
        if instruction.opname != "IMPORT_NAME":
            continue
        level, wanted = instructions[at - 2].argval, instructions[at - 1].argval
        name = modules.absolute(str(instruction.argval), level if isinstance(level, int) else 0, values)
        yield name
        if isinstance(wanted, tuple):
            yield from (f"{name}.{each}" for each in wanted if each != "*")


def _instructions(code: types.CodeType) -> list[dis.Instruction]:
    return [instruction for instruction in dis.get_instructions(code) if instruction.opname != "EXTENDED_ARG"]


def all_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from all_codes(constant)


def class_names(tree: ast.AST, values: dict[str, Any], known: Container[str]) -> Iterator[tuple[str, object]]:
    """Globals that the body of a class mentions. `known`: methods that are asked by their bytecode; of those only the
    decorators and defaults."""
    for name in sorted(set(_mentioned(tree, known))):
        if name in values and name not in _OF_THE_INTERPRETER:
            yield name, values[name]


def _mentioned(tree: ast.AST, known: Container[str]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in known:
            for around in (*node.decorator_list, node.args):
                yield from _mentioned(ast.Expression(around) if isinstance(around, ast.expr) else around, ())
        else:
            yield from _mentioned(node, known)
