"""Whose module is it, and which one: own modules by the text of their files, others by name and version.

Under `podtask_runner.hashing.code`. Nothing is imported here to find out: an answer may not depend on what happens to
be loaded already, and asking must not run anybody's code.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, Final

from podtask_runner.hashing import sources

_OURS: Final = frozenset({"podtask", "podtask_runner", "podtask_operator", "cloudpickle"})
"""Not the user's code, wherever it is installed; an upgrade of podtask itself leaves keys as they are."""
_PACKAGES: Final = frozenset({"site-packages", "dist-packages"})
_STANDARD: Final = Path(os.__file__).parent
AT_IMPORT: Final[list[Callable[[str], bytes | None]]] = []
"""Asked for the text of a loaded module as it was imported: what its file says later does not run here."""


def is_own(name: str, filename: str = "") -> bool:
    """Whether a module is the user's: in a file that is neither standard nor installed; without a file, by its name."""
    top = name.partition(".")[0]
    if top in _OURS or top in sys.builtin_module_names:
        return False
    if filename and not filename.startswith("<"):
        return _is_own_file(filename)
    if top in sys.stdlib_module_names:
        return False
    found = file_of(name)
    return found is None or found.startswith("<") or is_own(name, found)


@functools.lru_cache(maxsize=4096)
def _is_own_file(filename: str) -> bool:
    path = Path(filename)
    return _PACKAGES.isdisjoint(path.parts) and _STANDARD not in path.parents


def file_of(name: str) -> str | None:
    """The file of a module, loaded or not; None when there is none."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded is not None:
        return str(loaded)
    spec = _spec(name)
    return spec.origin if spec is not None and spec.has_location else None


def version(name: str) -> str:
    """The version of the distribution that a module comes from; empty for the standard library and podtask."""
    top = name.partition(".")[0]
    return "" if top in _OURS or top in sys.stdlib_module_names else _installed_version(top)


def absolute(name: str, level: int, module_globals: dict[str, Any]) -> str:
    """`from ..name import` as an absolute name."""
    if level == 0:
        return name
    package = str(module_globals.get("__package__") or "").split(".")
    base = package[: len(package) - level + 1]
    return ".".join([*base, name] if name else base)


def identity(name: str) -> tuple[str, ...]:
    """What a module is: sorted lines `name digest` for it and the own modules it imports, `name version` for others."""
    found: dict[str, str] = {}
    waiting = list(_with_parents(name))
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        filename = file_of(module)
        if not is_own(module, filename or ""):
            found[module] = f"version {version(module)}"
        elif filename is not None:
            package = Path(filename).name == "__init__.py"
            text = next((text for ask in AT_IMPORT if (text := ask(module)) is not None), None)
            if text is None:
                text = _text_now(filename, _stamp(filename))
            found[module], imports = _read(text, module, package)
            waiting.extend(part for inner in imports for part in _with_parents(inner))
    return tuple(f"{module} {what}" for module, what in sorted(found.items()))


def _with_parents(name: str) -> Iterator[str]:
    """A module and the packages around it: importing it runs them too. Of others, the top is enough."""
    parts = name.split(".")
    if not is_own(parts[0]):
        yield parts[0]
        return
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


@functools.lru_cache(maxsize=1024)
def _text_now(filename: str, _stamp: tuple[int, int]) -> bytes:
    return Path(filename).read_bytes()


@functools.lru_cache(maxsize=1024)
def _read(data: bytes, module: str, package: bool) -> tuple[str, tuple[str, ...]]:  # noqa: FBT001 - part of the key
    """Digest of a text, and the absolute names it imports (of the form `from a import b` both a and a.b)."""
    try:
        tree = sources.file_tree(data.decode())
    except (SyntaxError, UnicodeDecodeError):  # an extension module
        return f"bytes {hashlib.sha256(data).hexdigest()}", ()
    here = module if package else module.rpartition(".")[0]
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node.module or "", node.level, {"__package__": here})
            imports.update([base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")])
    text = sources.normal(tree).encode("utf-8", "surrogatepass")
    return f"text {hashlib.sha256(text).hexdigest()}", tuple(sorted(imports - {""}))


def _stamp(filename: str) -> tuple[int, int]:
    try:
        status = Path(filename).stat()
    except OSError:
        return (0, 0)
    return status.st_mtime_ns, status.st_size


def _spec(name: str) -> ModuleSpec | None:
    """Find a module on sys.path without importing the packages around it."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for end in range(len(parts)):
        try:
            spec = PathFinder.find_spec(".".join(parts[: end + 1]), path)
        except (ImportError, ValueError, KeyError):  # KeyError: a namespace package inside of one that is not loaded
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
        if not path and end + 1 < len(parts):
            return None
    return spec


@functools.cache
def _installed_version(top: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(top)
    except (metadata.PackageNotFoundError, ValueError):
        names = metadata.packages_distributions().get(top, []) if hasattr(metadata, "packages_distributions") else []
        return ",".join(sorted(f"{name} {metadata.version(name)}" for name in set(names)))
