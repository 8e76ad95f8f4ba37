"""From a code object to the syntax tree it was compiled from, and from a tree to normal text.

Under `podtask_runner.hashing.code`. A tree says what code does without saying where it stands or on which Python it
runs: comments, layout, docstrings and the Python minor do not count. A file that was edited after it was imported would
lie about what runs; so the file is compiled again, and its tree is believed only when the bytecode agrees.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import linecache
import types
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from podtask_runner.hashing.notes import Notes

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Travel = tuple[int, str]

_NO_MEANING: Final = frozenset({"ctx", "type_comment", "kind", "type_ignores"})
_WITH_DOCSTRING: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
_LAMBDA: Final = "<lambda>"
_TRIES: Final = 100
"""Of a text that other threads keep from being parsed."""


def normal(node: ast.AST, *, bare: bool = False) -> str:
    """The tree as text, equal for equal code on every Python minor. `bare`: without the decorators at the top.

    Empty and absent fields are left out, because newer Pythons add fields.
    """
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__}:{node.value!r}"
    parts = []
    for name in node._fields:
        value = getattr(node, name, None)
        if name in _NO_MEANING or (bare and name == "decorator_list"):
            continue
        if name == "body" and isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            value = value[1:] if value is not None else value
        if value is None or value == []:
            continue
        parts.append(f"{name}={_normal_field(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _normal_field(value: Any) -> str:
    if isinstance(value, ast.AST):
        return normal(value)
    if isinstance(value, list):
        return f"[{','.join(_normal_field(item) for item in value)}]"
    return repr(value)


def tree_of(code: types.CodeType, module_globals: dict[str, Any] | None = None) -> ast.AST | None:
    """The tree that this very code was compiled from, or None: no source, changed since, or ambiguous."""
    source = _source(code.co_filename, module_globals)
    if source is None:
        return None
    place = (code.co_firstlineno, code.co_name)
    nodes = source.nodes.get(place, [])
    if len(nodes) != 1 or not any(_same(code, other) for other in source.codes.get(place, ())):
        return None
    return nodes[0]


_texts: Final[Notes[tuple[str | None]]] = Notes()


def text_of(code: types.CodeType, module_globals: dict[str, Any] | None = None) -> str | None:
    """The normal text of a function without its decorators; None where `tree_of` has none.

    Asked once for each code object, which never changes: what a file says later is about other code.
    """
    kept = _texts.get(code)
    if kept is None:
        tree = tree_of(code, module_globals)
        kept = (normal(tree, bare=True) if tree is not None else None,)
        _texts.set(code, kept)
    return kept[0]


def class_tree(filename: str, qualname: str) -> ast.AST | None:
    """The one class statement with this qualified name in a file, or None."""
    source = _source(filename, None)
    found = source.classes.get(qualname, []) if source is not None else []
    return found[0] if len(found) == 1 else None


def says(text: bytes, filename: str, code: types.CodeType) -> bool:
    """Whether code was compiled from this text."""
    source = _parsed(filename, text.decode("utf-8", "replace"))
    place = (code.co_firstlineno, code.co_name)
    return source is None or any(_same(code, other) for other in source.codes.get(place, ()))


def file_tree(text: str | bytes) -> ast.Module:
    """A whole module's tree. Raises `SyntaxError`.

    Python 3.11 counts the depth of trees in one counter for all threads: where another one parses meanwhile, and that
    may be the user's, it raises `SystemError` (python/cpython#106905). Nothing is wrong with the text then.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(SystemError):
            return _tree(text)
    return _tree(text)


def _tree(text: str | bytes) -> ast.Module:
    try:
        return ast.parse(text)
    except ValueError as error:  # null bytes, before Python 3.12
        raise SyntaxError(str(error)) from None


@dataclass(frozen=True)
class _Source:
    nodes: dict[Travel, list[Definition]]
    codes: dict[Travel, list[types.CodeType]]
    classes: dict[str, list[ast.ClassDef]]


def _source(filename: str, module_globals: dict[str, Any] | None) -> _Source | None:
    linecache.checkcache(filename)
    text = "".join(linecache.getlines(filename, module_globals))
    return _parsed(filename, text) if text else None


@functools.lru_cache(maxsize=256)
def _parsed(filename: str, text: str) -> _Source | None:
    try:
        tree = file_tree(text)
        code = compile(text, filename, "exec", dont_inherit=True)
    except (SyntaxError, RecursionError):  # such as a notebook cell with magics
        return None
    source = _Source(defaultdict(list), defaultdict(list), defaultdict(list))
    for node, path in _definitions(tree, ()):
        if isinstance(node, ast.ClassDef):
            source.classes[".".join(path)].append(node)
        else:
            source.nodes[_place(node)].append(node)
    for inner in _codes(code):
        source.codes[inner.co_firstlineno, inner.co_name].append(inner)
    return source


def _place(node: Definition) -> Travel:
    if isinstance(node, ast.Lambda):
        return node.lineno, _LAMBDA
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first, node.name


def _definitions(node: ast.AST, path: tuple[str, ...]) -> Iterator[tuple[Definition | ast.ClassDef, tuple[str, ...]]]:
    for child in ast.iter_child_nodes(node):
        below = path
        if isinstance(child, ast.ClassDef):
            below = (*path, child.name)
            yield child, below
        elif isinstance(child, Definition):
            below = (*path, getattr(child, "name", _LAMBDA), "<locals>")
            yield child, below
        yield from _definitions(child, below)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


def _same(one: types.CodeType, other: types.CodeType) -> bool:
    """Whether two code objects do the same, wherever they stand."""
    plain = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags", "co_argcount")
    return (
        all(getattr(one, name) == getattr(other, name) for name in plain)
        and len(one.co_consts) == len(other.co_consts)
        and all(_same_constant(a, b) for a, b in zip(one.co_consts, other.co_consts, strict=True))
    )


def _same_constant(one: object, other: object) -> bool:
    if isinstance(one, types.CodeType) and isinstance(other, types.CodeType):
        return _same(one, other)
    return type(one) is type(other) and (one == other or repr(one) == repr(other))
