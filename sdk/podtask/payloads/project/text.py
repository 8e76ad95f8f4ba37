"""What the text of a module says without being run: what it imports, and what it sets its globals to.

A text is parsed once. Imports count in whatever branch they stand; one that the module can do without (inside of `try`
or `if`, or in a function) is told from one that the module needs. Used by: `collect`, `reach`, `baseline`.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from podtask_runner.hashing import modules, sources


@dataclass(frozen=True)
class Import:
    """One module that may be imported; of `from a import b`, both `a` and `a.b` (which may be no module)."""

    name: str
    needed: bool
    """Whether the module cannot be imported without it."""
    certain: bool
    """Whether the name is that of a module: not the `b` of `from a import b`."""


@dataclass(frozen=True)
class Text:
    """What one module says."""

    imports: tuple[Import, ...]
    literals: dict[str, Any]
    """Global -> its value, of those that are assigned once, at the top, to something literal; `C.name` in a class."""
    functions: frozenset[str]
    """Globals that one undecorated `def` makes."""
    built: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]]
    """Global -> name of the class that is called with literals to make it."""


_OPTIONAL: Final = (
    ast.Try,
    getattr(ast, "TryStar", ast.Try),  # since Python 3.11
    ast.If,
    ast.With,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ExceptHandler,
)
"""Inside of these an import may not happen, or may fail."""
_NOTHING: Final = Text((), {}, frozenset(), {})


@functools.lru_cache(maxsize=4096)
def read(text: bytes, name: str, package: bool) -> Text:  # noqa: FBT001 - part of the cache's key
    """Of a module of this name. A text that does not parse says nothing."""
    try:
        tree = sources.file_tree(text)
    except (SyntaxError, RecursionError):
        return _NOTHING
    here = name if package else name.rpartition(".")[0]
    imports = dict.fromkeys(_imports(tree, here, needed=True))
    values = dict(_assigned(tree.body, ""))
    return Text(tuple(imports), _literals(values), frozenset(_functions(values)), dict(_built(values)))


def _imports(node: ast.AST, package: str, *, needed: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, needed, certain=True) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = modules.absolute(child.module or "", child.level, {"__package__": package})
            if base:
                yield Import(base, needed, certain=True)
                yield from (Import(f"{base}.{alias.name}", needed, certain=False) for alias in child.names)
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _imports(child, package, needed=needed and not isinstance(child, _OPTIONAL))


def _assigned(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, list[ast.AST]]]:
    """Every name that a body sets, with what sets it."""
    found: dict[str, list[ast.AST]] = {}
    for statement in body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                for each in ast.walk(target):
                    if isinstance(each, ast.Name):
                        plain = isinstance(target, ast.Name)
                        found.setdefault(each.id, []).append(statement.value if plain else statement)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if statement.value is not None:
                found.setdefault(statement.target.id, []).append(statement.value)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            found.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.ClassDef):
            found.setdefault(statement.name, []).append(statement)
            yield from _assigned(statement.body, f"{prefix}{statement.name}.")
        else:  # a loop, a condition: what is set there is set by a statement that is not literal
            for each in ast.walk(statement):
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store | ast.Del):
                    found.setdefault(each.id, []).append(statement)
                elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    found.setdefault(each.name, []).append(statement)
    yield from ((prefix + name, nodes) for name, nodes in found.items())


def _literals(values: dict[str, list[ast.AST]]) -> dict[str, Any]:
    found = {}
    for name, nodes in values.items():
        value = _literal(nodes[0]) if len(nodes) == 1 else _NONE
        if value is not _NONE:
            found[name] = value
    return found


_NONE: Final = object()


def _literal(node: ast.AST) -> Any:
    if not isinstance(node, ast.expr):
        return _NONE
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NONE


def _functions(values: dict[str, list[ast.AST]]) -> Iterator[str]:
    for name, nodes in values.items():
        only = nodes[0] if len(nodes) == 1 else None
        if isinstance(only, ast.FunctionDef | ast.AsyncFunctionDef) and not only.decorator_list and "." not in name:
            yield name


def _built(values: dict[str, list[ast.AST]]) -> Iterator[tuple[str, tuple[str, tuple[Any, ...], dict[str, Any]]]]:
    for name, nodes in values.items():
        call = nodes[0] if len(nodes) == 1 else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or "." in name:
            continue
        args = [_literal(argument) for argument in call.args]
        options = {str(word.arg): _literal(word.value) for word in call.keywords}
        if _NONE not in args and _NONE not in options.values() and None not in [word.arg for word in call.keywords]:
            yield name, (call.func.id, tuple(args), options)
